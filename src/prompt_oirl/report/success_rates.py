"""Success rates behind a gain, averaged over draws of the folds as it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prompt_oirl.arrays import BoolArray, FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.evaluation import Estimate, chosen_rewards
from prompt_oirl.evaluation.estimate import Outcomes, estimate
from prompt_oirl.evaluation.scores import mean_over_known

__all__ = ["average_values"]

Pairs = Sequence[tuple[IntArray, IntArray]]
"""The (choices, baseline) of each draw, each (n_queries,)."""


def average_values(
    demonstrations: Demonstrations, pairs: Pairs, *, groups: IntArray, level: float
) -> tuple[Estimate, Estimate]:
    """Estimate the success rates of the choices and of the baseline, on the queries and draws that have both.

    Where trials are missing, their difference is not quite the gain: a query on which both choose the same prompt
    counts there without a trial.

    Args:
        demonstrations: Held-out demonstrations.
        pairs: Of each draw.
        groups: (n_queries,) group numbers.
        level: Coverage of the intervals.

    Raises:
        DataError: Fewer than two groups of queries have trials of both prompts.
    """
    known = _known(demonstrations, pairs)
    chosen, baseline = (
        _average(demonstrations, side, known, groups=groups, level=level) for side in zip(*pairs, strict=True)
    )
    return chosen, baseline


def _known(demonstrations: Demonstrations, pairs: Pairs) -> BoolArray:
    """Return (n_draws, n_queries) whether there are trials of both prompts."""
    differences: FloatArray = np.array(
        [chosen_rewards(demonstrations, choices) - chosen_rewards(demonstrations, single) for choices, single in pairs]
    )
    known: BoolArray = ~np.isnan(differences)
    return known


def _average(
    demonstrations: Demonstrations, choices: Sequence[IntArray], known: BoolArray, *, groups: IntArray, level: float
) -> Estimate:
    rewards = np.array([chosen_rewards(demonstrations, each) for each in choices])
    used = np.zeros(demonstrations.trials.shape, dtype=np.bool_)
    for each, is_known in zip(choices, known, strict=True):
        used[np.flatnonzero(is_known), each[is_known]] = True
    outcomes = Outcomes(
        values=mean_over_known(np.where(known, rewards, np.nan)),
        weights=demonstrations.repeats.astype(np.float64),
        groups=groups,
        n_trials=int(demonstrations.trials[used].sum()),
    )
    return estimate(outcomes, bounds=(0.0, 1.0), level=level)
