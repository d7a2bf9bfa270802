"""How much a perfect choice per query could gain over the best single prompt, and whether there is anything to gain."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ParameterError
from prompt_oirl.evaluation.cross_validation import CrossValidation, cross_validated_gain
from prompt_oirl.evaluation.estimate import FEWEST_GROUPS, Estimate, Outcomes
from prompt_oirl.evaluation.headroom.blocked_logs import BlockedLogs
from prompt_oirl.evaluation.headroom.bounds import ceiling, gain_by_trials, perfect_gain
from prompt_oirl.evaluation.headroom.power_of_logs import PowerStatement, power_of_logs
from prompt_oirl.evaluation.headroom.significance import p_value_over_all
from prompt_oirl.evaluation.headroom.variance import VarianceComponents, components
from prompt_oirl.evaluation.values import chosen_rewards
from prompt_oirl.splits import Grouping

__all__ = ["Headroom", "headroom"]

Verdict = Literal["found", "not found", "cannot be told"]

_ENOUGH_REPEATED = 0.5
"""Share of the queries that must have repeated trials for their word to be taken for all."""


@dataclass(frozen=True)
class Headroom:
    """What there is to gain over the best single prompt by choosing per query, as far as logs can tell.

    Between a floor, which some choice was measured to gain, and a ceiling, above which no choice can gain.
    """

    by_trials: Estimate | None
    """Floor: the gain of choosing by other trials of the same query, measured on trials left out; rests on queries with
    repeated trials. None without them."""

    by_policy: Estimate | None
    """Floor: the gain of the cross-validated policy handed in."""

    perfect: Estimate | None
    """The perfect choice's gain: that by trials as measured, and what a normal model of success probabilities says is
    beyond it. Right as far as the model is. Its lower end is 0 unless headroom was found. None with repeated trials in
    fewer than 30 groups."""

    ceiling: Estimate
    """The gain of the choice that knows the very outcomes it is judged by, on queries on which all prompts were tried:
    their luck included, so nobody can gain more."""

    p_value: float
    """Of "some single prompt is at least as good as choosing per query", from the floors, Bonferroni's correction for
    looking at two. 1 where there is no floor."""

    verdict: Verdict
    """`found`: the p-value is at most 1 − level. `not found`: it is not, and half of the queries or more have repeated
    trials, or the ceiling leaves no room. `cannot be told`: otherwise."""

    variance: VarianceComponents | None
    """What the variance of rewards is due to; None without repeated trials."""

    power: PowerStatement
    """What could have been seen, and what would be needed to see one point."""

    n_queries: int

    n_groups: int
    """Groups of near-duplicate queries: the unit of evidence."""

    n_prompts: int
    """Prompts with a scored trial; the others are left out."""

    n_repeated_queries: int
    """Queries on which some prompt was tried more than once."""

    level: float
    """Coverage of the intervals."""

    by: Grouping
    """What makes a group of queries."""

    @property
    def has_few_groups(self) -> bool:
        """Whether there are fewer than 30 groups: too few to trust what is said here."""
        return self.n_groups < FEWEST_GROUPS

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self) | {"has_few_groups": self.has_few_groups}

    def __str__(self) -> str:
        none = "cannot be told without repeated trials"
        few = f"{none} in 30 groups of queries"
        lines = [
            f'headroom {self.verdict} (p = {self.p_value:.2g} of "there is none")',
            f"floor by other trials  {none if self.by_trials is None else self.by_trials}",
            f"floor by the policy    {'no policy was given' if self.by_policy is None else self.by_policy}",
            f"perfect choice, model  {few if self.perfect is None else self.perfect}",
            f"ceiling, inflated      {self.ceiling}",
            f"{self.n_repeated_queries} of {self.n_queries} queries, in {self.n_groups} groups by {self.by}, have "
            f"repeated trials; {self.n_prompts} prompts",
        ]
        return "\n".join(lines)


def headroom(
    demonstrations: Demonstrations,
    *,
    policy: CrossValidation | None = None,
    by: Grouping = "template",
    level: float = 0.95,
    seed: int = 0,
) -> Headroom:
    """Estimate what the perfect choice per query would gain over the best single prompt, sampling noise taken out.

    Args:
        demonstrations: Logged trials, several of each query and prompt if there is more than a floor to be found.
        policy: Out-of-fold choices of what would be used: its gain is a floor, the only one with single trials.
        by: What makes a group of queries; the default keeps near-duplicates together.
        level: Coverage of the intervals; 1 − level is the error rate of the verdict `found`.
        seed: Of what is drawn at random: the blocks of groups, and which trials are left out.

    Raises:
        ParameterError: The level is not strictly between 0.5 and 1, or the policy's choices are of other queries.
        DataError: Fewer than two prompts have scored trials, or there are fewer than two groups of queries.
    """
    if not 0.5 < level < 1:
        raise ParameterError(f"level={level}: a number above 0.5 and below 1 is needed, such as 0.95")
    logs = BlockedLogs.of(demonstrations, by=by, seed=seed)
    floor = None if policy is None else _by_policy(demonstrations, policy, by=by, level=level)
    by_trials = None if logs.choices is None else gain_by_trials(logs, level)
    highest = ceiling(logs, level)
    p_values = [] if floor is None else [floor[1]]
    p_values += [] if logs.choices is None else [p_value_over_all(logs.gains_over_each_prompt())]
    p_value = min(1.0, len(p_values) * min(p_values)) if p_values else 1.0
    perfect = None if by_trials is None or by_trials.has_few_groups else perfect_gain(logs, by_trials)
    if perfect is not None and p_value > 1 - level:
        perfect = replace(perfect, low=0.0)
    return Headroom(
        by_trials=by_trials,
        by_policy=None if floor is None else floor[0],
        perfect=perfect,
        ceiling=highest,
        p_value=p_value,
        verdict=_verdict(logs, p_value, highest, level),
        variance=None if logs.choices is None else components(logs, level),
        power=power_of_logs(logs, level),
        n_queries=logs.demonstrations.n_queries,
        n_groups=logs.n_groups,
        n_prompts=logs.demonstrations.n_prompts,
        n_repeated_queries=int(logs.is_repeated.sum()),
        level=level,
        by=by,
    )


def _verdict(logs: BlockedLogs, p_value: float, highest: Estimate, level: float) -> Verdict:
    if p_value <= 1 - level:
        return "found"
    if highest.high <= 0:
        return "not found"
    share_repeated = float(np.average(logs.is_repeated, weights=logs.weights))
    has_looked = logs.choices is not None and logs.n_groups >= FEWEST_GROUPS and share_repeated >= _ENOUGH_REPEATED
    return "not found" if has_looked else "cannot be told"


def _by_policy(
    demonstrations: Demonstrations, policy: CrossValidation, *, by: Grouping, level: float
) -> tuple[Estimate, float]:
    """Return the policy's gain, and the p-value of "some single prompt is at least as good"."""
    if len(policy.choices) != demonstrations.n_queries:
        raise ParameterError(
            f"the policy chose for {len(policy.choices)} queries, but there are {demonstrations.n_queries}: "
            "cross-validate it on these very demonstrations"
        )
    groups = demonstrations.groups(by)
    rewards, weights = chosen_rewards(demonstrations, policy.choices), demonstrations.repeats.astype(np.float64)
    gains = (
        Outcomes(rewards - demonstrations.rewards[:, prompt], weights, groups, 0, can_vary=policy.choices != prompt)
        for prompt in np.flatnonzero(demonstrations.trials.any(axis=0))
    )
    estimated = cross_validated_gain(demonstrations, [policy], level=level)
    return estimated, p_value_over_all(gains)
