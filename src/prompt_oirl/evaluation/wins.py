"""Where a policy's gain comes from: for each prompt, how often it is chosen and what it is worth there."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from prompt_oirl.arrays import IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.evaluation.chosen import chosen_rewards
from prompt_oirl.evaluation.estimate import Estimate
from prompt_oirl.evaluation.gains import gain
from prompt_oirl.evaluation.values import policy_value

__all__ = ["PromptWins", "win_map"]


@dataclass(frozen=True, slots=True)
class PromptWins:
    """One prompt on the queries that it was chosen for.

    The three estimates rest on the same queries, those with trials of both prompts, so that value less baseline value
    is the gain. They are None where fewer than two groups of queries have such trials.
    """

    prompt_id: str

    n_queries: int
    """Queries that the prompt was chosen for."""

    share: float
    """Those queries as a share of all, each counted as often as it was asked."""

    value: Estimate | None
    """Success rate of this prompt there."""

    baseline_value: Estimate | None
    """Success rate of the baseline's choice on the same queries."""

    gain: Estimate | None
    """The first less the second."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self)


def win_map(
    demonstrations: Demonstrations, choices: IntArray, baseline: IntArray, *, groups: IntArray, level: float = 0.95
) -> tuple[PromptWins, ...]:
    """Compare each prompt with the baseline on the queries that it was chosen for.

    The intervals are one for each prompt, not for all at once: of many prompts some will look good by chance.

    Args:
        demonstrations: Held-out demonstrations.
        choices: (n_queries,) index of the prompt chosen for each query.
        baseline: (n_queries,) index of the prompt that the baseline chooses.
        groups: (n_queries,) group numbers, as `Demonstrations.groups` gives them.
        level: Coverage aimed at.

    Returns:
        One entry for each prompt, in the order of the prompts, those never chosen included.
    """
    is_paired = ~np.isnan(chosen_rewards(demonstrations, choices) - chosen_rewards(demonstrations, baseline))
    entries = []
    for column, prompt in enumerate(demonstrations.prompts):
        rows = np.flatnonzero(np.asarray(choices) == column)
        there, paired = demonstrations.select_queries(rows), is_paired[rows]
        here, single, of_group = np.asarray(choices)[rows], np.asarray(baseline)[rows], np.asarray(groups)[rows]
        is_enough = len(np.unique(of_group[paired])) >= 2
        entries.append(
            PromptWins(
                prompt_id=prompt.id,
                n_queries=len(rows),
                share=float(there.repeats.sum() / max(demonstrations.repeats.sum(), 1)),
                value=policy_value(there, here, groups=of_group, within=paired, level=level) if is_enough else None,
                baseline_value=(
                    policy_value(there, single, groups=of_group, within=paired, level=level) if is_enough else None
                ),
                gain=gain(there, here, single, groups=of_group, level=level) if is_enough else None,
            )
        )
    return tuple(entries)
