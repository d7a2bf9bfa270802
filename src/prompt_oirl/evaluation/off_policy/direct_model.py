"""The direct model's scores, each query's made without any decision on it or on a near-duplicate of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from sklearn.base import clone

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.randomness import generator
from prompt_oirl.records import Query
from prompt_oirl.reward.protocol import RewardModel
from prompt_oirl.sources.logged_decisions import LoggedDecisions
from prompt_oirl.splits import grouped_folds

__all__ = ["ScoreFunction", "cross_fitted_scores", "scores_by"]

ScoreFunction = Callable[[LoggedDecisions, Sequence[Query]], FloatArray]
"""Learns from some decisions, and returns the (n_queries, n_prompts) expected rewards of other queries."""


def cross_fitted_scores(
    make_scores: ScoreFunction, decisions: LoggedDecisions, *, groups: IntArray, n_folds: int = 5, seed: int = 0
) -> FloatArray:
    """Return (n_queries, n_prompts) scores, each query's learnt on the other folds of query groups.

    Args:
        make_scores: Learns and scores; see `scores_by` for a reward model.
        decisions: What to learn from.
        groups: (n_queries,) group numbers, as `LoggedDecisions.groups` gives them.
        n_folds: Number of folds; as many as there are groups, if these are fewer.
        seed: Of the folds.

    Raises:
        DataError: There are fewer than two groups, or a fold cannot be learnt from.
    """
    _, numbers = np.unique(groups, return_inverse=True)
    n_groups = int(numbers.max(initial=-1)) + 1
    if n_groups < 2:
        raise DataError(
            f"{n_groups} groups of queries: a direct model is cross-fitted on two or more; log more queries"
        )
    scores: FloatArray = np.empty((decisions.n_queries, decisions.n_prompts))
    weights = np.bincount(decisions.rows, minlength=decisions.n_queries).astype(np.float64)
    for train, test in grouped_folds(numbers, min(n_folds, n_groups), seed=seed, weights=weights):
        scores[test] = make_scores(decisions.select_queries(train), [decisions.queries[i] for i in test])
    return scores


def scores_by(model: RewardModel, *, seed: int = 0) -> ScoreFunction:
    """Return the function that fits clones of a reward model and scores with them.

    A prompt without a scored decision gets the mean reward of all: there is nothing to learn about it. A reward between
    0 and 1 is a success with that probability, drawn once, because reward models count successes; its mean is kept, and
    no estimate but the direct method's depends on it.

    Args:
        model: Gives probabilities, such as `LogisticModel`; it is cloned, not fitted.
        seed: Of the successes that are drawn.

    Raises:
        ParameterError: The model's scores are no probabilities. When scores are made: it is no seed.
    """
    if not model.gives_probabilities:
        raise ParameterError(
            f"the scores of {type(model).__name__} are no probabilities, so they are no expected rewards; use one that "
            "gives probabilities, such as LogisticModel"
        )

    def make_scores(train: LoggedDecisions, queries: Sequence[Query]) -> FloatArray:
        counted = _counted(train, seed)
        tried = np.flatnonzero(counted.trials.any(axis=0))
        trials = int(counted.trials.sum())
        if not trials:
            raise DataError("a fold of the decisions has no reward to learn a direct model from; log more feedback")
        scores: FloatArray = np.full((len(queries), train.n_prompts), counted.successes.sum() / trials)
        learnable = counted.select_prompts(tried)
        scores[:, tried] = clone(model).fit(learnable).score(queries, learnable.prompts)
        return scores

    return make_scores


def _counted(decisions: LoggedDecisions, seed: int) -> Demonstrations:
    draws = generator(seed).random(decisions.n_decisions)
    successes = np.where(np.isnan(decisions.rewards), -1, draws < decisions.rewards).astype(np.int64)
    return Demonstrations.from_cells(
        decisions.queries, decisions.prompts, rows=decisions.rows, columns=decisions.chosen, rewards=successes
    )
