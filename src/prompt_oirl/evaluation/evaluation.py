"""All that is to be said about one policy on held-out demonstrations, gathered."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.evaluation.estimate import Estimate
from prompt_oirl.evaluation.gains import gain
from prompt_oirl.evaluation.values import policy_value, regret, share_of_inflated_headroom
from prompt_oirl.evaluation.wins import PromptWins, win_map
from prompt_oirl.policies import Policy
from prompt_oirl.splits import Grouping, check_no_leakage

__all__ = ["Evaluation", "evaluate"]


@dataclass(frozen=True)
class Evaluation:
    """A policy against a baseline.

    Each value rests on all queries on which the prompt chosen was tried. So on complete logs value less baseline value
    is the gain; where trials are missing they rest on different queries, and it is only about that.
    """

    value: Estimate
    """Success rate of the policy."""

    baseline_value: Estimate
    """Success rate of the baseline."""

    gain: Estimate
    """What the policy gains over the baseline, paired, cluster-robust normal interval."""

    gain_by_bootstrap: Estimate
    """The same gain, with the cluster bootstrap's interval."""

    regret: Estimate
    """The one-sample oracle's success rate less the policy's: inflated by the luck of the samples."""

    share_of_inflated_headroom: Estimate | None
    """The gain as a share of the one-sample oracle's, which is inflated by luck; None where that gains nothing."""

    win_map: tuple[PromptWins, ...]
    """For each prompt, how often it is chosen and what it is worth there."""

    by: Grouping
    """What makes a group of queries."""

    is_leakage_checked: bool
    """Whether training demonstrations were given, and found to share no group of queries with these."""

    n_missing_cells: int
    """Query × prompt cells without a scored trial, of all."""

    n_unscored: int
    """Logged trials without a reward: errors, unparsed answers. They count neither as failures nor as successes."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, estimates included, as JSON can hold them."""
        return asdict(self)

    def __str__(self) -> str:
        share = self.share_of_inflated_headroom
        lines = [
            f"policy value          {self.value}",
            f"baseline value        {self.baseline_value}",
            f"gain                  {self.gain}",
            f"  by bootstrap        {self.gain_by_bootstrap}",
            f"regret (inflated)     {self.regret}",
            f"share of the inflated headroom {'not defined: the oracle gains nothing' if share is None else share}",
            f"missing cells {self.n_missing_cells}, trials without a reward {self.n_unscored}, "
            f"leakage {'checked' if self.is_leakage_checked else 'not checked'}, groups by {self.by}",
        ]
        return "\n".join(lines)


def evaluate(
    policy: Policy,
    demonstrations: Demonstrations,
    *,
    baseline: Policy,
    train: Demonstrations | None = None,
    by: Grouping = "template",
    level: float = 0.95,
    seed: int = 0,
) -> Evaluation:
    """Evaluate a policy against a baseline on held-out demonstrations.

    Args:
        policy: The policy to judge.
        demonstrations: Demonstrations that neither policy has learnt from.
        baseline: What it must beat, such as `BestSinglePrompt.chosen_on(train)`.
        train: What the policies have learnt from; give it to have leakage refused.
        by: What makes a group of queries, for the intervals and for the leakage check.
        level: Coverage of the intervals.
        seed: Of the bootstrap.

    Raises:
        LeakageError: Queries of the demonstrations, or near-duplicates of them, are in `train`.
        DataError: Fewer than two groups of queries have trials of both chosen prompts.
        UnseenPromptError: A policy cannot choose among the demonstrations' prompts.
    """
    if train is not None:
        check_no_leakage(train.queries, demonstrations.queries, by=by)
    choices = policy.choose(demonstrations.queries, demonstrations.prompts)
    single = baseline.choose(demonstrations.queries, demonstrations.prompts)
    groups = demonstrations.groups(by)
    return Evaluation(
        value=policy_value(demonstrations, choices, groups=groups, level=level),
        baseline_value=policy_value(demonstrations, single, groups=groups, level=level),
        gain=gain(demonstrations, choices, single, groups=groups, level=level),
        gain_by_bootstrap=gain(
            demonstrations, choices, single, groups=groups, level=level, method="bootstrap", seed=seed
        ),
        regret=regret(demonstrations, choices, groups=groups, level=level),
        share_of_inflated_headroom=share_of_inflated_headroom(
            demonstrations, choices, single, groups=groups, level=level
        ),
        win_map=win_map(demonstrations, choices, single, groups=groups, level=level),
        by=by,
        is_leakage_checked=train is not None,
        n_missing_cells=int((demonstrations.trials == 0).sum()),
        n_unscored=int(demonstrations.unscored.sum()),
    )
