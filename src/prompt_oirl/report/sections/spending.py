"""What choosing costs, beside one prompt for all and beside asking the LLM about every prompt."""

from __future__ import annotations

import math

from prompt_oirl.evaluation.cost import CostCurve, CostPoint
from prompt_oirl.report.figures import Series, draw_lines
from prompt_oirl.report.findings import Findings, Missing
from prompt_oirl.report.page_parts import Column, Figure, Section, Table
from prompt_oirl.report.sections.columns import ends, estimate_columns, missing, rests_on
from prompt_oirl.report.texts import count, prompt_name

__all__ = ["cost_section"]

_TITLE = "Cost"
_MOST_NAMES = 12


def cost_section(findings: Findings) -> Section:
    """Return the section on value against cost."""
    found = findings.cost
    if isinstance(found, Missing):
        return Section("cost", _TITLE, (missing(found, gain=findings.gain),))
    lead = (
        f"Cost is counted in {found.unit}, a query. Choosing by score less λ times cost trades successes for cost; a "
        "point is efficient where no other has more successes for no more cost, or as many for less."
    )
    critique = found.self_critique
    beside = (
        f"Choosing here makes one call a query and none to choose. Having the LLM answer every prompt and judge its "
        f"answers makes {critique.calls_per_query}: {count(critique.calls_avoided)} more calls for these queries."
    )
    return Section("cost", _TITLE, (lead, beside, _figure(found)))


def _is_efficient(point: CostPoint, found: CostCurve) -> bool:
    """Return whether a point is on the front, or equal to one that is."""
    return any(
        math.isclose(point.gain.value, each.gain.value, abs_tol=1e-12)
        and math.isclose(point.saving.value, each.saving.value, abs_tol=1e-12)
        for each in found.front
    )


def _figure(found: CostCurve) -> Figure:
    points = found.points
    columns = (
        Column("way", "way"),
        Column("lambda", "λ", "number"),
        Column("cost", "cost", "number"),
        *estimate_columns("success_rate", "success rate", "share"),
        *estimate_columns("gain", "gain", "points"),
        Column("is_efficient", "efficient"),
    )
    rows = tuple(
        (each.name, each.lambda_, each.cost.value, *ends(each.value), *ends(each.gain), _is_efficient(each, found))
        for each in points
    )
    chosen = sorted((each for each in points if each.lambda_ is not None), key=lambda each: each.cost.value)
    single = sorted((each for each in points if each.lambda_ is None), key=lambda each: each.cost.value)
    series = [
        Series(
            "chosen per query",
            [each.cost.value for each in chosen],
            [100 * each.value.value for each in chosen],
            [100 * each.value.low for each in chosen],
            [100 * each.value.high for each in chosen],
        ),
        Series(
            "one prompt for all",
            [each.cost.value for each in single],
            [100 * each.value.value for each in single],
            is_main=False,
            is_joined=False,
            names=[each.name for each in single] if len(single) <= _MOST_NAMES else None,
        ),
    ]
    title = "Success rate against cost of a query"
    svg = draw_lines("cost", series, title=title, x_label=f"{found.unit}, a query", y_label="success rate, per cent")
    caption = (
        f"Best single prompt: {prompt_name(found.best_single)}. The points are measured on the same queries: to pick "
        f"one because it looks best is a choice made on its own data. {rests_on(points[0].value)}"
    )
    return Figure(title, svg, Table("cost", caption, columns, rows))
