"""The estimators, each as a sum over queries; definitions as in the Open Bandit Pipeline (arXiv 2008.07146, appendix).

Notation: w = π(a|x) / p(a|x) the importance weight of a logged trial, r its reward, q̂ the direct model's scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.evaluation.off_policy.evidence import Evidence

__all__ = ["ESTIMATORS", "NEED_SCORES", "Contributions", "Estimator", "Tuning", "contributions", "rests_on"]

Estimator = Literal["ips", "snips", "dm", "dr", "switch_dr", "dr_os"]

ESTIMATORS: tuple[Estimator, ...] = ("ips", "snips", "dm", "dr", "switch_dr", "dr_os")

NEED_SCORES: frozenset[Estimator] = frozenset({"dm", "dr", "switch_dr", "dr_os"})

_RESTS_ON: dict[Estimator, str] = {
    "ips": "the propensities alone",
    "snips": "the propensities, up to a common factor",
    "dm": "the direct model alone, whose error the interval leaves out",
    "dr": "the propensities; the direct model only narrows the interval",
    "switch_dr": "the propensities, but the direct model where weights are too large",
    "dr_os": "the propensities, drawn towards the direct model where weights are large",
}
_RESTS_ON_CLIPPED = _RESTS_ON | {
    "ips": "the propensities alone, and is biased where they were clipped",
    "snips": "the propensities, up to a common factor, and is biased where they were clipped",
    "dr": "the propensities, but the direct model where they were clipped",
    "switch_dr": "the propensities, but the direct model where they were clipped or weights are too large",
    "dr_os": "the propensities, drawn towards the direct model where they were clipped or weights are large",
}

_N_CANDIDATES = 20
_SHRINKAGES = (0.01, 0.1, 1.0, 10.0, 100.0, math.inf)
"""Candidates for λ, as multiples of the largest weight's square."""


def rests_on(estimator: Estimator, *, is_clipped: bool) -> str:
    """Return what must be right for an estimate to be right.

    Args:
        estimator: Which.
        is_clipped: Whether a probability that it divides by was raised.
    """
    return (_RESTS_ON_CLIPPED if is_clipped else _RESTS_ON)[estimator]


class Tuning(NamedTuple):
    """What two of the estimators are set by; None to have it chosen."""

    switch_at: float | None = None
    """τ of `switch_dr`: the direct model stands in where a weight is larger."""

    shrinkage: float | None = None
    """λ of `dr_os`: weights become λ·w / (w² + λ)."""


@dataclass(frozen=True, eq=False)
class Contributions:
    """What each query adds to an estimate Σ numerator / Σ denominator."""

    numerator: FloatArray
    """(n_queries,)"""

    denominator: FloatArray
    """(n_queries,)"""

    tuned: float | None = None
    """τ or λ, where the estimator has one; None too where λ is infinite: nothing is shrunk."""

    @property
    def value(self) -> float:
        """The estimate."""
        return float(self.numerator.sum() / self.denominator.sum())

    def linearised(self, asked: FloatArray) -> FloatArray:
        """Return (n_queries,) sums whose mean per asked query is the value, and whose spread is that of the ratio."""
        value = self.value
        scale = asked.sum() / self.denominator.sum()
        sums: FloatArray = asked * value + scale * (self.numerator - value * self.denominator)
        return sums


def contributions(
    estimator: Estimator, evidence: Evidence, policy: FloatArray, scores: FloatArray | None, tuning: Tuning
) -> Contributions:
    """Return what each query adds to an estimate of a policy's value.

    Args:
        estimator: Which.
        evidence: Scored trials.
        policy: (n_queries, n_prompts) probabilities of the policy.
        scores: (n_queries, n_prompts) of the direct model; None for those that need none.
        tuning: Of `switch_dr` and `dr_os`.
    """
    if estimator == "dm":
        return Contributions(_direct(evidence, policy, scores), evidence.asked)
    weights = evidence.weights(policy)
    if estimator == "ips":
        return Contributions(evidence.sums(weights * evidence.rewards), evidence.asked)
    if estimator == "snips":
        return Contributions(evidence.sums(weights * evidence.rewards), evidence.sums(weights))
    corrected = _Corrected(evidence, policy, weights, _direct(evidence, policy, scores), _residuals(evidence, scores))
    if estimator == "dr":
        return corrected.with_weights(weights)
    if estimator == "switch_dr":
        return corrected.switched(tuning.switch_at)
    return corrected.shrunk(tuning.shrinkage)


def _direct(evidence: Evidence, policy: FloatArray, scores: FloatArray | None) -> FloatArray:
    """Return (n_queries,) what each query is worth by the direct model."""
    expected: FloatArray = evidence.asked * (policy * _given(scores)).sum(axis=1)
    return expected


def _residuals(evidence: Evidence, scores: FloatArray | None) -> FloatArray:
    """Return (n_trials,) rewards less the direct model's scores."""
    residuals: FloatArray = evidence.rewards - _given(scores)[evidence.rows, evidence.chosen]
    return residuals


def _given(scores: FloatArray | None) -> FloatArray:
    if scores is None:
        raise TypeError("the direct model's scores are needed")
    return scores


@dataclass(frozen=True, eq=False)
class _Corrected:
    """The direct model's value, corrected by weighted residuals."""

    evidence: Evidence
    policy: FloatArray
    weights: FloatArray
    direct: FloatArray
    residuals: FloatArray

    def with_weights(self, weights: FloatArray, tuned: float | None = None) -> Contributions:
        numerator = self.direct + self.evidence.sums(weights * self.residuals)
        is_set = tuned is not None and math.isfinite(tuned)
        return Contributions(numerator, self.evidence.asked, tuned if is_set else None)

    def switched(self, at: float | None) -> Contributions:
        """Leave out the corrections of large weights (Wang, Agarwal and Dudík 2017, https://arxiv.org/abs/1612.01205)."""
        largest = self.weights.max(initial=0.0)
        found = np.unique(np.quantile(self.weights[self.weights > 0], np.linspace(0.5, 1, _N_CANDIDATES)))
        candidates = [at] if at is not None else [*found[found < largest].tolist(), float(largest)]
        return self._best(candidates, lambda tau, weights: np.where(weights <= tau, weights, 0.0))

    def shrunk(self, by: float | None) -> Contributions:
        """Shrink weights "optimistically" (Su et al. 2020, https://arxiv.org/abs/1907.09623)."""
        positive = self.weights[self.weights > 0]
        is_even = not len(positive) or np.ptp(positive) <= 1e-9 * positive.max()  # nothing for shrinking to even out
        multiples = (math.inf,) if is_even else _SHRINKAGES
        candidates = [by] if by is not None else [float(positive.max(initial=1.0) ** 2 * each) for each in multiples]
        return self._best(candidates, _shrunk)

    def _best(self, candidates: list[float], weigh: Callable[[float, FloatArray], FloatArray]) -> Contributions:
        """Return the candidate of least estimated squared error: variance, and the square of the largest possible bias.

        Where a weight loses a share of itself, the direct model's error stays in by that share, and it is at most 1
        (Wang, Agarwal and Dudík 2017, section 5).
        """

        def squared_error(by: float, found: Contributions) -> float:
            return _variance(found, self.evidence.groups) + self._lost(lambda weights: weigh(by, weights)) ** 2

        tried = [(each, self.with_weights(weigh(each, self.weights), each)) for each in candidates]
        _, best = min(reversed(tried), key=lambda pair: squared_error(*pair))
        return best

    def _lost(self, weigh: Callable[[FloatArray], FloatArray]) -> float:
        """Return the share of the policy that rests on the direct model; estimated where only the chosen is known."""
        evidence = self.evidence
        if evidence.logged is None:
            return float(evidence.sums(self.weights - weigh(self.weights)).sum() / evidence.asked.sum())
        policy, logged = self.policy[evidence.rows], evidence.logged
        weights: FloatArray = np.full(policy.shape, np.inf)
        np.divide(policy, np.maximum(logged, evidence.clip), out=weights, where=logged > 0)
        weights[policy == 0] = 0.0
        finite = np.isfinite(weights)
        kept: FloatArray = np.zeros(policy.shape)
        kept[finite] = weigh(weights[finite]) * logged[finite]
        return float(np.average((policy - kept).sum(axis=1), weights=evidence.unit_weights))


def _shrunk(by: float, weights: FloatArray) -> FloatArray:
    shrunk: FloatArray = weights if math.isinf(by) else by * weights / np.maximum(weights**2 + by, 1e-300)
    return shrunk


def _variance(found: Contributions, groups: IntArray) -> float:
    """Return the variance of the estimate, clustered by group."""
    residuals = np.bincount(groups, weights=found.numerator - found.value * found.denominator)
    return float(residuals @ residuals) / float(found.denominator.sum()) ** 2
