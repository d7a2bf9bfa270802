"""Gain against the number of logged queries, and what twice the logs would buy.

Policies are learnt on nested random subsets of the query groups, and measured out of fold on the subset itself. The
points share their queries, so they are correlated: what is said of the curve rests on their covariance, from how each
group moves all of them, widened by what folds share, to which the spread of the random subsets is added.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.special import stdtrit

from prompt_oirl.arrays import BoolArray, FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.evaluation.cross_validation import CrossValidation
from prompt_oirl.evaluation.estimate import Estimate, Outcomes, estimate
from prompt_oirl.evaluation.gains import fold_widening, gain_outcomes
from prompt_oirl.evaluation.scores import mean_over_known
from prompt_oirl.randomness import generator
from prompt_oirl.splits import Grouping

__all__ = ["DataSizeCurve", "DataSizePoint", "Extrapolation", "data_size_curve"]

_EXPONENTS = (0.0, 0.25, 0.5, 1.0)
"""Of the power laws gain = a - b·n^-c that are fitted; 0 stands for a + b·log n, which never saturates."""

_FEWEST_POINTS = 3

_SHARE_OF_AVERAGE = 0.5
"""Below that share of the average over the curve, what the last doubling added is said beside it."""


@dataclass(frozen=True)
class DataSizePoint:
    """The gain with some of the logged queries."""

    fraction: float
    """Share of the query groups."""

    n_queries: int
    """Mean number of queries over the seeds."""

    n_groups: int
    """Mean number of query groups over the seeds."""

    gain: Estimate
    """Over the best single prompt, the mean over the seeds; the interval holds for the random subsets too."""

    gain_by_seed: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self)


@dataclass(frozen=True)
class Extrapolation:
    """What twice the logs would buy, if the curve went on as it went so far: no measurement."""

    n_queries: int

    gain: float
    """The last point's, and what the power law that fits the points best adds to it."""

    low: float
    """The lowest lower end of the intervals of all the power laws tried."""

    high: float
    """The highest upper end."""

    exponent: float
    """Of the best fitting law gain = a - b·n^-c; 0 stands for a + b·log n."""

    level: float

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self)


@dataclass(frozen=True)
class DataSizeCurve:
    """Gain against the number of logged queries."""

    points: tuple[DataSizePoint, ...]
    """By rising number of queries; the last is with all of them."""

    per_doubling: Estimate
    """What doubling the queries added on average over the curve: the slope of the gain over log₂ of their number."""

    twice: Extrapolation | None
    """None where the curve is flat within noise, which says nothing about more logs."""

    reason: str
    """Why there is an extrapolation or none, in one clause."""

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON can hold it."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{point.n_queries:>7,} queries: gain {point.gain}" for point in self.points]
        return "\n".join([*lines, f"a doubling added {self.per_doubling}", self.reason])


def data_size_curve(
    gain_at: Callable[[Demonstrations, int], CrossValidation],
    demonstrations: Demonstrations,
    *,
    fractions: Sequence[float] = (0.125, 0.25, 0.5, 1.0),
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    by: Grouping = "template",
    level: float = 0.95,
) -> DataSizeCurve:
    """Measure the gain with nested random subsets of the query groups.

    Args:
        gain_at: Given the demonstrations of a subset and a seed, returns the choices of policies that have not seen
            the query's group, as `cross_validate` does.
        demonstrations: All training demonstrations.
        fractions: Shares of the query groups, rising, at least two; the last one is 1.
        seeds: Of the subsets and of the folds in them, at least two.
        by: What makes a group of queries.
        level: Coverage of the intervals.

    Raises:
        ParameterError: Fractions or seeds are not as said.
        DataError: On some subset fewer than two groups of queries have trials of both prompts.
    """
    _check(fractions, seeds)
    learnable = demonstrations.select_queries(np.flatnonzero(demonstrations.trials.any(axis=1)))
    groups = learnable.groups(by)
    runs = [[_run(gain_at, learnable, groups, fraction, seed) for seed in seeds] for fraction in fractions]
    points = [_point(learnable, groups, fraction, run, level) for fraction, run in zip(fractions, runs, strict=True)]
    sizes = np.array([point.n_queries for point in points], dtype=np.float64)
    known = np.array([point.gain.n_queries for point in points], dtype=np.float64)
    covariance = _covariance(learnable, groups, runs)
    t = float(stdtrit(max(points[0].gain.n_groups - 1, 1), 0.5 + level / 2))
    halves = t * np.sqrt(np.diag(covariance))
    widened = [_widen(point, float(half)) for point, half in zip(points, halves, strict=True)]
    gains = np.array([point.gain.value for point in points], dtype=np.float64)
    slope = _slope(np.log2(sizes), gains, known, covariance)
    per_doubling = _around(points[-1].gain, slope[0], t * slope[1])
    twice = _extrapolate(sizes, gains, known, covariance, t, level) if per_doubling.low > 0 else None
    return DataSizeCurve(tuple(widened), per_doubling, twice, _reason(per_doubling, twice, points))


@dataclass(frozen=True, eq=False)
class _Run:
    """One subset, and what was gained there."""

    rows: IntArray
    """Indices of its queries."""

    differences: FloatArray
    """(n_queries,) of all demonstrations: what `gain_outcomes` makes of choice and baseline; NaN outside the subset."""

    can_vary: BoolArray
    """(n_queries,) whether the two chose different prompts that were both tried."""

    n_trials: int

    n_left_out: int

    n_folds: int | None
    """Of the cross-validation; None where it was none."""


def _run(
    gain_at: Callable[[Demonstrations, int], CrossValidation],
    demonstrations: Demonstrations,
    groups: IntArray,
    fraction: float,
    seed: int,
) -> _Run:
    order = generator(seed).permutation(int(groups.max()) + 1)
    kept = order[: max(2, round(fraction * len(order)))]
    rows = np.flatnonzero(np.isin(groups, kept))
    part = demonstrations.select_queries(rows)
    found = gain_at(part, seed)
    outcomes = gain_outcomes(part, [(found.choices, found.baseline)], groups=groups[rows])
    known = outcomes.known
    if len(np.unique(groups[rows[known]])) < 2:
        raise DataError(
            f"with {len(rows)} of {demonstrations.n_queries} queries fewer than two groups have trials of both the "
            "chosen and the best single prompt; start with a larger fraction, or log every prompt on every query"
        )
    differences: FloatArray = np.full(demonstrations.n_queries, np.nan)
    differences[rows] = outcomes.values
    can_vary: BoolArray = np.zeros(demonstrations.n_queries, dtype=np.bool_)
    can_vary[rows] = outcomes.can_vary
    return _Run(
        rows=rows,
        differences=differences,
        can_vary=can_vary,
        n_trials=int(part.trials.sum()),
        n_left_out=int((~known).sum()),
        n_folds=found.n_shared_folds,
    )


def _point(
    demonstrations: Demonstrations, groups: IntArray, fraction: float, runs: Sequence[_Run], level: float
) -> DataSizePoint:
    weights = demonstrations.repeats.astype(np.float64)
    outcomes = Outcomes(
        values=mean_over_known(np.array([run.differences for run in runs])),
        weights=_weights(weights, runs),
        groups=groups,
        n_trials=round(float(np.mean([run.n_trials for run in runs]))),
        can_vary=np.any([run.can_vary for run in runs], axis=0),
    )
    by_seed = [_mean(run.differences, weights) for run in runs]
    n_left_out = round(float(np.mean([run.n_left_out for run in runs])))
    found = replace(estimate(outcomes, bounds=(-1.0, 1.0), level=level), n_left_out=n_left_out)
    return DataSizePoint(
        fraction=fraction,
        n_queries=round(float(np.mean([len(run.rows) for run in runs]))),
        n_groups=round(float(np.mean([len(np.unique(groups[run.rows])) for run in runs]))),
        gain=found,
        gain_by_seed=tuple(by_seed),
    )


def _weights(weights: FloatArray, runs: Sequence[_Run]) -> FloatArray:
    """Return (n_queries,) what each query counts: how often it was asked, times the seeds that have it."""
    n_seeds = np.sum([~np.isnan(run.differences) for run in runs], axis=0)
    weighted: FloatArray = weights * n_seeds
    return weighted


def _mean(differences: FloatArray, weights: FloatArray) -> float:
    known = ~np.isnan(differences)
    return float(np.average(differences[known], weights=weights[known]))


def _covariance(demonstrations: Demonstrations, groups: IntArray, runs: Sequence[Sequence[_Run]]) -> FloatArray:
    """Return (n_points, n_points) the covariance of the points: how each group moves them, and the subsets' spread."""
    weights = demonstrations.repeats.astype(np.float64)
    influences, spreads = [], []
    for of_point in runs:
        values = mean_over_known(np.array([run.differences for run in of_point]))
        weighted = np.where(np.isnan(values), 0.0, _weights(weights, of_point))
        mean = float(weighted @ np.nan_to_num(values) / weighted.sum())
        moved = np.bincount(groups, weights=weighted * (np.nan_to_num(values) - mean))
        widening = fold_widening(of_point[0].n_folds, n_runs=len(of_point))
        influences.append(widening * moved / weighted.sum())
        can_vary = any(run.can_vary.any() for run in of_point)
        pseudo = weighted[weighted > 0].mean() / weighted.sum() if can_vary else 0.0
        by_seed = [_mean(run.differences, weights) for run in of_point]
        spreads.append(pseudo**2 + float(np.var(by_seed, ddof=1)) / len(by_seed))
    moved_by_group = np.array(influences)
    n_groups = moved_by_group.shape[1]
    covariance: FloatArray = n_groups / (n_groups - 1) * moved_by_group @ moved_by_group.T + np.diag(spreads)
    return covariance


def _widen(point: DataSizePoint, half: float) -> DataSizePoint:
    return replace(point, gain=_around(point.gain, point.gain.value, half))


def _around(like: Estimate, value: float, half: float) -> Estimate:
    return replace(like, value=value, low=max(value - half, -1.0), high=min(value + half, 1.0))


def _weighted_fit(design: FloatArray, known: FloatArray) -> FloatArray:
    """Return (n_coefficients, n_points) what turns the points into coefficients by weighted least squares.

    The weights are the numbers of queries that the points rest on, and not their estimated variances: a point at which
    hardly another prompt was chosen has next to none, and would decide the whole curve.
    """
    fit: FloatArray = np.linalg.solve((design.T * known) @ design, design.T * known)
    return fit


def _slope(x: FloatArray, gains: FloatArray, known: FloatArray, covariance: FloatArray) -> tuple[float, float]:
    """Return the slope of the gains over x, and its standard error."""
    of_points = _weighted_fit(np.column_stack([np.ones_like(x), x]), known)[1]
    return float(of_points @ gains), math.sqrt(float(of_points @ covariance @ of_points))


def _extrapolate(
    sizes: FloatArray, gains: FloatArray, known: FloatArray, covariance: FloatArray, t: float, level: float
) -> Extrapolation | None:
    """Return the last point, and what each law adds from there to twice the queries."""
    if len(sizes) < _FEWEST_POINTS:
        return None
    last = np.eye(len(sizes))[-1]
    found = []
    for exponent in _EXPONENTS:
        design = np.column_stack([np.ones_like(sizes), _law(sizes, exponent)])
        fit = _weighted_fit(design, known)
        added = float(np.diff(_law(sizes[-1] * np.array([1.0, 2.0]), exponent))[0])
        at_twice: FloatArray = last + added * fit[1]
        value, half = float(at_twice @ gains), t * math.sqrt(float(at_twice @ covariance @ at_twice))
        misfit = float((((design @ fit - np.eye(len(sizes))) @ gains) ** 2 * known).sum())
        found.append((misfit, exponent, value, half))
    _, exponent, value, _ = min(found)
    return Extrapolation(
        n_queries=int(2 * sizes[-1]),
        gain=float(np.clip(value, -1, 1)),
        low=max(min(value - half for *_, value, half in found), -1.0),
        high=min(max(value + half for *_, value, half in found), 1.0),
        exponent=exponent,
        level=level,
    )


def _law(sizes: FloatArray, exponent: float) -> FloatArray:
    law: FloatArray = -(sizes**-exponent) if exponent else np.log(sizes)
    return law


def _last_doubling(points: Sequence[DataSizePoint]) -> float:
    """Return what the last point that has more queries than the one before it added, per doubling of the queries."""
    before, last = next(pair for pair in reversed(list(pairwise(points))) if pair[0].n_queries < pair[1].n_queries)
    return (last.gain.value - before.gain.value) / math.log2(last.n_queries / before.n_queries)


def _reason(per_doubling: Estimate, twice: Extrapolation | None, points: Sequence[DataSizePoint]) -> str:
    added = (
        f"a doubling added {100 * per_doubling.value:+.1f} points "
        f"[{100 * per_doubling.low:+.1f}, {100 * per_doubling.high:+.1f}]"
    )
    if per_doubling.high < 0:
        return f"{added}: with more logs the gain fell, so nothing is said about still more"
    if per_doubling.low <= 0:
        return f"{added}: the curve is flat within noise, so nothing is said about more logs"
    if twice is None:
        return f"{added}; fewer than {_FEWEST_POINTS} fractions were measured, too few to extrapolate"
    goes_on, last_doubling = "; if that goes on", _last_doubling(points)
    if last_doubling < _SHARE_OF_AVERAGE * per_doubling.value:
        goes_on = (
            f" on average over all points, but the last one {100 * last_doubling:+.1f}; "
            "if the fit to all points goes on"
        )
    return (
        f"{added}{goes_on}, {twice.n_queries:,} queries would gain {100 * twice.gain:+.1f} points "
        f"[{100 * twice.low:+.1f}, {100 * twice.high:+.1f}]: an extrapolation, no measurement"
    )


def _check(fractions: Sequence[float], seeds: Sequence[int]) -> None:
    is_rising = all(a < b for a, b in pairwise(fractions))
    if len(fractions) < 2 or not is_rising or not fractions[0] > 0 or fractions[-1] != 1:
        raise ParameterError(
            f"fractions={tuple(fractions)}: at least two rising shares are needed, above 0, the last one 1, such as "
            "(0.25, 0.5, 1)"
        )
    if len(seeds) < 2 or len(set(seeds)) < len(seeds):
        raise ParameterError(f"seeds={tuple(seeds)}: at least two different ones are needed, to see their spread")
