"""What the choice per query gains."""

from __future__ import annotations

from prompt_oirl.evaluation import Estimate
from prompt_oirl.report.figures import Bar, draw_bars
from prompt_oirl.report.findings import Findings, GainFindings, Missing
from prompt_oirl.report.page_parts import Column, Figure, Section, Table
from prompt_oirl.report.sections.columns import ends, estimate_columns, missing, rests_on
from prompt_oirl.report.situation import rival_of
from prompt_oirl.report.texts import gains, interval, percent, prompt_name, signed_points

__all__ = ["gain_section"]

_TITLE = "Gain of choosing per query"
_OTHER_GAINS = (
    "These are the gains that the verdict rests on. Further down, gains of other choices are compared with each other, "
    "such as those of fewer prompts, or of one reward model that was selected on all of the logs. They are measured in "
    "other ways, so they and their intervals are not quite these."
)


def gain_section(findings: Findings) -> Section:
    """Return the section on the gain and the success rates behind it."""
    found = findings.gain
    if isinstance(found, Missing):
        return Section("gain", _TITLE, (missing(found),))
    content = (
        _what_was_judged(findings, found),
        _found(findings, found),
        _gain_figure(found),
        _rates(findings, found),
        _OTHER_GAINS,
    )
    return Section("gain", _TITLE, content)


def _what_was_judged(findings: Findings, found: GainFindings) -> str:
    if findings.recommender is not None:
        return (
            f"Judged is the recommender {findings.recommender} on queries that it was not trained on. Queries that it "
            "had seen, or that differ from one it had seen only in numbers, case or punctuation, do not count."
        )
    return (
        "Judged is what training on logs like these would give: a reward model is selected on four fifths of the query "
        f"groups and applied to the last fifth, in turn, over {found.n_runs} draws of the fifths. If it has not been "
        "shown to gain there, one prompt serves all queries (the no-harm rule)."
    )


def _found(findings: Findings, found: GainFindings) -> str:
    gained = found.gain
    if found.reward_model is None:
        only = prompt_name(findings.best_single)
        return f"The recommender uses one prompt, {only}, for all queries, so there is no gain and no risk."
    sentence = "By the no-harm rule every query keeps the best single prompt, so nothing is gained and nothing lost."
    if found.share_switched:
        sentence = (
            f"Against {rival_of(findings)} the choice {gains(gained.value)} {_amount(gained.value)} points "
            f"({percent(gained.level, 0)} interval {interval(gained)}; by bootstrap "
            f"{interval(found.gain_by_bootstrap)}). {percent(found.share_switched, 0)} of the queries get another "
            "prompt than that."
        )
    return sentence if found.gain_without_rule is None else f"{sentence} {_without_rule(found.gain_without_rule)}"


def _without_rule(gained: Estimate) -> str:
    if gained.low == gained.high == 0:
        return "Without the no-harm rule every query keeps it, too."
    would = gains(gained.value, ("gain", "lose"))
    return f"Without the no-harm rule it would {would} {_amount(gained.value)} points ({interval(gained)})."


def _amount(difference: float) -> str:
    return signed_points(difference).removeprefix("−")


def _gain_figure(found: GainFindings) -> Figure:
    ways = [("with the no-harm rule", found.gain)]
    if found.gain_without_rule is not None:
        ways.append(("without it", found.gain_without_rule))
    table = Table(
        "gain",
        f"Gain over the best single prompt, in percentage points. {rests_on(found.gain)}",
        (Column("way", "way of choosing"), *estimate_columns("gain", "gain", "points"), *_evidence_columns()),
        tuple((name, *ends(each), each.n_queries, each.n_groups, each.n_trials) for name, each in ways),
    )
    bars = [
        Bar(name, 100 * each.value, 100 * each.low, 100 * each.high, is_main=not place)
        for place, (name, each) in enumerate(ways)
    ]
    title = f"Gain over the best single prompt: {signed_points(found.gain.value)} points, {interval(found.gain)}"
    svg = draw_bars(
        "gain", bars, title=title, x_label="gain over the best single prompt, points", zero=True, filled=False
    )
    return Figure(title, svg, table)


def _rates(findings: Findings, found: GainFindings) -> Table:
    best = f", {prompt_name(findings.best_single)}" if found.has_one_baseline else " of each fold"
    rows = (
        ("chosen per query", found.value),
        (f"best single prompt{best}", found.baseline_value),
        ("a prompt at random", found.random_prompt),
    )
    differ = ""
    if found.value.n_left_out:
        differ = (
            " Trials are missing, so the rates rest on different queries, and their difference is only about the gain, "
            "which is measured where both prompts were tried."
        )
    return Table(
        "success_rates",
        f"Success rates on the queries where the prompt was tried; of a prompt at random, on all queries.{differ} "
        f"{rests_on(found.value)}",
        (Column("way", "prompt"), *estimate_columns("success_rate", "success rate", "share"), *_evidence_columns()),
        tuple((name, *ends(each), each.n_queries, each.n_groups, each.n_trials) for name, each in rows),
    )


def _evidence_columns() -> tuple[Column, Column, Column]:
    return (
        Column("n_queries", "queries", "count", is_on_page=False),
        Column("n_groups", "groups", "count", is_on_page=False),
        Column("n_trials", "trials", "count", is_on_page=False),
    )
