"""Whether the queries that are judged on were held out, and how alike they are."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from prompt_oirl.arrays import IntArray
from prompt_oirl.evaluation.estimate import DOMINANT_SHARE, FEWEST_GROUPS
from prompt_oirl.splits import Grouping

__all__ = ["LeakageAudit", "audit_leakage"]


@dataclass(frozen=True, slots=True)
class LeakageAudit:
    """What was done against leakage, and what could still be wrong."""

    by: Grouping
    """What makes a group of queries."""

    is_held_out: bool
    """Whether no query was judged by what had seen its group; the report is not made otherwise."""

    n_queries: int
    n_groups: int
    n_groups_of_several: int
    """Groups of more than one query: near-duplicates, or identical texts."""

    n_queries_in_them: int

    largest_group_share: float
    """Of the queries, each counted as often as it was asked, those of the largest group."""

    n_dropped_as_seen: int
    """Queries left out because the recommender had seen their group."""

    @property
    def has_few_groups(self) -> bool:
        """Whether there are fewer than 30 groups: too few to trust an interval."""
        return self.n_groups < FEWEST_GROUPS

    @property
    def has_dominant_group(self) -> bool:
        """Whether one group is more than half of the data, so that the rest cannot say what it is worth."""
        return self.largest_group_share > DOMINANT_SHARE

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self) | {
            "has_few_groups": self.has_few_groups,
            "has_dominant_group": self.has_dominant_group,
        }


def audit_leakage(groups: IntArray, repeats: IntArray, *, by: Grouping, n_dropped_as_seen: int = 0) -> LeakageAudit:
    """Count groups of queries.

    Args:
        groups: (n_queries,) group numbers of the queries that are judged on.
        repeats: (n_queries,) how often each was asked.
        by: What makes a group.
        n_dropped_as_seen: Queries that were left out before.
    """
    sizes = np.unique(groups, return_counts=True)[1]
    asked = np.bincount(groups, weights=repeats) if len(groups) else np.zeros(1)
    return LeakageAudit(
        by=by,
        is_held_out=True,
        n_queries=len(groups),
        n_groups=len(sizes),
        n_groups_of_several=int((sizes > 1).sum()),
        n_queries_in_them=int(sizes[sizes > 1].sum()),
        largest_group_share=float(asked.max() / max(asked.sum(), 1)),
        n_dropped_as_seen=n_dropped_as_seen,
    )
