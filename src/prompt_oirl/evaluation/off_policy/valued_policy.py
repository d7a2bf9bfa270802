"""One policy and what the estimators say of it, alone and less a baseline."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from prompt_oirl.arrays import BoolArray, FloatArray
from prompt_oirl.evaluation.estimate import Estimate, Outcomes, estimate
from prompt_oirl.evaluation.off_policy.estimators import (
    NEED_SCORES,
    Contributions,
    Estimator,
    Tuning,
    contributions,
    rests_on,
)
from prompt_oirl.evaluation.off_policy.evidence import Evidence
from prompt_oirl.evaluation.off_policy.result import GAINS, SUCCESS_RATES, OffPolicyEstimate
from prompt_oirl.evaluation.off_policy.support import Support

__all__ = ["ValuedPolicy", "ask"]


@dataclass(frozen=True, eq=False)
class ValuedPolicy:
    """A policy with all that is needed to value it."""

    name: str
    """What messages call it."""

    probabilities: FloatArray
    """(n_queries, n_prompts)"""

    evidence: Evidence

    scores: FloatArray | None
    """(n_queries, n_prompts) of the direct model."""

    tuning: Tuning

    support: Support | None
    """None where only the direct method is used."""

    level: float

    @property
    def is_clipped(self) -> bool:
        """Whether a probability that its value is divided by was raised."""
        return self.support is not None and self.support.n_clipped > 0

    def refusal(self, estimator: Estimator) -> str | None:
        """Return why an estimator cannot tell, and the way out; None where it can."""
        if estimator in NEED_SCORES and self.scores is None:
            return "it needs a direct model: give scores"
        support = self.support
        if estimator == "dm" or support is None or support.is_enough:
            return None
        if not support.n_matched:
            return f"no logged decision has a prompt that the {self.name} would choose: explore, and log propensities"
        lost = f"logging put nothing where {100 * support.lost_overlap:.1f} %"
        if support.is_overlap_to_blame:
            more = "" if support.is_overlap_exact else " or more"
            return (
                f"{lost}{more} of the {self.name}'s weight lies; what is not logged can only be guessed by the direct "
                "model: explore, and evaluate on what comes then"
            )
        return (
            f"the {self.name}'s weights average {support.mean_weight.value:.2f}, where right propensities and full "
            f"overlap give 1: propensities are likely wrong, or {lost} or more of its weight lies; check that each is "
            "the probability of the logged prompt"
        )

    def contributions(self, estimator: Estimator) -> Contributions:
        """Return what each query adds to the value."""
        return contributions(estimator, self.evidence, self.probabilities, self.scores, self.tuning)

    def value(self, estimator: Estimator) -> Estimate:
        """Return the ratio with its interval; degrees of freedom are those of groups with a weighted trial."""
        found = self.contributions(estimator)
        can_vary = None if estimator == "dm" else self._has_weight(self.probabilities)
        outcomes = self._outcomes(estimator, found.numerator, self.probabilities, can_vary)
        return _cut(estimate(outcomes, per=self._per_asked(found.denominator), level=self.level), SUCCESS_RATES)

    def gain(self, estimator: Estimator, baseline: ValuedPolicy) -> Estimate:
        """Return the value less the baseline's, paired by query: ratios are linearised, which changes no value."""
        asked, difference = self.evidence.asked, self.probabilities - baseline.probabilities
        sums = self.contributions(estimator).linearised(asked) - baseline.contributions(estimator).linearised(asked)
        can_vary: BoolArray = (difference != 0).any(axis=1)
        if estimator != "dm":
            can_vary &= self._has_weight(difference)
        return _cut(estimate(self._outcomes(estimator, sums, difference, can_vary), level=self.level), GAINS)

    def is_told_from(self, baseline: ValuedPolicy) -> bool:
        """Return whether trials of both are there where the two differ, or they differ nowhere."""
        evidence, difference = self.evidence, self.probabilities - baseline.probabilities
        if not difference[evidence.asked > 0].any():
            return True
        of_trials = difference[evidence.rows, evidence.chosen]
        return bool((of_trials > 0).any() and (of_trials < 0).any())

    def _has_weight(self, probabilities: FloatArray) -> BoolArray:
        evidence = self.evidence
        has_weight: BoolArray = evidence.sums((probabilities[evidence.rows, evidence.chosen] != 0) * 1.0) > 0
        return has_weight

    def _outcomes(
        self, estimator: Estimator, sums: FloatArray, probabilities: FloatArray, can_vary: BoolArray | None
    ) -> Outcomes:
        """Return the outcomes; the pseudo-query weighs what one trial more could, if that is more than a query does.

        That is the largest weight for a reward, and a typical one for a direct model's residual, which is smaller.
        """
        evidence = self.evidence
        weight = float(evidence.asked[evidence.asked > 0].mean())
        if estimator != "dm":
            of_trial = evidence.typical_weight if estimator in NEED_SCORES else evidence.largest_weight
            weight = max(weight, of_trial(probabilities))
        return Outcomes(
            self._per_asked(sums), evidence.asked, evidence.groups, len(evidence.rows), can_vary, pseudo_weight=weight
        )

    def _per_asked(self, sums: FloatArray) -> FloatArray:
        per: FloatArray = np.full(len(sums), np.nan)
        np.divide(sums, self.evidence.asked, out=per, where=self.evidence.asked > 0)
        return per


def _cut(found: Estimate, possible: tuple[float, float]) -> Estimate:
    """Return an estimate whose interval ends at what is possible; the value stays, for a cut one would be biased."""
    low, high = np.clip((found.low, found.high), *possible).tolist()
    return replace(found, low=low, high=high)


def ask(estimator: Estimator, policy: ValuedPolicy, baseline: ValuedPolicy | None) -> OffPolicyEstimate:
    """Return what an estimator says of a policy, of the baseline if there is one, and of the gain."""
    refusals = {each.name: each.refusal(estimator) for each in (policy, baseline) if each is not None}
    is_whole = baseline is not None and not any(refusals.values())
    if is_whole and baseline is not None and estimator != "dm" and not policy.is_told_from(baseline):
        is_whole = False
        refusals["gain"] = "where policy and baseline differ, no decision has the prompt of one of them: explore more"
    return OffPolicyEstimate(
        estimator=estimator,
        rests_on=rests_on(estimator, is_clipped=any(each.is_clipped for each in (policy, baseline) if each)),
        value=None if refusals[policy.name] else policy.value(estimator),
        baseline_value=None if baseline is None or refusals[baseline.name] else baseline.value(estimator),
        gain=policy.gain(estimator, baseline) if is_whole and baseline is not None else None,
        refusal="; ".join(dict.fromkeys(each for each in refusals.values() if each)) or None,
        tuned=None if refusals[policy.name] else policy.contributions(estimator).tuned,
    )
