"""Choices for every query by a policy that has not seen it, nor a near-duplicate of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from prompt_oirl.arrays import IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ParameterError
from prompt_oirl.evaluation.estimate import Estimate, IntervalMethod
from prompt_oirl.evaluation.gains import average_gain
from prompt_oirl.policies import BestSinglePrompt, Policy
from prompt_oirl.splits import Grouping, grouped_folds

__all__ = ["CrossValidation", "cross_validate", "cross_validated_gain"]


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Out-of-fold choices; `cross_validated_gain` says what they are worth."""

    choices: IntArray
    """(n_queries,) index into `demonstrations.prompts` of the prompt chosen by the policy made on the other folds."""

    baseline: IntArray
    """(n_queries,) index of the best single prompt of the other folds."""

    folds: IntArray
    """(n_queries,) fold that each query was held out in."""

    groups: IntArray
    """(n_queries,) group number of each query."""

    seed: int
    """Of the folds."""

    @property
    def n_folds(self) -> int:
        """Number of folds."""
        return len(np.unique(self.folds))

    @property
    def n_shared_folds(self) -> int | None:
        """Number of folds whose policies share what they learnt; None for a single one, learnt from other data."""
        return self.n_folds if self.n_folds > 1 else None


def cross_validate(
    make_policy: Callable[[Demonstrations], Policy],
    demonstrations: Demonstrations,
    *,
    by: Grouping = "template",
    n_folds: int = 5,
    seed: int,
) -> CrossValidation:
    """Choose for each fold's queries with a policy made on the other folds.

    One seed of the folds is no result: average over at least five with `cross_validated_gain`.

    Args:
        make_policy: Makes a policy of training demonstrations, and may look at nothing else.
        demonstrations: All demonstrations.
        by: What makes a group of queries, which is never parted; the default keeps near-duplicates together.
        n_folds: Number of folds.
        seed: Of the random choice of folds.

    Raises:
        ParameterError: Fewer than two folds, or fewer groups than folds.
        DataError: No prompt was tried on some training part.
    """
    groups = demonstrations.groups(by)
    weights = demonstrations.repeats.astype(np.float64)
    choices, baseline, folds = (np.zeros(demonstrations.n_queries, dtype=np.int64) for _ in range(3))
    for fold, (train, test) in enumerate(grouped_folds(groups, n_folds, seed=seed, weights=weights)):
        training = demonstrations.select_queries(train)
        queries = demonstrations.select_queries(test).queries
        choices[test] = make_policy(training).choose(queries, demonstrations.prompts)
        baseline[test] = BestSinglePrompt.chosen_on(training).choose(queries, demonstrations.prompts)
        folds[test] = fold
    return CrossValidation(choices=choices, baseline=baseline, folds=folds, groups=groups, seed=seed)


def cross_validated_gain(
    demonstrations: Demonstrations,
    runs: Sequence[CrossValidation],
    *,
    level: float = 0.95,
    method: IntervalMethod = "normal",
    seed: int = 0,
) -> Estimate:
    """Estimate the mean gain over cross-validations of the same demonstrations; see `average_gain`.

    Args:
        demonstrations: What was cross-validated on.
        runs: One or more seeds of the same number of folds, of groups made alike. A run of a single fold is no
            cross-validation: its policy learnt from other data.
        level: Coverage aimed at.
        method: How the interval is made; see `estimate`.
        seed: Of the bootstrap.

    Raises:
        ParameterError: There is no run, or the runs have different numbers of folds.
        DataError: Fewer than two groups of queries have trials of both prompts.
    """
    n_folds = {run.n_folds for run in runs}
    if len(n_folds) != 1:
        raise ParameterError(
            f"runs with {sorted(n_folds)} folds: at least one run is needed, and as many folds in each"
        )
    pairs = [(run.choices, run.baseline) for run in runs]
    return average_gain(
        demonstrations,
        pairs,
        groups=runs[0].groups,
        n_folds=runs[0].n_shared_folds,
        level=level,
        method=method,
        seed=seed,
    )
