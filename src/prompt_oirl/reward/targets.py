"""What the advantage model regresses: how much better a prompt does on a query than the prompts do on average."""

from __future__ import annotations

import numpy as np

from prompt_oirl.arrays import FloatArray
from prompt_oirl.demonstrations import Demonstrations

__all__ = ["advantage_weights", "advantages", "prompt_effects"]

_PRIOR_TRIALS = 0.01
"""How strongly a query's effect is drawn to zero when prompts are compared, in trials: enough to compare prompts that
share no query, through their success rates, and next to nothing where they do share queries."""


def prompt_effects(demonstrations: Demonstrations) -> FloatArray:
    """Return (n_prompts,) how much better each prompt does than the mean prompt, by an additive fit.

    Least squares of reward = query effect + prompt effect, weighted by trials. Unlike success rates these are fair to
    a prompt that was tried on hard queries only. They sum to 0; every prompt needs a scored trial.
    """
    trials = demonstrations.trials.astype(np.float64)
    share = trials / (trials.sum(axis=1, keepdims=True) + _PRIOR_TRIALS)
    query_totals = demonstrations.successes.sum(axis=1)
    matrix = np.diag(trials.sum(axis=0)) - trials.T @ share
    effects: FloatArray = np.linalg.solve(matrix, demonstrations.successes.sum(axis=0) - share.T @ query_totals)
    effects -= effects.mean()
    return effects


def advantages(demonstrations: Demonstrations) -> FloatArray:
    """Return (n_queries, n_prompts) each cell's reward less its mean over all prompts on that query, NaN if untried.

    Where every prompt was tried this is the reward less the mean of the query's rewards. Where some were not, that
    mean would depend on which: a query tried with bad prompts only would look hard. So the prompts' effects
    (`prompt_effects`) are taken off first, then the mean of what is left over the m prompts tried; the remainder is
    scaled by (1 - 1/K) / (1 - 1/m), since a mean over few prompts holds more of the cell itself; and the effects are
    put back. If cells are missing at random, its expectation is the advantage over all K prompts. A query tried with
    one prompt says nothing of differences: its advantage is the prompt's effect, its weight (`advantage_weights`) 0.
    """
    effects = prompt_effects(demonstrations)
    residuals = demonstrations.rewards - effects
    n_tried = (demonstrations.trials > 0).sum(axis=1, keepdims=True)
    means = np.nansum(residuals, axis=1, keepdims=True) / np.maximum(n_tried, 1)
    certainty = _certainty(demonstrations)
    scale = np.divide(1.0, certainty, out=np.zeros_like(certainty), where=certainty > 0)
    values: FloatArray = effects + scale * (residuals - means)
    return values


def advantage_weights(demonstrations: Demonstrations) -> FloatArray:
    """Return (n_queries, n_prompts) the weights of the advantages: trials, fewer where few prompts were compared.

    With m of K prompts tried, trials times (1 - 1/m) / (1 - 1/K): the inverse of how the noise of the scaled
    advantage grows.
    """
    return demonstrations.trials * _certainty(demonstrations)


def _certainty(demonstrations: Demonstrations) -> FloatArray:
    """Return (n_queries, 1) (1 - 1/m) / (1 - 1/K) for queries tried with m of K prompts; 1 for a single prompt."""
    n_tried = np.maximum((demonstrations.trials > 0).sum(axis=1, keepdims=True), 1)
    if demonstrations.n_prompts == 1:
        return np.ones(n_tried.shape)
    certainty: FloatArray = (1 - 1 / n_tried) / (1 - 1 / demonstrations.n_prompts)
    return certainty
