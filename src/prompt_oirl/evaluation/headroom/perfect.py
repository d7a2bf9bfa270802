"""What a perfect choice would gain beyond a choice by the trials at hand, by a model."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri
from scipy.stats import qmc

from prompt_oirl.arrays import FloatArray
from prompt_oirl.evaluation.headroom.trials_choice import TrialsChoice

__all__ = ["expected_gain", "normal_draws", "perfect_gain_beyond"]

_LOG2_DRAWS = 11


def normal_draws(n_dimensions: int, *, seed: int = 0) -> FloatArray:
    """Return (2048, n_dimensions) quasi-random standard normal numbers (Sobol points): the same for the same seed."""
    points = qmc.Sobol(n_dimensions, seed=seed).random_base2(_LOG2_DRAWS)
    draws: FloatArray = ndtri(np.clip(points, 1e-9, 1 - 1e-9))
    return draws


def expected_gain(means: FloatArray, covariance: FloatArray, draws: FloatArray) -> float:
    """Return the expected highest of normal variables less the highest of their means.

    Args:
        means: (n_prompts,)
        covariance: (n_prompts, n_prompts), positive semidefinite.
        draws: (n_draws, n_prompts) as `normal_draws` gives them.
    """
    values, vectors = np.linalg.eigh(covariance)
    variables = means + draws @ (vectors * np.sqrt(np.maximum(values, 0.0))).T
    return float(variables.max(axis=1).mean() - means.max())


def perfect_gain_beyond(rule: TrialsChoice, remaining: FloatArray, weights: FloatArray, draws: FloatArray) -> float:
    """Return how much more the perfect choice gains than the rule, in a normal model of success probabilities.

    If success probabilities and noise were normal with the rule's means and covariances, the rewards that the rule
    expects would be normal too, with covariance Σ(Σ + D)⁻¹Σ, D the noise of its trials. So the expected highest of
    both is known.

    Args:
        rule: With the means and covariances.
        remaining: (n_counts,) numbers of trials of each prompt that the rule chooses by.
        weights: (n_counts,) how often each occurs.
        draws: (n_draws, n_prompts) as `normal_draws` gives them.
    """
    by_rule = [expected_gain(rule.means, _of_expected(rule, count), draws) if count else 0.0 for count in remaining]
    return expected_gain(rule.means, rule.covariance, draws) - float(np.average(by_rule, weights=weights))


def _of_expected(rule: TrialsChoice, count: float) -> FloatArray:
    """Return the (n_prompts, n_prompts) covariance over queries of the rewards expected after so many trials."""
    observed = rule.covariance + np.diag(rule.noise / count)
    covariance: FloatArray = rule.covariance @ np.linalg.solve(observed, rule.covariance)
    return covariance
