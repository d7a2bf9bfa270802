"""Table `portfolio`: which prompts to keep, by the held-out scores of the kernel advantage model.

By template, on all logged rows. Every query is scored without its fold, one of ten, in closed form; the best single
prompt of a set has a head start in the middle of those that the recommender may choose. Where queries were asked
repeatedly also what choosing by the query's other trials achieves.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prompt_oirl.evaluation import Estimate, Portfolio, portfolio, portfolio_by_trials
from prompt_oirl.recommender.candidates import HEAD_STARTS
from prompt_oirl.reproduction.cells import Cell, Settings
from prompt_oirl.reproduction.logged import load_logged
from prompt_oirl.reproduction.rows import ResultRow
from prompt_oirl.reward.kernel_advantage import KernelAdvantage
from prompt_oirl.selection import held_out_scores
from prompt_oirl.sources.questions import DATASETS
from prompt_oirl.sources.selection_arrays import LLMS

__all__ = ["HEAD_START", "cells"]

HEAD_START = HEAD_STARTS[1]
N_FOLDS = 10


def cells(settings: Settings) -> list[Cell]:
    """Return one cell for each LLM and data set; of a fast run, those of LLaMA-2."""
    llms = ("llama-2-7b-chat",) if settings.fast else LLMS
    return [
        Cell("portfolio", compute_portfolio, {"llm": llm, "dataset": dataset, "seed": settings.seed})
        for llm in llms
        for dataset in DATASETS
    ]


def compute_portfolio(data: Path, parameters: Mapping[str, Any]) -> list[ResultRow]:
    """Compute the rows of one LLM and data set."""
    demonstrations, place = load_logged(data, parameters, table="portfolio")
    groups = demonstrations.groups()
    seed = parameters["seed"]
    scores = held_out_scores(KernelAdvantage(), demonstrations, groups=groups, n_folds=N_FOLDS, seed=seed)[0]
    found = portfolio(demonstrations, scores, groups=groups, n_folds=N_FOLDS, head_start=HEAD_START, seed=seed)
    index = dict(zip(demonstrations.prompt_ids, place.pop("prompts").split(","), strict=True))
    rows = [
        *_size_rows(found, place, index, "advantage"),
        *_smallest_rows(found, place, "advantage"),
        *_prompt_rows(found, place, index),
        *_one_more_rows(found, place),
    ]
    if (demonstrations.trials > 1).all(axis=1).any():
        by_trials = portfolio_by_trials(demonstrations, groups=groups, seed=seed)
        rows += [
            *_size_rows(by_trials, place, index, "by_trials"),
            *_smallest_rows(by_trials, place, "by_trials"),
        ]
    return rows


def _size_rows(found: Portfolio, place: Mapping[str, Any], index: Mapping[str, str], method: str) -> list[ResultRow]:
    rows = []
    for size in found.sizes:
        there = {**place, "method": method, "k": size.n_prompts}
        there["prompts"] = ",".join(index[id] for id in size.prompt_ids)
        rows.append(
            ResultRow(
                **there, value=size.value.value, gain=size.gain.value, low=size.gain.low, high=size.gain.high,
                n_queries=size.gain.n_queries, n_groups=size.gain.n_groups, n_trials=size.gain.n_trials,
                n_left_out=size.gain.n_left_out,
            )
        )  # fmt: skip
        for metric in ("share_of_value", "share_of_gain"):
            share: Estimate | None = getattr(size, metric)
            if share is not None:
                rows.append(measured(there, metric, share))
    return rows


def _smallest_rows(found: Portfolio, place: Mapping[str, Any], method: str) -> list[ResultRow]:
    by_gain = found.smallest_by_gain
    sizes = {
        "smallest_by_value": (found.smallest_by_value.n_prompts, found.sizes_by_value),
        "smallest_by_gain": None if by_gain is None else (by_gain.n_prompts, found.sizes_by_gain),
    }
    n = {"n_queries": found.gain.n_queries, "n_groups": found.gain.n_groups}
    rows = []
    for metric, size in sizes.items():
        there = {**place, "method": method, "metric": metric, **n}
        if size is None or size[1] is None:
            rows.append(ResultRow(**{**there, "note": "no gain to keep"}))
        else:
            rows.append(ResultRow(**there, value=float(size[0]), low=float(size[1][0]), high=float(size[1][1])))
    return rows


def _prompt_rows(found: Portfolio, place: Mapping[str, Any], index: Mapping[str, str]) -> list[ResultRow]:
    rows = [
        measured({**place, "method": "without", "prompts": index[each.prompt_id]}, "loss", each.loss)
        for each in found.contributions
    ]
    for wins in found.wins:
        gain = wins.gain
        rows.append(
            ResultRow(
                **place, method="wins", prompts=index[wins.prompt_id], metric="share_of_queries", value=wins.share,
                gain=None if gain is None else gain.value, low=None if gain is None else gain.low,
                high=None if gain is None else gain.high, n_queries=wins.n_queries,
                n_groups=None if gain is None else gain.n_groups,
            )
        )  # fmt: skip
    return rows


def _one_more_rows(found: Portfolio, place: Mapping[str, Any]) -> list[ResultRow]:
    one, there = found.one_more, {**place, "method": "one_more"}
    rows = [measured(there, "failures", one.failures)]
    if one.caught is not None:
        rows.append(measured(there, "caught", one.caught))
    for metric in ("success_if_known", "success_as_caught"):
        needed: float | None = getattr(one, metric)
        note = place["note"] if needed is not None else "no success rate is surely enough"
        rows.append(
            ResultRow(
                **{**there, "note": note}, metric=metric, value=needed, n_queries=one.failures.n_queries,
                n_groups=one.failures.n_groups,
            )
        )  # fmt: skip
    return rows


def measured(place: Mapping[str, Any], metric: str, found: Estimate) -> ResultRow:
    """Return the row of a value that is no success rate, with its interval."""
    return ResultRow(
        **place, metric=metric, value=found.value, low=found.low, high=found.high, n_queries=found.n_queries,
        n_groups=found.n_groups, n_trials=found.n_trials, n_left_out=found.n_left_out,
    )  # fmt: skip
