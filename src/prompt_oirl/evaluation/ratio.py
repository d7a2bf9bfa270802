"""The interval of a share whose denominator is itself uncertain."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import stdtrit

from prompt_oirl.arrays import BoolArray, FloatArray, IntArray

__all__ = ["ratio_interval"]


def ratio_interval(
    numerator: FloatArray,
    denominator: FloatArray,
    *,
    weights: FloatArray,
    groups: IntArray,
    can_vary: BoolArray,
    level: float,
) -> tuple[float, float] | None:
    """Return Fieller's interval of Σ weight · numerator / Σ weight · denominator, clustered by group.

    It holds the ratios θ for which numerator - θ · denominator is not told from 0. Where the denominator is only a few
    standard errors from 0, the interval by linearisation is far too narrow, and this one is wide and lopsided (Fieller,
    Journal of the Royal Statistical Society B 16, 1954, https://doi.org/10.1111/j.2517-6161.1954.tb00159.x). As in
    `estimate`, one pseudo-query of mean weight is added to the spread of each.

    Args:
        numerator: (n_queries,) NaN where a query is left out.
        denominator: (n_queries,) NaN where a query is left out.
        weights: (n_queries,) what each query counts.
        groups: (n_queries,) group numbers.
        can_vary: (n_queries,) False where the numerator is 0 whatever was logged.
        level: Coverage aimed at.

    Returns:
        The ends, or None where the denominator is not told from 0, so that any ratio is possible.
    """
    kept = ~np.isnan(numerator + denominator)
    numbers, of_query = np.unique(groups[kept], return_inverse=True)
    weight = weights[kept]
    sizes = np.bincount(of_query, weights=weight)
    sums = np.array([np.bincount(of_query, weights=weight * each[kept]) for each in (numerator, denominator)])
    totals = sums.sum(axis=1)
    residuals = sums - totals[:, None] / sizes.sum() * sizes
    covariance = len(numbers) / max(len(numbers) - 1, 1) * residuals @ residuals.T
    pseudo = float(weight.mean() ** 2)
    covariance += np.diag([pseudo if can_vary[kept].any() else 0.0, pseudo])
    t = float(stdtrit(max(len(numbers) - 1, 1), 0.5 + level / 2))
    slack = np.outer(totals, totals) - t**2 * covariance
    if not slack[1, 1] > 0:
        return None
    root = math.sqrt(max(slack[0, 1] ** 2 - slack[1, 1] * slack[0, 0], 0.0))
    return float((slack[0, 1] - root) / slack[1, 1]), float((slack[0, 1] + root) / slack[1, 1])
