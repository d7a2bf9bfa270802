"""How much a perfect choice per query could gain over the best single prompt, and whether there is anything to gain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ParameterError
from prompt_oirl.evaluation.cross_validation import CrossValidation
from prompt_oirl.evaluation.estimate import DOMINANT_SHARE, FEWEST_GROUPS, Estimate
from prompt_oirl.evaluation.gains import average_gain, fold_widening, gain_outcomes
from prompt_oirl.evaluation.headroom.blocked_logs import BlockedLogs
from prompt_oirl.evaluation.headroom.bounds import ceiling, gain_by_trials, has_complete_queries, perfect_gain
from prompt_oirl.evaluation.headroom.identical import counted_once, has_identical_repeats
from prompt_oirl.evaluation.headroom.power_of_logs import PowerStatement, power_of_logs, why_no_power
from prompt_oirl.evaluation.headroom.significance import p_value_over_all
from prompt_oirl.evaluation.headroom.variance import VarianceComponents, components
from prompt_oirl.policies import best_single_of
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
    """Floor: the gain of the policy handed in over the best single prompt of these logs; where it was cross-validated,
    over that of the folds that it was learnt on."""

    perfect: Estimate | None
    """The perfect choice's gain: that by trials as measured, and what a normal model of success probabilities says is
    beyond it. Right as far as the model is. Its lower end is 0 unless headroom was found. None with repeated trials in
    fewer than 30 groups."""

    ceiling: Estimate
    """The gain of the choice that knows the very outcomes it is judged by, on queries on which all prompts were tried:
    their luck included, so nobody can gain more."""

    is_ceiling_incomplete: bool
    """Whether there are no such queries in two groups, so that the ceiling takes every untried prompt to be right."""

    p_value: float
    """Of "some single prompt is at least as good as choosing per query", from the floors, with Bonferroni's correction
    where there are two. 1 where there is no floor."""

    verdict: Verdict
    """`found`: the p-value is at most 1 − level. `not found`: it is not, half of the queries or more have repeated
    trials, and some headroom would have been found. `cannot be told`: otherwise."""

    unrivalled: tuple[str, ...]
    """Ids of prompts tried in fewer than 30 groups of queries, while others were in more: whether one of them is as
    good as choosing per query is not known, and they are left out of the p-value."""

    variance: VarianceComponents | None
    """What the variance of rewards is due to; None without repeated trials."""

    power: PowerStatement | None
    """What could have been seen, and what would be needed to see one point; None where that cannot be told."""

    no_power: str | None
    """Why it cannot, in a clause."""

    n_queries: int

    n_groups: int
    """Groups of near-duplicate queries: the unit of evidence."""

    n_prompts: int
    """Prompts with a scored trial; the others are left out."""

    n_repeated_queries: int
    """Queries on which some prompt was tried more than once."""

    has_identical_repeats: bool
    """Whether no two trials of a query and prompt differ. Such repeats may be copies, so each counts once here, as if
    there were none; if the LLM really always answers the same, the ceiling is the headroom."""

    largest_group_share: float
    """Of the queries, each counted as often as it was asked, those of the largest group."""

    level: float
    """Coverage of the intervals."""

    by: Grouping
    """What makes a group of queries."""

    @property
    def has_few_groups(self) -> bool:
        """Whether there are fewer than 30 groups: too few to trust what is said here."""
        return self.n_groups < FEWEST_GROUPS

    @property
    def has_dominant_group(self) -> bool:
        """Whether one group has more than half of the queries, so that all this says little of other queries."""
        return self.largest_group_share > DOMINANT_SHARE

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self) | {
            "has_few_groups": self.has_few_groups,
            "has_dominant_group": self.has_dominant_group,
        }

    def __str__(self) -> str:
        none = "cannot be told without repeated trials"
        few = f"{none} in 30 groups of queries"
        untried = ", untried prompts taken to be right"
        lines = [
            f'headroom {self.verdict} (p = {self.p_value:.2g} of "there is none")',
            f"floor by other trials  {none if self.by_trials is None else self.by_trials}",
            f"floor by the policy    {'no policy was given' if self.by_policy is None else self.by_policy}",
            f"perfect choice, model  {few if self.perfect is None else self.perfect}",
            f"ceiling, inflated      {self.ceiling}{untried if self.is_ceiling_incomplete else ''}",
            *(
                ["no two trials of a query and prompt differ, so each counts once"]
                if self.has_identical_repeats
                else []
            ),
            f"{self.n_repeated_queries} of {self.n_queries} queries, in {self.n_groups} groups by {self.by}, have "
            f"repeated trials; {self.n_prompts} prompts",
        ]
        return "\n".join(lines)


def headroom(
    demonstrations: Demonstrations,
    *,
    policy: CrossValidation | Sequence[CrossValidation] = (),
    by: Grouping = "template",
    level: float = 0.95,
    seed: int = 0,
) -> Headroom:
    """Estimate what the perfect choice per query would gain over the best single prompt, sampling noise taken out.

    Args:
        demonstrations: Logged trials, several of each query and prompt if there is more than a floor to be found.
        policy: Out-of-fold choices of what would be used, of one draw of the folds or several: the gain is a floor, the
            only one with single trials.
        by: What makes a group of queries; the default keeps near-duplicates together.
        level: Coverage of the intervals; 1 − level is the error rate of the verdict `found`.
        seed: Of what is drawn at random: the blocks of groups, and which trials are left out.

    Raises:
        ParameterError: The level is not strictly between 0.5 and 1, or the policy's choices are of other queries.
        DataError: Fewer than two prompts have scored trials, or there are fewer than two groups of queries.
    """
    if not 0.5 < level < 1:
        raise ParameterError(f"level={level}: a number above 0.5 and below 1 is needed, such as 0.95")
    is_identical = has_identical_repeats(demonstrations)
    demonstrations = counted_once(demonstrations) if is_identical else demonstrations
    logs = BlockedLogs.of(demonstrations, by=by, seed=seed)
    runs = (policy,) if isinstance(policy, CrossValidation) else tuple(policy)
    floor = _by_policy(demonstrations, runs, logs, level=level) if runs else None
    by_trials = None if logs.choices is None else gain_by_trials(logs, level)
    p_values = [] if floor is None else [floor[1]]
    p_values += [] if logs.choices is None else [p_value_over_all(logs.gains_over_rivals())]
    p_value = min(1.0, len(p_values) * min(p_values)) if p_values else 1.0
    perfect = None if by_trials is None or by_trials.has_few_groups else perfect_gain(logs, by_trials)
    if perfect is not None and p_value > 1 - level:
        perfect = replace(perfect, low=0.0)
    no_power = why_no_power(logs)
    power = None if no_power else power_of_logs(logs, level, n_floors=2 if runs else 1)
    return Headroom(
        by_trials=by_trials,
        by_policy=None if floor is None else floor[0],
        perfect=perfect,
        ceiling=ceiling(logs, level),
        is_ceiling_incomplete=not has_complete_queries(logs),
        p_value=p_value,
        verdict=_verdict(logs, p_value, power, level),
        unrivalled=tuple(np.delete(logs.demonstrations.prompt_ids, logs.rivals).tolist()),
        variance=None if logs.choices is None else components(logs, level),
        power=power,
        no_power=no_power,
        n_queries=logs.demonstrations.n_queries,
        n_groups=logs.n_groups,
        n_prompts=logs.demonstrations.n_prompts,
        n_repeated_queries=int(logs.is_repeated.sum()),
        has_identical_repeats=is_identical,
        largest_group_share=logs.largest_group_share,
        level=level,
        by=by,
    )


def _verdict(logs: BlockedLogs, p_value: float, power: PowerStatement | None, level: float) -> Verdict:
    if p_value <= 1 - level:
        return "found"
    could_find = power is not None and power.detectable_headroom is not None
    return "not found" if could_find and logs.is_repeated.mean() >= _ENOUGH_REPEATED else "cannot be told"


def _by_policy(
    demonstrations: Demonstrations, runs: Sequence[CrossValidation], logs: BlockedLogs, *, level: float
) -> tuple[Estimate, float]:
    """Return the policy's gain over the best single prompt, and the p-value of "some single prompt is as good"."""
    for run in runs:
        if len(run.choices) != demonstrations.n_queries:
            raise ParameterError(
                f"the policy chose for {len(run.choices)} queries, but there are {demonstrations.n_queries}: "
                "cross-validate it on these very demonstrations"
            )
    n_folds, tried = runs[0].n_shared_folds, np.flatnonzero(demonstrations.trials.any(axis=0))
    is_from_here = n_folds is not None  # else the policy's best single prompt was learnt from other logs, too
    best_here = np.full(demonstrations.n_queries, tried[best_single_of(logs.demonstrations)])
    over_best = average_gain(
        demonstrations,
        [(run.choices, run.baseline if is_from_here else best_here) for run in runs],
        groups=logs.groups,
        n_folds=n_folds,
        level=level,
    )
    singles = (np.full(demonstrations.n_queries, prompt) for prompt in tried[logs.rivals])
    over_each = (
        gain_outcomes(demonstrations, [(run.choices, single) for run in runs], groups=logs.groups) for single in singles
    )
    widening = fold_widening(n_folds, n_runs=len(runs))
    return over_best, p_value_over_all(over_each, widening=widening)
