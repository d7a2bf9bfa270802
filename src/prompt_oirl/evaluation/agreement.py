"""Whether prompts succeed and fail on the same queries: where they do, there is nothing to choose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations

__all__ = ["OutcomeCorrelation", "outcome_correlation"]


@dataclass(frozen=True, eq=False)
class OutcomeCorrelation:
    """Correlation of the prompts' outcomes over queries."""

    prompt_ids: tuple[str, ...]

    correlation: FloatArray
    """(n_prompts, n_prompts) Pearson correlation, NaN where an outcome never varies or no query has both."""

    n_queries: IntArray
    """(n_prompts, n_prompts) queries that both prompts were tried on."""


def outcome_correlation(demonstrations: Demonstrations) -> OutcomeCorrelation:
    """Correlate the rewards of each pair of prompts over the queries that both were tried on.

    A query counts as often as it was asked. The outcome of one sample is noisy, so prompts that are equally likely to
    succeed on every query correlate by less than 1.
    """
    known = (demonstrations.trials > 0).astype(np.float64)
    rewards = np.where(known > 0, demonstrations.rewards, 0.0)
    weighted = demonstrations.repeats[:, None] * known
    total = known.T @ weighted
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (demonstrations.repeats[:, None] * rewards).T @ known / total
        square = (demonstrations.repeats[:, None] * rewards**2).T @ known / total
        product = (demonstrations.repeats[:, None] * rewards).T @ rewards / total
        variance = square - mean**2
        variance[variance < 1e-12] = np.nan
        correlation = np.clip((product - mean * mean.T) / np.sqrt(variance * variance.T), -1.0, 1.0)
    return OutcomeCorrelation(
        prompt_ids=demonstrations.prompt_ids,
        correlation=correlation,
        n_queries=(known.T @ known).astype(np.int64),
    )
