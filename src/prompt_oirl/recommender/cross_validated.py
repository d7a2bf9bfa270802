"""What training on logs would choose for each of their queries without having seen it."""

from __future__ import annotations

import numpy as np

from prompt_oirl.arrays import IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.evaluation import CrossValidation
from prompt_oirl.policies import best_single_of
from prompt_oirl.recommender.candidates import default_candidates
from prompt_oirl.selection import candidate_scores, cross_fit
from prompt_oirl.splits import Grouping

__all__ = ["cross_validated_choices"]

_N_SCORED_RUNS = 10


def cross_validated_choices(
    demonstrations: Demonstrations, *, by: Grouping = "template", n_folds: int = 5, n_draws: int = 5, seed: int = 0
) -> tuple[CrossValidation, ...]:
    """Choose for each query by the best contest of the default candidates on the other folds, pay or not.

    Args:
        demonstrations: All logs. Queries without a scored trial teach nothing, and get the best single prompt.
        by: What makes a group of queries, which is never parted.
        n_folds: Number of folds.
        n_draws: How often the folds are drawn that a contest is selected on.
        seed: Of the folds.

    Raises:
        ParameterError: There are fewer groups than folds.
        DataError: The demonstrations cannot be learnt from.
    """
    rows = np.flatnonzero(demonstrations.trials.any(axis=1))
    learnable = demonstrations.select_queries(rows)
    groups = learnable.groups(by)
    candidates = default_candidates(seed)
    scores = candidate_scores(candidates, learnable, groups=groups, n_folds=n_folds, n_runs=_N_SCORED_RUNS, seed=seed)
    single, of_all = best_single_of(demonstrations), demonstrations.groups(by)

    def filled(values: IntArray, default: int) -> IntArray:
        everywhere: IntArray = np.full(demonstrations.n_queries, default)
        everywhere[rows] = values
        return everywhere

    def draw(number: int) -> CrossValidation:
        found = cross_fit(candidates, scores, learnable, groups=groups, n_folds=n_folds, seed=number).without_rule
        return CrossValidation(
            choices=filled(found.choices, single),
            baseline=filled(found.baseline, single),
            folds=filled(found.folds, 0),
            groups=of_all,
            seed=number,
        )

    return tuple(draw(number) for number in range(seed, seed + n_draws))
