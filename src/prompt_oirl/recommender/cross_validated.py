"""What a recommender with the default candidates would have chosen for each logged query without having seen it."""

from __future__ import annotations

import numpy as np

from prompt_oirl.arrays import IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.evaluation import CrossValidation
from prompt_oirl.policies import best_single_of
from prompt_oirl.recommender.candidates import default_candidates
from prompt_oirl.selection import candidate_scores, cross_fitted_choices
from prompt_oirl.splits import Grouping

__all__ = ["cross_validated_choices"]


def cross_validated_choices(
    demonstrations: Demonstrations, *, by: Grouping = "template", n_folds: int = 5, seed: int = 0
) -> CrossValidation:
    """Choose for each query with what the other folds' logs select among the default candidates.

    Args:
        demonstrations: All logs. Queries without a scored trial teach nothing, and get the best single prompt.
        by: What makes a group of queries, which is never parted.
        n_folds: Number of folds.
        seed: Of the folds.

    Raises:
        ParameterError: There are fewer groups than folds.
        DataError: The demonstrations cannot be learnt from.
    """
    rows = np.flatnonzero(demonstrations.trials.any(axis=1))
    learnable = demonstrations.select_queries(rows)
    groups = learnable.groups(by)
    candidates = default_candidates(seed)
    scores = candidate_scores(candidates, learnable, groups=groups, n_folds=n_folds, seed=seed)
    found = cross_fitted_choices(candidates, scores, learnable, groups=groups, n_folds=n_folds, seed=seed)
    single = best_single_of(demonstrations)

    def of_all(values: IntArray, default: int) -> IntArray:
        filled: IntArray = np.full(demonstrations.n_queries, default)
        filled[rows] = values
        return filled

    return CrossValidation(
        choices=of_all(found.choices, single),
        baseline=of_all(found.baseline, single),
        folds=of_all(found.folds, 0),
        groups=demonstrations.groups(by),
        seed=seed,
    )
