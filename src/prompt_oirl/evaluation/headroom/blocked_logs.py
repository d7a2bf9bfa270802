"""Logs made ready to look for headroom: prompts with trials, blocks of groups, and choices by trials."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from prompt_oirl.arrays import BoolArray, FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError
from prompt_oirl.evaluation.estimate import FEWEST_GROUPS, Outcomes
from prompt_oirl.evaluation.headroom.moments import BlockSums, blocks_of
from prompt_oirl.evaluation.headroom.sequential import SequentialChoices, choose_in_sequence
from prompt_oirl.policies import best_single_of
from prompt_oirl.splits import Grouping

__all__ = ["BlockedLogs"]


@dataclass(frozen=True, eq=False)
class BlockedLogs:
    """Demonstrations of the prompts that have trials, and what all that is said of them rests on."""

    demonstrations: Demonstrations

    groups: IntArray
    """(n_queries,) group of near-duplicates of each query."""

    blocks: IntArray
    """(n_queries,) block of groups of each query."""

    sums: BlockSums

    choices: SequentialChoices | None
    """By other trials of the same query; None where too few groups have repeated trials."""

    @classmethod
    def of(cls, demonstrations: Demonstrations, *, by: Grouping, seed: int) -> Self:
        """Make logs ready.

        Args:
            demonstrations: Logged trials.
            by: What makes a group of queries.
            seed: Of the blocks, and of the trials left out.

        Raises:
            DataError: Fewer than two prompts have scored trials, or there are fewer than two groups of queries.
        """
        logged = demonstrations.select_prompts(np.flatnonzero(demonstrations.trials.any(axis=0)))
        groups = logged.groups(by)
        _check(logged, demonstrations.n_prompts, groups)
        blocks = blocks_of(logged, groups, seed=seed)
        sums = BlockSums.of(logged, blocks)
        choices = choose_in_sequence(logged, blocks, sums, seed=seed)
        if choices is not None:
            is_measured = ~np.isnan(choices.gain_over(choices.baseline, groups=groups).values)
            choices = choices if len(np.unique(groups[is_measured])) > 1 else None
        return cls(logged, groups, blocks, sums, choices)

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return int(self.groups.max()) + 1

    @property
    def weights(self) -> FloatArray:
        """(n_queries,) how often each query was asked."""
        weights: FloatArray = self.demonstrations.repeats.astype(np.float64)
        return weights

    @property
    def is_repeated(self) -> BoolArray:
        """(n_queries,) whether some prompt was tried more than once."""
        repeated: BoolArray = self.demonstrations.trials.max(axis=1) > 1
        return repeated

    @property
    def baseline(self) -> IntArray:
        """(n_queries,) index of the best single prompt of the blocks that the query is not in."""
        others = (np.flatnonzero(self.blocks != block) for block in range(self.sums.n_blocks))
        best = np.array([best_single_of(self.demonstrations.select_queries(rows)) for rows in others])
        baseline: IntArray = best[self.blocks]
        return baseline

    @property
    def largest_group_share(self) -> float:
        """Share of the queries, each counted as often as it was asked, that the largest group has."""
        return float(np.bincount(self.groups, weights=self.weights).max() / self.weights.sum())

    @property
    def rivals(self) -> IntArray:
        """Indices of the prompts that a choice must beat, those tried in 30 groups or more; all where none was.

        Whether a prompt that was hardly tried is the best of all cannot be known, and must not hide what is.
        """
        tried = np.array([len(np.unique(self.groups[column])) for column in (self.demonstrations.trials > 0).T])
        well_tried: IntArray = np.flatnonzero(tried >= FEWEST_GROUPS)
        return well_tried if len(well_tried) else np.arange(len(tried))

    def gains_over_rivals(self) -> Iterator[Outcomes]:
        """Yield what choosing by trials gains over each single prompt that must be beaten."""
        if self.choices is not None:
            for prompt in self.rivals:
                yield self.choices.gain_over(np.full(len(self.groups), prompt), groups=self.groups)


def _check(logged: Demonstrations, n_prompts: int, groups: IntArray) -> None:
    if logged.n_prompts < 2:
        raise DataError(
            f"{logged.n_prompts} of {n_prompts} prompts have scored trials: headroom is what choosing among two or "
            "more would gain; log another prompt on these queries"
        )
    n_groups = len(np.unique(groups))
    if n_groups < 2:
        raise DataError(
            f"{logged.n_queries} queries are in {n_groups} groups of near-duplicates: headroom needs at least two, and "
            "30 to be trusted; log more distinct queries"
        )
