"""How far the scores can be trusted: calibration, and what is gained by following only the clearest of them."""

from __future__ import annotations

from prompt_oirl.evaluation.risk_coverage import RiskCoverage
from prompt_oirl.report.figures import Series, draw_lines
from prompt_oirl.report.findings import Findings, Missing
from prompt_oirl.report.page_parts import Column, Figure, Section, Table
from prompt_oirl.report.sections.columns import beware, ends, ends_or_nothing, estimate_columns, missing
from prompt_oirl.report.texts import count, percent, points, prompt_name, sentence

__all__ = ["calibration_section", "risk_section"]


def calibration_section(findings: Findings) -> Section:
    """Return the section that sets predicted advantages beside measured ones."""
    found, title = findings.calibration, "Calibration"
    if isinstance(found, Missing):
        return Section("calibration", title, (missing(found, gain=findings.gain),))
    best = prompt_name(findings.best_single)
    lead = (
        f"For each query and each other prompt the reward model says how much better than {best} it expects it to be. "
        "On the dashed line, what it says is what was measured."
    )
    slope = "Beyond each prompt's mean it says nothing about single queries."
    if found.slope is not None:
        slope = (
            f"A difference between queries that it says to be 1 point is measured to be {found.slope.value:.2f} points "
            f"(interval {found.slope.low:.2f} to {found.slope.high:.2f}, each prompt's mean taken off): at 1 it says "
            "what is there, below 1 too much, above 1 too little; at 0 it knows nothing of single queries, and below "
            "0 it has them the wrong way round."
        ).replace("-", "−")
    columns = (
        Column("predicted", "predicted", "points"),
        *estimate_columns("measured", "measured", "points"),
        Column("n_comparisons", "comparisons", "count"),
        Column("n_queries", "queries", "count"),
    )
    rows = tuple(
        (each.predicted, *ends(each.measured), each.n_comparisons, each.measured.n_queries) for each in found.bins
    )
    caption = (
        f"Predicted against measured advantage over {best}, in {len(found.bins)} bins of "
        f"{count(found.n_comparisons)} comparisons (query × other prompt); {percent(findings.level, 0)} "
        f"intervals by query group{beware(found.slope)}."
    )
    picture_title = f"Predicted against measured advantage over {best}"
    svg = draw_lines(
        "calibration",
        [
            Series(
                "measured",
                [100 * each.predicted for each in found.bins],
                [100 * each.measured.value for each in found.bins],
                [100 * each.measured.low for each in found.bins],
                [100 * each.measured.high for each in found.bins],
            )
        ],
        title=picture_title,
        x_label="predicted advantage, points",
        y_label="measured, points",
        diagonal=True,
    )
    figure = Figure(picture_title, svg, Table("calibration", caption, columns, rows))
    return Section("calibration", title, (lead, slope, figure))


def risk_section(findings: Findings) -> Section:
    """Return the section on abstention: following only the clearest scores."""
    found, title = findings.risk_coverage, "Risk and coverage"
    if isinstance(found, Missing):
        return Section("risk", title, (missing(found, gain=findings.gain),))
    lead = (
        "The choice may be followed only where the scores are clear and the best single prompt kept elsewhere. From "
        "left to right more queries get another prompt, those with the clearest scores first."
    )
    if not found.points:
        return Section("risk", title, (lead, sentence(found.reason)))
    columns = (
        Column("share", "switched", "share"),
        Column("n_queries", "queries", "count"),
        Column("threshold", "margin from", "points"),
        *estimate_columns("gain", "gain over all", "points"),
        Column("gain_low_for_all", "shown for all points", "points"),
        *estimate_columns("gain_of_switched", "gain of switched", "points"),
    )
    rows = tuple(
        (
            each.share,
            each.n_queries,
            each.threshold,
            *ends(each.gain),
            each.gain_low,
            *ends_or_nothing(each.gain_of_leaving),
        )
        for each in found.points
    )
    shares = [0.0, *(100 * each.share for each in found.points)]
    series = Series(
        "gain over all queries",
        shares,
        [0.0, *(100 * each.gain.value for each in found.points)],
        [0.0, *(100 * each.gain.low for each in found.points)],
        [0.0, *(100 * each.gain.high for each in found.points)],
    )
    picture_title = "Gain over all queries against the share of queries that get another prompt"
    svg = draw_lines(
        "risk",
        [series],
        title=picture_title,
        x_label="queries that get another prompt, per cent",
        y_label="gain over all, points",
        zero=True,
    )
    caption = (
        f"n = {count(found.n_queries)} queries in {count(found.n_groups)} groups; the band is the "
        f"{percent(found.level, 0)} interval of each point by itself; “shown for all points” is the lower bound that "
        f"holds for all of them at once{beware(found.points[-1].gain)}."
    )
    figure = Figure(picture_title, svg, Table("risk_coverage", caption, columns, rows))
    return Section("risk", title, (lead, _threshold(findings, found), figure))


def _threshold(findings: Findings, found: RiskCoverage) -> str:
    """Return where to abstain, in the units of the table."""
    best = found.best
    if best is None:
        return sentence(found.reason)
    return (
        f"Where the margin is {points(best.threshold)} points or more, {percent(best.share, 0)} of the queries, "
        f"leaving {prompt_name(findings.best_single)} gains at least {points(best.gain_low)} points over all queries "
        f"(lower bound at {percent(found.level, 0)} for {len(found.points)} thresholds together)."
    )
