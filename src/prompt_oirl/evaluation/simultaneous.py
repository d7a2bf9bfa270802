"""How far bounds must be moved out so that several hold at once: the max-t quantile of estimates that move together.

A lower bound at 95 % is too high one time in twenty; the best of six such bounds, oftener. Bonferroni's remedy is for
estimates that know nothing of each other. Gains on the same queries move together, and then less will do: the quantile
of the largest of their standardised errors (Dudoit and van der Laan, Multiple Testing Procedures with Applications to
Genomics, 2008; the Gaussian multiplier bootstrap of Chernozhukov, Chetverikov and Kato, Annals of Statistics 41, 2013,
https://doi.org/10.1214/13-AOS1161).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import ndtr, ndtri

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.evaluation.gains import average_gain, gain_influences

__all__ = ["SimultaneousBounds", "one_sided_level", "simultaneous_bounds", "simultaneous_quantile"]

_N_DRAWS = 1 << 16
"""With these the quantile is known to about .01."""


def simultaneous_quantile(influences: FloatArray, confidence: float, *, seed: int = 0) -> float:
    """Return how many standard errors under its estimate each lower bound must lie, for all to hold at once.

    Every group of queries gets a Gaussian multiplier, the same for all estimates; the quantile is of the largest sum of
    multiplied influences, each in units of its standard error. Given the influences these sums are exactly normal with
    the correlations of the influences, and are drawn so: what a bootstrap of the groups would give, whatever their
    number. An estimate that no group moves needs no bound.

    Args:
        influences: (n_groups, n_estimates), as `gain_influences` gives each column.
        confidence: That all the one-sided bounds hold, strictly between 0.5 and 1.
        seed: Of the draws, which stand for an integral: another seed moves the quantile by about .01.

    Returns:
        From the normal quantile for one bound up to Bonferroni's; the former for one estimate, and for several that
        are the same.

    Raises:
        ParameterError: The confidence is out of its range.
        DataError: There is no estimate, or a number is not finite.
    """
    if not 0.5 < confidence < 1:
        raise ParameterError(f"confidence={confidence}: a number above 0.5 and below 1 is needed")
    if influences.ndim != 2 or not influences.shape[1] or not np.isfinite(influences).all():
        raise DataError(
            f"influences of shape {influences.shape}: finite (n_groups, n_estimates), at least one estimate"
        )
    sizes = np.linalg.norm(influences, axis=0)
    moving = influences[:, sizes > 0] / sizes[sizes > 0]
    n_moving = max(moving.shape[1], 1)
    lowest, highest = float(ndtri(confidence)), float(ndtri(1 - (1 - confidence) / n_moving))
    if n_moving == 1:
        return lowest
    largest = (_draws(n_moving, seed) @ _root(moving.T @ moving)).max(axis=1)
    return float(np.clip(np.quantile(largest, confidence), lowest, highest))


def one_sided_level(quantile: float) -> float:
    """Return the level of a two-sided interval whose ends lie that many standard errors out, for `gain` and `estimate`.

    With few groups they take Student's t of that level, and so lie further out.
    """
    return float(2 * ndtr(quantile) - 1)


@dataclass(frozen=True)
class SimultaneousBounds:
    """Lower bounds of several gains that hold all at once."""

    lows: tuple[float, ...]

    critical_value: float
    """How many standard errors under the gain each lies; with few groups a little further, by Student's t. Standard
    errors of cross-validated gains allow for what folds share."""


def simultaneous_bounds(
    demonstrations: Demonstrations,
    pairs: Sequence[Sequence[tuple[IntArray, IntArray]]],
    *,
    groups: IntArray,
    n_folds: int | None = None,
    confidence: float,
) -> SimultaneousBounds:
    """Return lower bounds of several gains, which hold all at once.

    How many standard errors out they lie is by how the gains move together, which folds do not change; how wide a
    standard error is, by `average_gain` with the folds.

    Args:
        demonstrations: Held-out demonstrations, as for `average_gain`.
        pairs: For each gain the (choices, baseline) of its runs, each (n_queries,).
        groups: (n_queries,) group numbers.
        n_folds: Number of folds, where the runs are cross-validations; None where they are not.
        confidence: That all the bounds hold, strictly between 0.5 and 1.

    Raises:
        ParameterError: The confidence is out of its range.
        DataError: There are no pairs, or fewer than two groups of queries have trials of both prompts.
    """
    influences = [gain_influences(demonstrations, each, groups=groups) for each in pairs]
    critical_value = simultaneous_quantile(np.column_stack(influences), confidence)
    level = one_sided_level(critical_value)
    gains = [average_gain(demonstrations, each, groups=groups, n_folds=n_folds, level=level) for each in pairs]
    return SimultaneousBounds(tuple(each.low for each in gains), critical_value)


@lru_cache(maxsize=16)
def _draws(n: int, seed: int) -> FloatArray:
    draws: FloatArray = np.random.default_rng([seed, n]).standard_normal((_N_DRAWS, n))
    draws.setflags(write=False)
    return draws


def _root(correlations: FloatArray) -> FloatArray:
    """Return the symmetric square root of correlations that may be singular: two estimates can be one and the same."""
    values, vectors = np.linalg.eigh(correlations)
    root: FloatArray = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return root
