"""What logs hold to compare prompts by, before anything is learnt from them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from prompt_oirl.arrays import IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.evaluation.estimate import FEWEST_GROUPS
from prompt_oirl.report.texts import count

__all__ = ["Evidence", "weigh_evidence"]

WAY_OUT = (
    "ask every query with every prompt, or, where the rows are decisions with their propensities, weigh them with "
    "prompt-oirl evaluate --off-policy"
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """On how many queries prompts can be compared, and whether there is any difference to be seen."""

    n_queries: int
    """Queries with a reward."""

    n_compared_queries: int
    """Queries on which two prompts or more have a reward."""

    n_compared_groups: int
    """Groups of near-duplicates that these are in."""

    n_repeated_queries: int
    """Queries on which some prompt was tried twice or more."""

    equal_reward: int | None
    """The reward that all trials have, 0 or 1; None where they differ."""

    @property
    def has_few_compared(self) -> bool:
        """Whether fewer than 30 groups of queries were asked with two prompts, so that hardly any can be compared."""
        return self.n_compared_groups < FEWEST_GROUPS

    @property
    def is_mostly_uncompared(self) -> bool:
        """Whether most queries were asked with one prompt alone: that they be asked with others would tell more."""
        return 2 * self.n_compared_queries < self.n_queries

    @property
    def is_mostly_unrepeated(self) -> bool:
        """Whether most queries were asked once with each prompt: repeats would tell luck from headroom."""
        return 2 * self.n_repeated_queries < self.n_queries

    @property
    def problem(self) -> str:
        """How few queries were asked with two prompts, and the way out, in one clause."""
        many = f"only {count(self.n_compared_queries)} of {count(self.n_queries)} queries were"
        if not self.n_compared_queries:
            many = "no query was"
        return f"{many} asked with two prompts, so prompts cannot be compared on the same queries: {WAY_OUT}"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self)


def weigh_evidence(demonstrations: Demonstrations, *, groups: IntArray) -> Evidence:
    """Count what prompts can be compared by.

    Args:
        demonstrations: Of which every query has a scored trial.
        groups: (n_queries,) group numbers.
    """
    is_compared = (demonstrations.trials > 0).sum(axis=1) > 1
    return Evidence(
        n_queries=demonstrations.n_queries,
        n_compared_queries=int(is_compared.sum()),
        n_compared_groups=len(np.unique(groups[is_compared])),
        n_repeated_queries=int((demonstrations.trials > 1).any(axis=1).sum()),
        equal_reward=demonstrations.equal_reward,
    )
