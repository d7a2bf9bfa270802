"""What the verdict depends on, taken from the findings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from prompt_oirl.evaluation import Estimate
from prompt_oirl.evaluation.estimate import FEWEST_GROUPS
from prompt_oirl.evaluation.headroom import Headroom
from prompt_oirl.report.evidence import Evidence
from prompt_oirl.report.findings import Findings, Missing
from prompt_oirl.report.leakage import LeakageAudit
from prompt_oirl.report.share_captured import share_captured
from prompt_oirl.report.texts import count, percent, prompt_name

__all__ = ["Situation", "rival_of", "rule_allows"]


def rival_of(findings: Findings) -> str:
    """Return what a gain is over, as a sentence names it: one prompt, or that of each fold where these differ."""
    best, gain = prompt_name(findings.best_single), findings.gain
    if isinstance(gain, Missing) or gain.has_one_baseline:
        return f"{best} for every query"
    if gain.share_of_best_single == 0:
        return "the best single prompt, another one in each fold"
    share = percent(gain.share_of_best_single, 0)
    return f"the best single prompt, which is {best} in the folds of {share} of the queries"


def rule_allows(findings: Findings) -> bool:
    """Return whether the no-harm rule lets the choice be made; a recommender that is judged has been through it."""
    return isinstance(findings.selection, Missing) or findings.selection.pays


@dataclass(frozen=True)
class Situation:
    """What the verdict depends on."""

    best: str
    """The best single prompt, as a sentence names it; a recommender's own, where one is judged."""

    rival: str
    """What a gain is over, as a sentence names it."""

    is_one_rival: bool
    """Whether that is one prompt for every query."""

    other_best: str | None
    """The prompt that is best for all queries of these logs, where a recommender holds another for the best."""

    n_prompts: int
    """Prompts with a reward."""

    leakage: LeakageAudit
    evidence: Evidence

    gain: Estimate | None
    """Of what would be used: the no-harm rule applied."""

    shown_gain: Estimate | None
    """Of choosing per query, whatever the rule says."""

    rule_allows: bool
    headroom: Headroom | None
    uses_one_prompt: bool
    """Whether a recommender is judged that uses one prompt for all queries."""

    has_warnings: bool
    """Whether something is wrong with the logs themselves, such as unequal propensities that nothing weighs."""

    is_all_captured: bool
    """Whether the gain is as much as the model of headroom expects of a perfect choice."""

    @classmethod
    def of(cls, findings: Findings) -> Self:
        """Take from the findings what the verdict depends on."""
        gain = None if isinstance(findings.gain, Missing) else findings.gain
        captured = share_captured(findings)
        return cls(
            best=prompt_name(findings.best_single),
            rival=rival_of(findings),
            is_one_rival=gain is None or gain.has_one_baseline,
            other_best=None if findings.best_here == findings.best_single else prompt_name(findings.best_here),
            n_prompts=sum(prompt.trials > 0 for prompt in findings.inspection.prompts),
            leakage=findings.leakage,
            evidence=findings.evidence,
            gain=None if gain is None else gain.gain,
            shown_gain=None if gain is None else gain.gain_without_rule or gain.gain,
            rule_allows=rule_allows(findings),
            headroom=None if isinstance(findings.headroom, Missing) else findings.headroom,
            uses_one_prompt=gain is not None and gain.reward_model is None,
            has_warnings=bool(findings.warnings),
            is_all_captured=captured is not None and captured.is_all,
        )

    @property
    def n_queries(self) -> int:
        """Queries that the gain rests on."""
        return self.evidence.n_queries if self.gain is None else self.gain.n_queries

    @property
    def obstacle(self) -> str | None:
        """Why no gain could be believed, whatever was measured, and the way out; None where nothing is in the way."""
        if self.leakage.has_few_groups:
            return (
                f"these logs hold {self._queries}, and below {FEWEST_GROUPS} different ones no interval can be "
                "trusted: log a few hundred"
            )
        if self.leakage.has_dominant_group:
            return (
                f"{percent(self.leakage.largest_group_share, 0)} of what was asked is one group of near-duplicate "
                "queries, which hardly says anything of others: log more different ones"
            )
        return self.evidence.problem if self.evidence.has_few_compared else None

    @property
    def _queries(self) -> str:
        n_queries, n_groups = self.leakage.n_queries, self.leakage.n_groups
        if n_queries == n_groups:
            return f"{count(n_queries)} different {'query' if n_queries == 1 else 'queries'}"
        groups = "1 group" if n_groups == 1 else f"{n_groups} groups"
        return f"{groups} of near-duplicate queries"

    @property
    def gain_over_other(self) -> Estimate | None:
        """What a recommender gains over another prompt that is best here; None where its own is, or it is not known."""
        return None if self.headroom is None or self.other_best is None else self.headroom.by_policy

    @property
    def is_outdone(self) -> bool:
        """Whether another prompt for all queries was not shown to do worse than a recommender's choices."""
        return self.gain_over_other is not None and self.gain_over_other.low <= 0

    @property
    def does_harm(self) -> bool:
        """Whether the interval of what choosing gains is below 0."""
        return self.shown_gain is not None and self.shown_gain.high < 0

    @property
    def detectable(self) -> float | None:
        """The gain that would have been seen; None where that cannot be told."""
        power = None if self.headroom is None else self.headroom.power
        return None if power is None else power.detectable_gain

    @property
    def power(self) -> float | None:
        """How often."""
        power = None if self.headroom is None else self.headroom.power
        return None if power is None else power.power

    @property
    def floor(self) -> float | None:
        """What a better choice gains at least, by the lower end of the higher floor."""
        if self.headroom is None:
            return None
        lows = [floor.low for floor in (self.headroom.by_trials, self.headroom.by_policy) if floor is not None]
        return max(lows, default=None)
