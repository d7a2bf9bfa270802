"""The verdict: what to do, in one sentence, and what says so, in a second one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from prompt_oirl.report.findings import Findings
from prompt_oirl.report.situation import Situation
from prompt_oirl.report.texts import count, gained, often, points, points_up, with_margin

__all__ = ["Verdict", "VerdictKind", "give_verdict"]

VerdictKind = Literal[
    "pays",
    "another prompt",
    "one prompt",
    "not captured",
    "needs repeats",
    "too little data",
    "only one prompt",
    "equal rewards",
]

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


def give_verdict(findings: Findings) -> Verdict:
    """Say what to do, and on what evidence; a function of the findings and nothing else.

    - *equal rewards*: all trials of 30 groups of queries or more have the same reward.
    - *only one prompt*: there is nothing to choose.
    - *too little data*: fewer than 30 groups of queries, or of queries that were asked with two prompts; or one group
      is more than half of the logs; or nothing could be measured.
    - *another prompt*: a recommender is judged that holds one prompt for the best single one where another is, and its
      choices have not been shown to gain over that.
    - *pays*: the interval of the gain is above 0, and the no-harm rule lets the choice be made.
    - *not captured*: it is not, but headroom was found.
    - *one prompt*: neither, and choosing does harm, or a gain of 2 points or less would have been seen.
    - *too little data*: neither, and repeats are not what is lacking: most queries have some, or were asked with one
      prompt alone, or rates are biased by propensities that differ.
    - *needs repeats*: neither, and most queries were asked once with each prompt.
    """
    situation = Situation.of(findings)
    kind = _kind(situation)
    action, evidence = _WORDS[kind](situation)
    if situation.has_warnings and situation.obstacle is None:
        evidence = f"{evidence.removesuffix('.')}; beware, the warning about these logs goes for this, too."
    return Verdict(kind=kind, action=action, evidence=evidence)


def _kind(here: Situation) -> VerdictKind:
    if here.evidence.equal_reward is not None and not here.leakage.has_few_groups:
        return "equal rewards"
    if here.n_prompts < 2:
        return "only one prompt"
    if here.gain is None or here.obstacle is not None:
        return "too little data"
    if here.is_outdone:
        return "another prompt"
    if here.gain.low > 0 and here.rule_allows:
        return "pays"
    if here.headroom is not None and here.headroom.verdict == "found":
        return "not captured"
    return _kind_without_gain(here)


def _kind_without_gain(here: Situation) -> VerdictKind:
    """Return what it means that neither a gain nor headroom was seen."""
    if here.does_harm or (here.detectable is not None and here.detectable <= _TELLING):
        return "one prompt"
    would_repeats_help = here.evidence.is_mostly_unrepeated and not here.evidence.is_mostly_uncompared
    return "needs repeats" if would_repeats_help and not here.has_warnings else "too little data"


def _equal_rewards(here: Situation) -> tuple[str, str]:
    what = "right" if here.evidence.equal_reward else "wrong"
    return (
        f"Check the grader and the labels first: every single answer in these logs counts as {what}.",
        f"That is a fault in most cases; if it is none, no prompt is better than another, and {here.best} will do.",
    )


def _pays(here: Situation) -> tuple[str, str]:
    gain = "" if here.gain is None else with_margin(here.gain)
    return (
        "Choose the prompt per query.",
        f"That gains {gain} points over {here.rival}, measured on {count(here.n_queries)} queries "
        f"that were held out{_perfect(here)}.",
    )


def _another_prompt(here: Situation) -> tuple[str, str]:
    over_own, over_other = (
        "gains nothing that is known" if each is None else gained(each) for each in (here.gain, here.gain_over_other)
    )
    return (
        f"Train again, and use one prompt until then: {here.other_best}.",
        f"The recommender {over_own} over {here.best}, the best one in its training, but {over_other} over "
        f"{here.other_best}, the best one for all queries of these logs.",
    )


def _perfect(here: Situation) -> str:
    if here.headroom is None:
        return ""
    if here.headroom.perfect is None:
        if here.headroom.is_ceiling_incomplete or here.headroom.ceiling.has_few_groups:
            return ""
        return f"; no choice could gain more than {points(here.headroom.ceiling.high)}"
    if here.is_all_captured:
        return ", and is as much as the model of headroom expects of a perfect choice"
    return f"; a perfect choice would gain about {points(here.headroom.perfect.value)}"


def _one_prompt(here: Situation) -> tuple[str, str]:
    action = f"Use one prompt: {here.best}."
    if here.does_harm and here.shown_gain is not None:
        return action, (
            f"Choosing per query does harm here: it {gained(here.shown_gain)}, measured on {count(here.n_queries)} "
            "queries that were held out."
        )
    return action, f"{_chosen(here)}; {_would_be_seen(here)}."


def _not_captured(here: Situation) -> tuple[str, str]:
    has_floor = here.floor is not None and here.floor > 0
    there = f"at least {points(here.floor or 0.0)} points are there for a choice that knew more"
    return (
        f"Use one prompt for now: {here.best}.",
        f"{_chosen(here)}, but {there if has_floor else 'there is headroom'}: log more queries, or try other reward "
        "models, and look again.",
    )


def _needs_repeats(here: Situation) -> tuple[str, str]:
    return (
        f"Use one prompt for now: {here.best}.",
        f"{_chosen(here)}; {_would_be_seen(here)}: ask each query at least twice with every prompt to learn how much "
        "there is to gain.",
    )


def _too_little(here: Situation) -> tuple[str, str]:
    action = f"Too early to say; keep one prompt, {here.best}, for now."
    if here.obstacle is not None:
        return action, f"{here.obstacle[0].upper()}{here.obstacle[1:]}."
    if here.evidence.is_mostly_uncompared:
        return action, f"{_chosen(here)}; {here.evidence.problem}."
    return action, f"{_chosen(here)}; {_would_be_seen(here)}{_enough(here)}."


def _enough(here: Situation) -> str:
    power = None if here.headroom is None else here.headroom.power
    return "" if power is None else f": about {count(power.queries_for_one_point)} queries would show a gain of 1.0"


def _only_one(here: Situation) -> tuple[str, str]:
    return (
        f"Keep {here.best}: it is the only prompt in these logs.",
        "Whether another wording does better, or better on some queries, can be learnt by asking the same "
        f"{count(here.evidence.n_queries)} queries with one.",
    )


def _chosen(here: Situation) -> str:
    """Return what choosing per query gained, as the beginning of a sentence."""
    if here.uses_one_prompt:
        return "This recommender uses it for every query already"
    if here.shown_gain is None:
        return "Per-query choice could not be measured here"
    if here.shown_gain.low == here.shown_gain.high == 0:
        return f"Per-query choice keeps {here.best} for every query here"
    over = "" if here.is_one_rival else f" over {here.rival}"
    return f"Per-query choice {gained(here.shown_gain)} here{over}{_by_rule(here)}"


def _by_rule(here: Situation) -> str:
    """Return what the no-harm rule makes of a gain that is shown without it; nothing where none is."""
    if here.gain is None or here.shown_gain is None or here.shown_gain.low <= 0:
        return ""
    return (
        f", {with_margin(here.gain)} with the no-harm rule" if here.rule_allows else ", too little for the no-harm rule"
    )


def _would_be_seen(here: Situation) -> str:
    if here.detectable is None or here.power is None:
        return "how large a gain would have been seen cannot be told"
    return (
        f"with {count(here.n_queries)} queries a gain of {points_up(here.detectable)} would have been seen "
        f"{often(here.power)}, a smaller one less often"
    )


_WORDS: dict[VerdictKind, Callable[[Situation], tuple[str, str]]] = {
    "equal rewards": _equal_rewards,
    "only one prompt": _only_one,
    "too little data": _too_little,
    "another prompt": _another_prompt,
    "pays": _pays,
    "not captured": _not_captured,
    "one prompt": _one_prompt,
    "needs repeats": _needs_repeats,
}
