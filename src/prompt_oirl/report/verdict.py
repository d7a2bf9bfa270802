"""The verdict: what to do, in one sentence, and what says so, in a second one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from prompt_oirl.evaluation import Estimate
from prompt_oirl.evaluation.estimate import FEWEST_GROUPS
from prompt_oirl.evaluation.headroom import Headroom
from prompt_oirl.report.findings import Findings, Missing
from prompt_oirl.report.texts import count, points, points_up, prompt_name, with_margin

__all__ = ["Verdict", "VerdictKind", "give_verdict"]

VerdictKind = Literal["pays", "one prompt", "not captured", "needs repeats", "too little data", "only one prompt"]

_TELLING = 0.02
"""If only a larger gain than this would have been seen, that none was seen says little."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Two sentences that can be acted on."""

    kind: VerdictKind

    action: str
    """What to do."""

    evidence: str
    """What it rests on."""

    def __str__(self) -> str:
        return f"{self.action} {self.evidence}"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields and the two sentences together as JSON can hold them."""
        return asdict(self) | {"text": str(self)}


@dataclass(frozen=True)
class _Situation:
    """What the verdict depends on, and how it is worded."""

    best: str
    n_queries: int
    n_groups: int
    n_prompts: int
    gain: Estimate | None
    """Of what would be used: the no-harm rule applied."""

    shown_gain: Estimate | None
    """Of choosing per query, whatever the rule says."""

    rule_allows: bool
    headroom: Headroom | None
    uses_one_prompt: bool
    """Whether a recommender is judged that uses one prompt for all queries."""

    @classmethod
    def of(cls, findings: Findings) -> _Situation:
        gain = None if isinstance(findings.gain, Missing) else findings.gain
        return cls(
            best=prompt_name(findings.best_single),
            n_queries=findings.leakage.n_queries,
            n_groups=findings.leakage.n_groups,
            n_prompts=sum(prompt.trials > 0 for prompt in findings.inspection.prompts),
            gain=None if gain is None else gain.gain,
            shown_gain=None if gain is None else gain.gain_without_rule or gain.gain,
            rule_allows=isinstance(findings.selection, Missing) or findings.selection.pays,
            headroom=None if isinstance(findings.headroom, Missing) else findings.headroom,
            uses_one_prompt=gain is not None and gain.reward_model is None,
        )

    @property
    def kind(self) -> VerdictKind:
        if self.n_prompts < 2:
            return "only one prompt"
        if self.gain is None or self.n_groups < FEWEST_GROUPS:
            return "too little data"
        if self.gain.low > 0 and self.rule_allows:
            return "pays"
        if self.headroom is not None and self.headroom.verdict == "found":
            return "not captured"
        if self.shown_gain is not None and self.shown_gain.high < 0:
            return "one prompt"
        return self._kind_without_gain()

    def _kind_without_gain(self) -> VerdictKind:
        """Return what it means that neither a gain nor headroom was seen."""
        if self.detectable is not None and self.detectable <= _TELLING:
            return "one prompt"
        has_repeats = self.headroom is not None and self.headroom.by_trials is not None
        return "too little data" if has_repeats else "needs repeats"

    @property
    def detectable(self) -> float | None:
        """The gain that would have been seen."""
        return None if self.headroom is None else self.headroom.power.detectable_gain

    @property
    def floor(self) -> float | None:
        """What a better choice gains at least, by the lower end of the higher floor."""
        if self.headroom is None:
            return None
        lows = [floor.low for floor in (self.headroom.by_trials, self.headroom.by_policy) if floor is not None]
        return max(lows, default=None)

    @property
    def chosen(self) -> str:
        """What choosing per query gained, as the beginning of a sentence."""
        if self.uses_one_prompt:
            return "This recommender uses it for every query already"
        if self.shown_gain is None:
            return "Per-query choice could not be measured here"
        return f"Per-query choice gains {with_margin(self.shown_gain)} points here"

    @property
    def would_be_seen(self) -> str:
        if self.detectable is None:
            return "how large a gain would have been seen cannot be told"
        return f"with {count(self.n_queries)} queries a gain of {points_up(self.detectable)} would have been seen"


def give_verdict(findings: Findings) -> Verdict:
    """Say what to do, and on what evidence; a function of the findings and nothing else.

    - *pays*: the interval of the gain is above 0, and the no-harm rule lets the choice be made.
    - *not captured*: it is not, but headroom was found.
    - *one prompt*: neither, and a gain of 2 points or less would have been seen; or choosing does harm.
    - *needs repeats*: neither, only a larger gain would have been seen, and no query was asked twice with a prompt.
    - *too little data*: the same with repeated trials; or fewer than 30 groups of queries; or nothing to measure.
    - *only one prompt*: there is nothing to choose.
    """
    situation = _Situation.of(findings)
    kind = situation.kind
    action, evidence = _WORDS[kind](situation)
    return Verdict(kind=kind, action=action, evidence=evidence)


def _pays(here: _Situation) -> tuple[str, str]:
    gained = "" if here.gain is None else with_margin(here.gain)
    perfect = "" if here.headroom is None else _perfect(here.headroom)
    return (
        "Choose the prompt per query.",
        f"That gains {gained} points over {here.best} for every query, measured on {count(here.n_queries)} queries "
        f"that were held out{perfect}.",
    )


def _perfect(headroom: Headroom) -> str:
    if headroom.perfect is not None:
        return f"; a perfect choice would gain about {points(headroom.perfect.value)}"
    return f"; no choice could gain more than {points(headroom.ceiling.high)}"


def _one_prompt(here: _Situation) -> tuple[str, str]:
    return f"Use one prompt: {here.best}.", f"{here.chosen}; {here.would_be_seen}."


def _not_captured(here: _Situation) -> tuple[str, str]:
    has_floor = here.floor is not None and here.floor > 0
    there = f"at least {points(here.floor or 0.0)} points are" if has_floor else "more is"
    return (
        f"Use one prompt for now: {here.best}.",
        f"{here.chosen}, but {there} there for a choice that knew more: log more queries, or try other reward models, "
        "and look again.",
    )


def _needs_repeats(here: _Situation) -> tuple[str, str]:
    return (
        f"Use one prompt for now: {here.best}.",
        f"{here.chosen} and {here.would_be_seen}, not a smaller one: ask each query at least twice with every prompt "
        "to learn how much there is to gain.",
    )


def _too_little(here: _Situation) -> tuple[str, str]:
    action = f"Too early to say; keep one prompt, {here.best}, for now."
    if here.n_groups < FEWEST_GROUPS:
        return action, (
            f"These logs hold {count(here.n_groups)} different queries, and below {FEWEST_GROUPS} no interval can be "
            "trusted: log a few hundred."
        )
    return action, f"{here.chosen}; {here.would_be_seen}, not a smaller one{_enough(here)}."


def _enough(here: _Situation) -> str:
    needed = None if here.headroom is None else here.headroom.power.queries_for_one_point
    return "" if needed is None else f": about {count(needed)} queries would show a gain of 1.0"


def _only_one(here: _Situation) -> tuple[str, str]:
    return (
        f"Keep {here.best}: it is the only prompt in these logs.",
        f"Whether another wording does better, or better on some queries, can be learnt by asking the same "
        f"{count(here.n_queries)} queries with one.",
    )


_WORDS: dict[VerdictKind, Callable[[_Situation], tuple[str, str]]] = {
    "pays": _pays,
    "one prompt": _one_prompt,
    "not captured": _not_captured,
    "needs repeats": _needs_repeats,
    "too little data": _too_little,
    "only one prompt": _only_one,
}
