"""Table `headroom`: what choosing per query could gain over the best single prompt, on the released logs.

By template, on all logged rows of every LLM and data set. The policy is the recommender's default candidates, selected
and applied on different folds of query groups, the mean over five fold seeds, without the no-harm rule. Rows `power`
say what could have been seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from prompt_oirl.evaluation import Estimate, Headroom, headroom
from prompt_oirl.recommender.cross_validated import cross_validated_choices
from prompt_oirl.reproduction.cells import Cell, Settings
from prompt_oirl.reproduction.logged import load_logged
from prompt_oirl.reproduction.rows import ResultRow
from prompt_oirl.sources.questions import DATASETS
from prompt_oirl.sources.selection_arrays import LLMS

__all__ = ["cells"]

_BOUNDS = ("by_trials", "by_policy", "perfect", "ceiling")
_SIZES = ("detectable_gain", "queries_for_one_point", "detectable_headroom", "repeats_for_one_point")


def cells(settings: Settings) -> list[Cell]:
    """Return one cell for each LLM and data set."""
    return [
        Cell("headroom", compute_headroom, {"llm": llm, "dataset": dataset, "seed": settings.seed})
        for llm in LLMS
        for dataset in DATASETS
    ]


def compute_headroom(data: Path, parameters: Mapping[str, Any]) -> list[ResultRow]:
    """Compute the rows of one LLM and data set."""
    demonstrations, place = load_logged(data, parameters, table="headroom")
    seed = parameters["seed"]
    policy = cross_validated_choices(demonstrations, seed=seed)
    place |= {"seeds": ",".join(str(run.seed) for run in policy)}
    return headroom_rows(headroom(demonstrations, policy=policy, seed=seed), place)


def headroom_rows(found: Headroom, place: Mapping[str, Any]) -> list[ResultRow]:
    """Return the rows of what was found: bounds as gains, then verdict, variances, and what could have been seen.

    Args:
        found: The headroom.
        place: The fields that all rows share.
    """
    there: dict[str, Any] = {**place, "n_queries": found.n_queries, "n_groups": found.n_groups}
    bounds: dict[str, Estimate | None] = {name: getattr(found, name) for name in _BOUNDS}
    rows = [_gain_row(place, name, bound) for name, bound in bounds.items() if bound is not None]
    judged = {**there, "note": found.verdict}
    rows.append(ResultRow(**judged, method="verdict", metric="p_value", value=found.p_value))
    parts: dict[str, Estimate] = {} if found.variance is None else vars(found.variance)
    rows += [
        ResultRow(
            **there, method=name, metric="variance", value=part.value, low=part.low, high=part.high,
            n_trials=part.n_trials,
        )
        for name, part in parts.items()
    ]  # fmt: skip
    sizes = {} if found.power is None else asdict(found.power)
    rows += [ResultRow(**there, method="power", metric=name, value=_number(sizes.get(name))) for name in _SIZES]
    return rows


def _gain_row(place: Mapping[str, Any], method: str, gain: Estimate) -> ResultRow:
    return ResultRow(
        **place, method=method, gain=gain.value, low=gain.low, high=gain.high, n_queries=gain.n_queries,
        n_groups=gain.n_groups, n_trials=gain.n_trials, n_left_out=gain.n_left_out,
    )  # fmt: skip


def _number(size: float | None) -> float | None:
    return None if size is None else float(size)
