"""Success rates behind a gain, averaged over draws of the folds as it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prompt_oirl.arrays import IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.evaluation import Estimate, chosen_rewards
from prompt_oirl.evaluation.chosen import used_cells
from prompt_oirl.evaluation.estimate import Outcomes, estimate
from prompt_oirl.evaluation.scores import mean_over_known

__all__ = ["average_values"]

Pairs = Sequence[tuple[IntArray, IntArray]]
"""The (choices, baseline) of each draw, each (n_queries,)."""


def average_values(
    demonstrations: Demonstrations, pairs: Pairs, *, groups: IntArray, level: float
) -> tuple[Estimate, Estimate]:
    """Estimate the success rates of the choices and of the baseline, each on the queries where its prompt was tried.

    Queries where both were tried would be too many on which both choose the same prompt, which is then a good one. So
    where trials are missing the two rest on different queries, and their difference is only about the gain.

    Args:
        demonstrations: Held-out demonstrations.
        pairs: Of each draw.
        groups: (n_queries,) group numbers.
        level: Coverage of the intervals.

    Raises:
        DataError: Fewer than two groups of queries have trials of a chosen prompt, or of the best single one.
    """
    chosen, baseline = (_average(demonstrations, side, groups=groups, level=level) for side in zip(*pairs, strict=True))
    return chosen, baseline


def _average(
    demonstrations: Demonstrations, choices: Sequence[IntArray], *, groups: IntArray, level: float
) -> Estimate:
    outcomes = Outcomes(
        values=mean_over_known(np.array([chosen_rewards(demonstrations, each) for each in choices])),
        weights=demonstrations.repeats.astype(np.float64),
        groups=groups,
        n_trials=int(demonstrations.trials[used_cells(demonstrations, choices)].sum()),
    )
    return estimate(outcomes, bounds=(0.0, 1.0), level=level)
