"""What more logs would buy."""

from __future__ import annotations

from prompt_oirl.evaluation.data_size import DataSizeCurve
from prompt_oirl.report.figures import Series, draw_lines
from prompt_oirl.report.findings import Findings, Missing
from prompt_oirl.report.page_parts import Column, Figure, Section, Table
from prompt_oirl.report.sections.columns import beware, ends, estimate_columns, missing
from prompt_oirl.report.texts import count, percent, sentence

__all__ = ["data_size_section"]

_TITLE = "More logs: what they would buy"
_LEAD = (
    "What would have been gained had fewer queries been logged, without the no-harm rule: where little is logged it "
    "declines, which says nothing of what could be learnt."
)


def data_size_section(findings: Findings) -> Section:
    """Return the section on the gain against the number of logged queries."""
    found = findings.data_size
    if isinstance(found, Missing):
        return Section("data-size", _TITLE, (missing(found, gain=findings.gain),))
    return Section("data-size", _TITLE, (_LEAD, sentence(f"Along the curve {found.reason}."), _figure(findings, found)))


def _figure(findings: Findings, found: DataSizeCurve) -> Figure:
    points, twice = found.points, found.twice
    series = [
        Series(
            "measured",
            [point.n_queries for point in points],
            [100 * point.gain.value for point in points],
            [100 * point.gain.low for point in points],
            [100 * point.gain.high for point in points],
        )
    ]
    rows = [(point.n_queries, *ends(point.gain), "measured") for point in points]
    if twice is not None:
        series.append(
            Series(
                "extrapolated, not measured",
                [twice.n_queries],
                [100 * twice.gain],
                [100 * twice.low],
                [100 * twice.high],
                is_main=False,
                is_joined=False,
            )
        )
        rows.append((twice.n_queries, twice.gain, twice.low, twice.high, "extrapolated"))
    title = "Gain over the best single prompt against the number of logged queries"
    svg = draw_lines(
        "data-size", series, title=title, x_label="logged queries", y_label="gain, points", zero=True, log_x=True
    )
    caption = (
        f"Gain with random parts of the {count(points[-1].n_queries)} queries, each the mean of "
        f"{len(points[0].gain_by_seed)} draws; {percent(findings.level, 0)} intervals"
        f"{beware(points[-1].gain)}. Points share their queries."
    )
    columns = (
        Column("n_queries", "queries", "count"),
        *estimate_columns("gain", "gain", "points"),
        Column("kind", "how"),
    )
    return Figure(title, svg, Table("data_size", caption, columns, tuple(rows)))
