"""Whether another prompt is as much better than the best single one as its score says."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from prompt_oirl.arrays import BoolArray, FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError
from prompt_oirl.evaluation import Estimate
from prompt_oirl.evaluation.estimate import Outcomes, estimate

__all__ = ["AdvantageCalibration", "CalibrationBin", "calibrate_advantages"]


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Comparisons (query × other prompt) of about the same predicted advantage."""

    predicted: float
    """Mean predicted advantage over the best single prompt."""

    measured: Estimate
    """Mean measured difference in success."""

    n_comparisons: int


@dataclass(frozen=True)
class AdvantageCalibration:
    """Predicted advantages over the best single prompt, beside what was measured on queries held out."""

    bins: tuple[CalibrationBin, ...]
    """By predicted advantage, about as many comparisons in each."""

    slope: Estimate | None
    """How much of what the model says beyond each prompt's mean advantage is there: 1 all of it, 0 nothing. None where
    the model says nothing beyond it."""

    n_comparisons: int

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class _Comparisons:
    """(n_queries, n_prompts) predicted and measured advantages; NaN where one of the two prompts was not tried."""

    predicted: FloatArray
    measured: FloatArray
    weights: FloatArray
    groups: IntArray
    trials: IntArray

    def mean_per_query(self, values: FloatArray, within: BoolArray) -> tuple[FloatArray, FloatArray]:
        """Return (n_queries,) means over the comparisons of each query that are meant, and how much they weigh."""
        n = within.sum(axis=1)
        means: FloatArray = np.full(len(n), np.nan)
        np.divide(np.where(within, values, 0.0).sum(axis=1), n, out=means, where=n > 0)
        return means, self.weights * n

    def estimate(self, values: FloatArray, within: BoolArray, level: float, per: FloatArray | None = None) -> Estimate:
        means, weights = self.mean_per_query(values, within)
        divisor = None if per is None else self.mean_per_query(per, within)[0]
        outcomes = Outcomes(values=means, weights=weights, groups=self.groups, n_trials=int(self.trials[within].sum()))
        return estimate(outcomes, per=divisor, level=level)


def calibrate_advantages(
    demonstrations: Demonstrations,
    scores: FloatArray,
    *,
    best_single: int,
    groups: IntArray,
    level: float = 0.95,
    n_bins: int = 10,
) -> AdvantageCalibration:
    """Compare predicted advantages with measured ones.

    Args:
        demonstrations: Held-out demonstrations.
        scores: (n_queries, n_prompts) in units of the success rate.
        best_single: Index of the prompt that the others are compared with.
        groups: (n_queries,) group numbers.
        level: Coverage of the intervals.
        n_bins: Number of bins; fewer where scores are tied.

    Raises:
        DataError: No query has trials of the best single prompt and of another one.
    """
    compared = _compare(demonstrations, scores, best_single, groups)
    is_known = ~np.isnan(compared.measured)
    if not is_known.any():
        raise DataError("no query has trials of both the best single prompt and another one, so none can be compared")
    edges = np.unique(np.quantile(compared.predicted[is_known], np.linspace(0, 1, n_bins + 1)[1:-1]))
    bin_of = np.searchsorted(edges, compared.predicted, side="right")
    bins = [_bin(compared, is_known & (bin_of == number), level) for number in range(len(edges) + 1)]
    return AdvantageCalibration(
        bins=tuple(each for each in bins if each is not None),
        slope=_slope(compared, is_known, level),
        n_comparisons=int(is_known.sum()),
    )


def _compare(demonstrations: Demonstrations, scores: FloatArray, best_single: int, groups: IntArray) -> _Comparisons:
    measured = demonstrations.rewards - demonstrations.rewards[:, [best_single]]
    measured[:, best_single] = np.nan
    return _Comparisons(
        predicted=scores - scores[:, [best_single]],
        measured=measured,
        weights=demonstrations.repeats.astype(np.float64),
        groups=groups,
        trials=demonstrations.trials,
    )


def _bin(compared: _Comparisons, within: BoolArray, level: float) -> CalibrationBin | None:
    if len(np.unique(compared.groups[within.any(axis=1)])) < 2:
        return None
    means, weights = compared.mean_per_query(compared.predicted, within)
    known = weights > 0
    return CalibrationBin(
        predicted=float(np.average(means[known], weights=weights[known])),
        measured=compared.estimate(compared.measured, within, level),
        n_comparisons=int(within.sum()),
    )


def _slope(compared: _Comparisons, is_known: BoolArray, level: float) -> Estimate | None:
    """Regress measured on predicted advantages, the mean of each prompt taken off both."""
    predicted, measured = (
        _centred(part, is_known, compared.weights) for part in (compared.predicted, compared.measured)
    )
    if not np.abs(predicted[is_known]).max() > 1e-9:
        return None
    scale = float(np.sqrt(np.mean(predicted[is_known] ** 2)))
    predicted = predicted / scale
    return compared.estimate(measured * predicted / scale, is_known, level, per=predicted**2)


def _centred(values: FloatArray, is_known: BoolArray, weights: FloatArray) -> FloatArray:
    """Return values less each prompt's mean over the comparisons that are known, 0 elsewhere."""
    total = (is_known * weights[:, None]).sum(axis=0)
    means = np.zeros(values.shape[1])
    np.divide((np.where(is_known, values, 0.0) * weights[:, None]).sum(axis=0), total, out=means, where=total > 0)
    centred: FloatArray = np.where(is_known, values - means, 0.0)
    return centred
