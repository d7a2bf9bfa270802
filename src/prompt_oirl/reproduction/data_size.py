"""Table `data_size`: gain of the kernel advantage model against the number of logged queries.

By template, on nested random subsets of the query groups, out of fold; five seeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.evaluation import CrossValidation, cross_validate, data_size_curve
from prompt_oirl.policies import BestSinglePrompt, best_of_scores
from prompt_oirl.reproduction.cells import Cell, Settings
from prompt_oirl.reproduction.logged import load_logged
from prompt_oirl.reproduction.portfolio import HEAD_START, measured
from prompt_oirl.reproduction.rows import ResultRow
from prompt_oirl.reward.kernel_advantage import KernelAdvantage
from prompt_oirl.selection import held_out_scores
from prompt_oirl.sources.questions import DATASETS
from prompt_oirl.sources.selection_arrays import LLMS

__all__ = ["cells"]

FRACTIONS = (0.125, 0.25, 0.5, 1.0)
N_FOLDS = 10


def cells(settings: Settings) -> list[Cell]:
    """Return one cell for each LLM and data set; of a fast run, LLaMA-2's on MAWPS with two seeds."""
    places = [("llama-2-7b-chat", "mawps")] if settings.fast else [(llm, each) for llm in LLMS for each in DATASETS]
    seeds = list(range(settings.seed, settings.seed + (2 if settings.fast else 5)))
    return [
        Cell("data_size", compute_data_size, {"llm": llm, "dataset": dataset, "seeds": seeds})
        for llm, dataset in places
    ]


def compute_data_size(data: Path, parameters: Mapping[str, Any]) -> list[ResultRow]:
    """Compute the curve of one LLM and data set, and what twice the logs would buy."""
    demonstrations, place = load_logged(data, parameters, table="data_size")
    place |= {"seeds": ",".join(map(str, parameters["seeds"]))}
    curve = data_size_curve(_gain_at, demonstrations, fractions=FRACTIONS, seeds=parameters["seeds"])
    rows = [
        ResultRow(
            **place, method="advantage", metric="fraction_of_groups", value=point.fraction, gain=point.gain.value,
            low=point.gain.low, high=point.gain.high, n_queries=point.n_queries, n_groups=point.n_groups,
            n_trials=point.gain.n_trials, n_left_out=point.gain.n_left_out,
        )
        for point in curve.points
    ]  # fmt: skip
    rows.append(measured({**place, "method": "advantage"}, "gain_per_doubling", curve.per_doubling))
    twice = curve.twice
    rows.append(
        ResultRow(
            **{**place, "note": curve.reason}, method="extrapolated", metric="fraction_of_groups", value=2.0,
            gain=None if twice is None else twice.gain, low=None if twice is None else twice.low,
            high=None if twice is None else twice.high, n_queries=2 * demonstrations.n_queries,
        )
    )  # fmt: skip
    return rows


def _gain_at(demonstrations: Demonstrations, seed: int) -> CrossValidation:
    """Choose out of fold; scores and best single prompts are of the same folds, so that both know as much."""
    singles = cross_validate(BestSinglePrompt.chosen_on, demonstrations, n_folds=N_FOLDS, seed=seed)
    scores = held_out_scores(KernelAdvantage(), demonstrations, groups=singles.groups, n_folds=N_FOLDS, seed=seed)[0]
    choices = best_of_scores(scores, head_start=HEAD_START, best_single=singles.baseline)
    return replace(singles, choices=choices)
