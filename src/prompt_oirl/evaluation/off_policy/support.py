"""How well logged decisions cover what a policy would choose: overlap, effective sample size, largest weight."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from prompt_oirl.arrays import FloatArray
from prompt_oirl.evaluation.estimate import Estimate, Outcomes, estimate
from prompt_oirl.evaluation.off_policy.evidence import Evidence

__all__ = ["MOST_LOST_OVERLAP", "Support", "support_of"]

MOST_LOST_OVERLAP = 0.01
"""Share of a policy's weight that may lie where logging put none. It is the most that an estimate by propensities can
be wrong by because of it, so beyond it such estimates are refused."""


_SURE = 0.999
"""With which probability logs of full overlap are not taken for others."""


@dataclass(frozen=True)
class Support:
    """What the logs say of one policy's choices."""

    overlap: float
    """Share of the policy's weight where logging had some: exact where every candidate's probability is known (logged,
    or all choices were certain), else the mean weight, at most 1."""

    is_overlap_exact: bool
    """Whether it is no estimate."""

    mean_weight: Estimate
    """Of the importance weights, with no clipping: 1 where propensities are right and overlap is full."""

    effective_sample_size: float
    """(Σw)² / Σw²: how many trials of equal weight tell as much (Kish 1965)."""

    n_matched: int
    """Trials that have a weight: their prompt is one that the policy may choose."""

    largest_weight: float

    n_clipped: int
    """Trials that have a weight and whose probability was raised to the clip."""

    cut_by_clip: float
    """Share of all weight that the clip took off."""

    lost_overlap: float
    """Share of the policy's weight where logging had none: exact, or the least that the mean weight allows."""

    never_logged: float
    """Share of the policy's weight on prompts that no scored trial has, for whatever query."""

    @property
    def is_enough(self) -> bool:
        """Whether estimates by propensities are about this policy."""
        return self.n_matched > 0 and self.lost_overlap <= MOST_LOST_OVERLAP

    @property
    def is_too_heavy(self) -> bool:
        """Whether the weights average more than right propensities give."""
        return self.mean_weight.low > 1 + MOST_LOST_OVERLAP

    @property
    def is_too_light(self) -> bool:
        """Whether they average less than right propensities give, and overlap is not what is lacking for sure."""
        if self.is_enough:
            return self.mean_weight.high < 1 - MOST_LOST_OVERLAP
        return not self.is_overlap_to_blame

    @property
    def is_overlap_to_blame(self) -> bool:
        """Whether it is lacking overlap that is short; else wrong propensities are the likelier cause.

        So it is where overlap is known, and where prompts that were never logged explain what the mean weight is short.
        """
        return self.n_matched == 0 or self.is_overlap_exact or self.never_logged >= self.lost_overlap


def support_of(evidence: Evidence, policy: FloatArray, *, level: float) -> Support:
    """Measure the support of a policy.

    Args:
        evidence: Scored trials with probabilities.
        policy: (n_queries, n_prompts) probabilities of the policy.
        level: Coverage of the interval of the mean weight.
    """
    weights, unclipped = evidence.weights(policy), evidence.weights(policy, clipped=False)
    mean_weight = _mean(evidence, unclipped, level)
    if evidence.logged is None:
        overlap, lost = mean_weight.value, _surely_lost(evidence, unclipped)
    else:
        could_be = (policy[evidence.rows] * (evidence.logged > 0)).sum(axis=1)
        overlap = float(np.average(could_be, weights=evidence.unit_weights))
        lost = 1 - overlap
    squares = float(np.sum((evidence.unit_weights * weights) ** 2))
    kept, whole = float(evidence.unit_weights @ weights), float(evidence.unit_weights @ unclipped)
    return Support(
        overlap=float(np.clip(overlap, 0.0, 1.0)),
        is_overlap_exact=evidence.logged is not None,
        mean_weight=mean_weight,
        effective_sample_size=kept**2 / squares if squares else 0.0,
        n_matched=int((weights > 0).sum()),
        largest_weight=float(weights.max(initial=0.0)),
        n_clipped=int((evidence.is_clipped & (weights > 0)).sum()),
        cut_by_clip=1 - kept / whole if whole else 0.0,
        lost_overlap=max(0.0, lost),
        never_logged=_never_logged(evidence, policy),
    )


def _never_logged(evidence: Evidence, policy: FloatArray) -> float:
    was_logged = np.bincount(evidence.chosen, minlength=policy.shape[1]) > 0
    return float(np.average(policy[evidence.rows][:, ~was_logged].sum(axis=1), weights=evidence.unit_weights))


def _surely_lost(evidence: Evidence, weights: FloatArray) -> float:
    """Return by how much the mean weight falls short of 1 beyond chance.

    A mean of non-negative independent weights falls short by t with a probability of at most exp(-n t² / 2 E[w²]). Rare
    large weights are missing in unlucky logs, from their mean square too: so what is short counts as having the largest
    weight that any logged probability gives. Weights are independent given the queries, so no groups are needed.
    """
    n, lowest = float(evidence.asked.sum()), evidence.lowest_probability
    counted = evidence.unit_weights * weights
    short = 1 - float(counted.sum()) / n
    square = float(counted @ counted) + max(short, 0.0) * n * float(evidence.unit_weights.max()) / lowest
    return short - math.sqrt(2 * math.log(1 / (1 - _SURE)) * square) / n


def _mean(evidence: Evidence, of_trials: FloatArray, level: float) -> Estimate:
    asked = evidence.asked
    means: FloatArray = np.full(len(asked), np.nan)
    np.divide(evidence.sums(of_trials), asked, out=means, where=asked > 0)
    return estimate(Outcomes(means, asked, evidence.groups, len(of_trials)), level=level)
