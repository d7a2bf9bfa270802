"""Which estimate to read, and what makes the estimates doubtful, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from prompt_oirl.evaluation.estimate import DOMINANT_SHARE, FEWEST_GROUPS
from prompt_oirl.evaluation.off_policy.estimators import Estimator
from prompt_oirl.evaluation.off_policy.evidence import Evidence
from prompt_oirl.evaluation.off_policy.result import OffPolicyEstimate
from prompt_oirl.evaluation.off_policy.support import MOST_LOST_OVERLAP, Support

__all__ = ["advice", "doubts"]

_WHY: dict[Estimator, str] = {
    "dr": "it is right where the propensities are, whatever the direct model is worth, and usually varies less than "
    "ips and snips, which use no model; dm shows what the model alone would say",
    "snips": "it is right where the propensities are and varies less than ips; with a direct model dr would usually "
    "vary less still",
    "ips": "it is right where the propensities are; snips and dr usually vary less",
    "switch_dr": "it is right where the propensities are, but for what it leaves to the direct model; dr leaves none",
    "dr_os": "it is right where the propensities are, but for what it leaves to the direct model; dr leaves none",
}
"""The estimators that rest on propensities, the best to read first."""

_FEW_EFFECTIVE = 30.0


def advice(estimates: Sequence[OffPolicyEstimate]) -> tuple[Estimator | None, str]:
    """Return the estimate to read, None where there is none, and one sentence that says why."""
    if {each.estimator for each in estimates} == {"dm"}:
        return "dm", (
            "This rests on the direct model alone: nothing in it shows when the model is wrong, so take it for a "
            "guess, and log propensities."
        )
    given = {each.estimator for each in estimates if each.value is not None}
    read = next((each for each in _WHY if each in given), None)
    if read is None:
        return None, (
            "Read none: the logs do not show what this policy would choose, and what dm says of it is the direct "
            "model's guess; explore, and evaluate on what comes then."
        )
    return read, f"Read {read}: {_WHY[read]}."


def doubts(
    evidence: Evidence, support: Support | None, baseline_support: Support | None, *, n_groups: int
) -> tuple[str, ...]:
    """Return what to know before any of the estimates is believed."""
    found = [*_of_groups(evidence, n_groups)]
    for whose, each in (("policy", support), ("baseline", baseline_support)):
        if each is not None:
            found += _of_support(evidence, whose, each)
    return tuple(found)


def _of_groups(evidence: Evidence, n_groups: int) -> Iterator[str]:
    if n_groups < FEWEST_GROUPS:
        yield (
            f"{n_groups} groups of queries have a reward, too few to trust the intervals: log {FEWEST_GROUPS} or more "
            "different queries"
        )
    of_group = np.bincount(evidence.groups, weights=evidence.asked)
    share = float(of_group.max() / of_group.sum())
    if share > DOMINANT_SHARE:
        yield (
            f"{100 * share:.0f} % of the decisions are on one group of near-duplicate queries: the estimates are about "
            "that group, and the intervals, which need many groups of like size, are not to be trusted"
        )


def _of_support(evidence: Evidence, whose: str, support: Support) -> Iterator[str]:
    if support.n_matched > 0 and support.effective_sample_size < _FEW_EFFECTIVE:
        yield (
            f"the {whose}'s effective sample size is {support.effective_sample_size:.0f} of {len(evidence.rows)} "
            f"decisions (largest weight {support.largest_weight:.0f}): too few to trust the intervals by propensities"
        )
    if support.mean_weight.low > 1 + MOST_LOST_OVERLAP:
        yield (
            f"the {whose}'s weights average {support.mean_weight.value:.2f}, more than the 1 that right propensities "
            "give: check that each is the probability of the logged prompt"
        )
    if support.is_overlap_exact and 0 < support.lost_overlap <= MOST_LOST_OVERLAP:
        yield (
            f"logging put nothing where {100 * support.lost_overlap:.1f} % of the {whose}'s weight lies: estimates by "
            "propensities may be wrong by as much"
        )
    elif support.mean_weight.high < 1 - MOST_LOST_OVERLAP and support.is_enough:
        yield (
            f"the {whose}'s weights average {support.mean_weight.value:.2f}, less than the 1 that right propensities "
            "and full overlap give: what it chooses may not have been among the candidates everywhere"
        )
    if support.n_clipped:
        yield (
            f"{support.n_clipped} of the {support.n_matched} trials that the {whose}'s value rests on had a lower "
            f"probability than {evidence.clip:g} and count as having that: this draws ips and snips off, and dr less"
        )
