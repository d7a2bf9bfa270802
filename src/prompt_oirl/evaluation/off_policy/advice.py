"""Which estimate to read, and what makes the estimates doubtful, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prompt_oirl.evaluation.estimate import DOMINANT_SHARE, FEWEST_GROUPS
from prompt_oirl.evaluation.off_policy.estimators import NEED_SCORES, Estimator
from prompt_oirl.evaluation.off_policy.evidence import Evidence
from prompt_oirl.evaluation.off_policy.result import OffPolicyEstimate
from prompt_oirl.evaluation.off_policy.support import MOST_LOST_OVERLAP, Support
from prompt_oirl.sources.logged_decisions import PropensityOf

__all__ = ["Basis", "advice", "doubts"]

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

_FEWEST_EFFECTIVE = 30


@dataclass(frozen=True, eq=False)
class Basis:
    """What estimates rest on."""

    evidence: Evidence

    support: Support | None
    """Of the policy; None where the direct method alone is used."""

    baseline_support: Support | None

    n_groups: int
    """Groups of queries with a reward."""

    propensity_of: PropensityOf

    @property
    def supports(self) -> Mapping[str, Support]:
        """What is known of policy and baseline, by what messages call them."""
        named = {"policy": self.support, "baseline": self.baseline_support}
        return {name: support for name, support in named.items() if support is not None}


def advice(estimates: Sequence[OffPolicyEstimate], basis: Basis) -> tuple[Estimator | None, str]:
    """Return the estimate to read, None where there is none, and why, with what it must not be taken for."""
    given = {each.estimator for each in estimates if each.value is not None}
    read = next((each for each in _WHY if each in given), None)
    is_direct_alone = {each.estimator for each in estimates} == {"dm"}
    if read is None and not is_direct_alone:
        return None, f"Read none: {_why_none(basis)}."
    if too_few := _too_few(basis, {} if is_direct_alone else basis.supports):
        return None, f"Read none: {too_few}."
    if read is None:
        return "dm", (
            "This rests on the direct model alone: nothing in it shows when the model is wrong, so take it for a "
            f"guess{_way_out_of_guessing(basis)}."
        )
    clipped = {name: support for name, support in basis.supports.items() if support.n_clipped}
    reasons = [_if_propensities_are_wrong(read, basis), _if_clipped(read, clipped)]
    return read, " ".join(filter(None, reasons)) or f"Read {read}: {_WHY[read]}."


def _way_out_of_guessing(basis: Basis) -> str:
    if basis.evidence.probabilities is None:
        return ", and log propensities"
    if basis.support is None:
        return (
            "; the logs have propensities: leave --direct-method-only out (direct_method_only=False) for estimates "
            "that rest on these"
        )
    return "; the logs have propensities: ask for dr too, which rests on these"


def _if_propensities_are_wrong(read: Estimator, basis: Basis) -> str | None:
    """Return what to say where the weights of policy or baseline give propensities away; None where they do not."""
    wrong = {name: support for name, support in basis.supports.items() if support.is_too_heavy or support.is_too_light}
    if not wrong:
        return None
    averages = " and ".join(f"{support.mean_weight.value:.2f} for the {name}" for name, support in wrong.items())
    may_lack = any(support.is_too_light and not support.is_overlap_exact for support in wrong.values())
    also, overlap = (", or overlap is lacking", " and full overlap") if may_lack else ("", "")
    return (
        f"Read {read} only if the propensities are right, which the weights speak against: they average {averages}, "
        f"where right propensities{overlap} give 1, so propensities are likely wrong{also}; check that each is the "
        "probability of the logged prompt."
    )


def _if_clipped(read: Estimator, clipped: Mapping[str, Support]) -> str | None:
    """Return what to say where weights were clipped; None where none was."""
    if not clipped:
        return None
    shares = " and ".join(f"{100 * support.cut_by_clip:.1f} % of the {name}'s" for name, support in clipped.items())
    if read not in NEED_SCORES:
        return f"Read {read} as a biased estimate: clipping took {shares} weight; leave the clip out for less bias."
    return (
        f"Read {read} as one that leans on the direct model: clipping took {shares} weight, where the model stands in, "
        "right or wrong, and where ips and snips are biased; leave the clip out to rest on the propensities alone."
    )


def _why_none(basis: Basis) -> str:
    support = basis.support
    if support is None or support.is_enough:
        return "what was asked for needs a direct model, so give scores"
    if support.is_overlap_to_blame:
        return (
            "the logs do not show what this policy would choose, and what dm says of it is the direct model's guess; "
            "explore, and evaluate on what comes then"
        )
    cause, way_out = {
        "choice": ("wrong propensities", "log with each decision the probability that its prompt had"),
        "cell": ("a run that is not finished, or wrong propensities", "finish the run"),
    }[basis.propensity_of]
    return (
        f"{support.n_matched} decisions have a prompt that this policy would choose, but their weights average "
        f"{support.mean_weight.value:.2f}, where right propensities give 1, and {cause} are a likelier cause than "
        f"lacking overlap; {way_out}, and evaluate on what comes then"
    )


def _too_few(basis: Basis, weighted: Mapping[str, Support]) -> str | None:
    """Return why no interval is to be trusted, and what would do; None where that is not so.

    Args:
        basis: What estimates rest on.
        weighted: The supports of what is valued by weights.
    """
    matched = {name: support for name, support in weighted.items() if support.n_matched}
    name = min(matched, key=lambda each: matched[each].effective_sample_size, default=None)
    if name is not None and (size := matched[name].effective_sample_size) < _FEWEST_EFFECTIVE:
        n = len(basis.evidence.rows)
        return (
            f"of the {name} these {n} decisions tell as much as {size:.0f} of equal weight, too few for any of these "
            f"intervals; log about {math.ceil(n * _FEWEST_EFFECTIVE / size)} such decisions on {FEWEST_GROUPS} or more "
            "different queries, or explore more often"
        )
    if basis.n_groups < FEWEST_GROUPS:
        return (
            f"{basis.n_groups} groups of queries with a reward are too few for any of these intervals; log decisions "
            f"on {FEWEST_GROUPS} or more different queries"
        )
    return None


def doubts(estimates: Sequence[OffPolicyEstimate], basis: Basis) -> tuple[str, ...]:
    """Return what to know before any of the estimates is believed."""
    found = [*_of_groups(basis.evidence, basis.n_groups)]
    for whose, support in basis.supports.items():
        found += _of_support(basis.evidence, whose, support)
    return (*found, *_of_estimates(estimates))


def _of_estimates(estimates: Sequence[OffPolicyEstimate]) -> Iterator[str]:
    beyond = [each.estimator for each in estimates if each.is_beyond_possible]
    if beyond:
        yield (
            f"what {' and '.join(beyond)} estimate is beyond what is possible, by chance where few decisions or large "
            "weights decide, or because propensities are wrong: estimates are left so, for cut ones would be biased, "
            "and intervals are cut"
        )


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
    if support.n_matched > 0 and support.effective_sample_size < _FEWEST_EFFECTIVE:
        yield (
            f"the {whose}'s effective sample size is {support.effective_sample_size:.0f} of {len(evidence.rows)} "
            f"decisions (largest weight {support.largest_weight:.0f}): too few to trust the intervals by propensities"
        )
    if support.is_too_heavy:
        yield (
            f"the {whose}'s weights average {support.mean_weight.value:.2f}, more than the 1 that right propensities "
            "give: check that each is the probability of the logged prompt"
        )
    if support.is_overlap_exact and 0 < support.lost_overlap <= MOST_LOST_OVERLAP:
        yield (
            f"logging put nothing where {100 * support.lost_overlap:.1f} % of the {whose}'s weight lies: estimates by "
            "propensities may be wrong by as much"
        )
    if support.is_enough and support.is_too_light:
        overlap, candidates = (
            ("", "")
            if support.is_overlap_exact
            else (" and full overlap", ", and that what it chooses was a candidate everywhere")
        )
        yield (
            f"the {whose}'s weights average {support.mean_weight.value:.2f}, less than the 1 that right propensities"
            f"{overlap} give: check that each is the probability of the logged prompt{candidates}"
        )
    if support.n_clipped:
        yield (
            f"{support.n_clipped} of the {support.n_matched} trials that the {whose}'s value rests on had a lower "
            f"probability than {evidence.clip:g} and count as having that: this draws ips and snips off, and "
            "dr by the direct model's error there"
        )
