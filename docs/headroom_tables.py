"""Markdown tables on headroom: what choosing per query could gain on the released logs, and what could be seen."""

from __future__ import annotations

from pathlib import Path

from result_tables import DATASETS, LLMS, Block, Results, table

from prompt_oirl.reproduction.rows import ResultRow

__all__ = ["HEADROOM_BLOCKS"]

_BOUNDS = {
    "by_trials": "floor, by other trials",
    "by_policy": "floor, by the recommender's models",
    "perfect": "perfect choice, by the model",
    "ceiling": "ceiling",
}
_PARTS = ("query", "prompt", "interaction", "noise")


def headroom(results: Results, _: Path) -> str:
    """For each LLM and data set: verdict, floors, model and ceiling, in points, each with its interval and n."""
    rows = []
    for llm, llm_name in LLMS.items():
        for dataset, name in DATASETS.items():
            place = {"llm": llm, "dataset": dataset}
            verdict = results.one("headroom", **place, method="verdict")
            if verdict is None:
                continue
            found = {method: results.one("headroom", **place, method=method) for method in _BOUNDS}
            lacking = "no repeats" if found["by_trials"] is None else "too few repeats"
            bounds = [_bound(row, lacking) for row in found.values()]
            rows.append([f"{llm_name}, {name}", f"{verdict.note} (p = {verdict.value:.2g})", *bounds])
    return table(["gain over the best single prompt, points", "headroom", *_BOUNDS.values()], rows) if rows else ""


def headroom_power(results: Results, _: Path) -> str:
    """For each LLM and data set: where variance comes from, and what could have been seen."""
    rows = []
    for llm, llm_name in LLMS.items():
        for dataset, name in DATASETS.items():
            found = {(row.method, row.metric): row.value for row in results.of("headroom", llm=llm, dataset=dataset)}
            if found:
                parts = [_number(found.get((part, "variance")), "{:.3f}") for part in _PARTS]
                gain, size = (found["power", f"detectable_{what}"] for what in ("gain", "headroom"))
                needed = [found["power", f"{what}_for_one_point"] for what in ("queries", "repeats")]
                sizes = [_number(each and 100 * each, "{:.1f}") for each in (gain, size)]
                rows.append([f"{llm_name}, {name}", *parts, *sizes, *(_number(each, "{:,.0f}") for each in needed)])
    columns = ("gain seen from", "headroom seen from", "queries for one point", "repeats for one point")
    return table(["variance, and power in points", *_PARTS, *columns], rows) if rows else ""


def _bound(row: ResultRow | None, lacking: str) -> str:
    if row is None or row.gain is None or row.low is None or row.high is None:
        return lacking
    few = "*" if (row.n_groups or 0) < 30 else ""
    return f"{100 * row.gain:+.1f} [{100 * row.low:+.1f}, {100 * row.high:+.1f}] on {row.n_queries:,}{few}"


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


HEADROOM_BLOCKS: dict[str, Block] = {"headroom": headroom, "headroom_power": headroom_power}
