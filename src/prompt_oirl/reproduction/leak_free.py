"""Table `leak_free`: what every method is worth on questions whose group it has not seen.

Grouped folds over all logged rows. `by_template` keeps near-duplicates together, `by_question` identical texts only.
With all prompts the result is the mean over five fold seeds; the other subsets are computed on the first seed. The
published recipe, a fit of which takes a hundred times as long, is computed on LLaMA-2 only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from prompt_oirl.arrays import IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.evaluation import average_gain, cross_validate, oracle_choices, policy_value, random_prompt_value
from prompt_oirl.reproduction.cells import Cell, Settings
from prompt_oirl.reproduction.logged import load_logged
from prompt_oirl.reproduction.methods import METHODS, SLOW_METHODS
from prompt_oirl.reproduction.rows import ResultRow
from prompt_oirl.reproduction.shared import ADVANTAGE, LOGISTIC, N_FOLDS, SharedFit, shared_folds
from prompt_oirl.sources.questions import DATASETS
from prompt_oirl.sources.selection_arrays import LLMS

__all__ = ["cells"]

GROUPINGS = ("template", "question")
N_SEEDS = 5

Choices = tuple[IntArray, IntArray]
"""(n_queries,) prompts chosen, and the best single prompt of the folds that each query is not in."""


def cells(settings: Settings) -> list[Cell]:
    """Return the cells of every LLM, data set and grouping, those with several fits first.

    A fast run has the default grouping, one seed, all prompts, and of the methods that are fitted the recommender's.
    """
    seeds = list(range(settings.seed, settings.seed + (1 if settings.fast else N_SEEDS)))
    places = [
        {"llm": llm, "dataset": dataset, "by": by, "seeds": seeds}
        for by in (GROUPINGS[:1] if settings.fast else GROUPINGS)
        for dataset in DATASETS
        for llm in sorted(LLMS, key=lambda each: each != "llama-2-7b-chat")
    ]
    fits = [Cell("leak_free", compute_shared, place | {"subsets": not settings.fast}) for place in places]
    methods = [
        Cell("leak_free", compute_method, place | {"method": method})
        for place in places
        for method in (("best_single", "prompt_means", "lookup", "additive") if settings.fast else METHODS)
    ]
    slow = [
        Cell("leak_free", compute_method, place | {"method": "published_recipe"})
        for place in places
        if place["llm"] == "llama-2-7b-chat" and not settings.fast
    ]
    return [*fits, *methods, *slow]


def compute_method(data: Path, parameters: Mapping[str, Any]) -> list[ResultRow]:
    """Compute one method's row with all prompts, averaged over the fold seeds."""
    demonstrations, place = load_logged(data, parameters, table="leak_free")
    make_policy, by = (METHODS | SLOW_METHODS)[parameters["method"]], parameters["by"]
    runs = [
        cross_validate(make_policy, demonstrations, by=by, n_folds=N_FOLDS, seed=seed) for seed in parameters["seeds"]
    ]
    choices = [(run.choices, run.baseline) for run in runs]
    place |= {"method": parameters["method"], "seeds": ",".join(map(str, parameters["seeds"]))}
    return [_row(demonstrations, choices, place)]


def compute_shared(data: Path, parameters: Mapping[str, Any]) -> list[ResultRow]:
    """Compute the rows of the methods that share fits, and of random and oracle: all prompts, then the subsets."""
    demonstrations, place = load_logged(data, parameters, table="leak_free")
    first_row_prompts = [int(prompt) for prompt in place["prompts"].split(",")]
    everything = tuple(range(demonstrations.n_prompts))
    subsets = [subset for size in range(1, len(everything)) for subset in combinations(everything, size)]
    runs: dict[tuple[int, ...], list[dict[str, Choices]]] = {}
    for seed in parameters["seeds"]:
        folds = shared_folds(demonstrations, by=parameters["by"], seed=seed)
        is_first = seed == parameters["seeds"][0]
        for subset in [everything, *(subsets if parameters["subsets"] and is_first else [])]:
            runs.setdefault(subset, []).append(_choices(folds, subset, demonstrations.n_queries))
    rows = []
    for subset, of_seeds in runs.items():
        of_subset = demonstrations.select_prompts(subset)
        names = ",".join(str(first_row_prompts[i]) for i in subset)
        seeds = ",".join(map(str, parameters["seeds"][: len(of_seeds)]))
        there = place | {"k": len(subset), "prompts": names, "seeds": seeds}
        rows += _subset_rows(of_subset, of_seeds, there, with_best_single=subset != everything)
    return rows


def _choices(folds: Sequence[tuple[IntArray, SharedFit]], subset: Sequence[int], n_queries: int) -> dict[str, Choices]:
    names = ("best_single", "advantage", "logistic", "recommender")
    chosen = {name: np.zeros(n_queries, dtype=np.int64) for name in names}
    for test, fit in folds:
        chosen["best_single"][test] = fit.best_single(subset)
        chosen["advantage"][test] = fit.best_of(ADVANTAGE, subset)
        chosen["logistic"][test] = fit.best_of(LOGISTIC, subset)
        chosen["recommender"][test] = fit.recommend(subset)
    return {name: (choices, chosen["best_single"]) for name, choices in chosen.items()}


def _subset_rows(
    demonstrations: Demonstrations,
    of_seeds: Sequence[Mapping[str, Choices]],
    place: Mapping[str, Any],
    *,
    with_best_single: bool,
) -> list[ResultRow]:
    methods = ["advantage", "logistic", "recommender", *(["best_single"] if with_best_single else [])]
    rows = [
        _row(demonstrations, [of_seed[method] for of_seed in of_seeds], {**place, "method": method})
        for method in methods
    ]
    oracle = [(oracle_choices(demonstrations), of_seed["best_single"][1]) for of_seed in of_seeds]
    rows.append(_row(demonstrations, oracle, {**place, "method": "oracle"}, n_folds=None))
    by = place["protocol"].removeprefix("by_")
    value = random_prompt_value(demonstrations, groups=demonstrations.groups(by))
    rows.append(
        ResultRow(
            **{**place, "method": "random", "seeds": None}, value=value.value, low=value.low, high=value.high,
            n_queries=value.n_queries, n_groups=value.n_groups, n_trials=value.n_trials, n_left_out=value.n_left_out,
        )
    )  # fmt: skip
    return rows


def _row(
    demonstrations: Demonstrations,
    choices: Sequence[Choices],
    place: Mapping[str, Any],
    *,
    n_folds: int | None = N_FOLDS,
) -> ResultRow:
    groups = demonstrations.groups(place["protocol"].removeprefix("by_"))
    gain = average_gain(demonstrations, choices, groups=groups, n_folds=n_folds)
    bootstrap = average_gain(demonstrations, choices, groups=groups, n_folds=n_folds, method="bootstrap")
    values = [policy_value(demonstrations, chosen, groups=groups).value for chosen, _ in choices]
    return ResultRow(
        **place, value=float(np.mean(values)), gain=gain.value, low=gain.low, high=gain.high,
        bootstrap_low=bootstrap.low, bootstrap_high=bootstrap.high, n_queries=gain.n_queries,
        n_groups=gain.n_groups, n_trials=int(demonstrations.repeats.sum()), n_left_out=gain.n_left_out,
    )  # fmt: skip
