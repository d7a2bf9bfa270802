"""What the evaluations of held-out scores share."""

from __future__ import annotations

import numpy as np

from prompt_oirl.arrays import FloatArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ParameterError

__all__ = ["check_scores", "mean_over_known"]


def check_scores(demonstrations: Demonstrations, scores: FloatArray) -> None:
    """Raise if there is not one number for each query and prompt.

    Raises:
        ParameterError: The shape is another, or a score is NaN.
    """
    scores = np.asarray(scores)
    if scores.shape != demonstrations.trials.shape:
        raise ParameterError(
            f"scores have shape {scores.shape}, but there are {demonstrations.n_queries} queries × "
            f"{demonstrations.n_prompts} prompts; score them as selection.held_out_scores does"
        )
    if np.isnan(scores).any():
        raise ParameterError(
            f"{np.isnan(scores).sum()} of {scores.size} scores are NaN, which cannot be compared; leave out the "
            "queries or prompts that were not scored"
        )


def mean_over_known(values: FloatArray) -> FloatArray:
    """Return the mean of each column over its numbers, NaN for a column of NaN."""
    n_known = (~np.isnan(values)).sum(axis=0)
    mean: FloatArray = np.full(values.shape[1:], np.nan)
    np.divide(np.nansum(values, axis=0), n_known, out=mean, where=n_known > 0)
    return mean
