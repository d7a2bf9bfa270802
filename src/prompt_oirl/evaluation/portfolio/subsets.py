"""The best subset of the prompts of each size, on each of several parts of the queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations

import numpy as np

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError
from prompt_oirl.policies import best_of_scores

__all__ = ["MOST_EXHAUSTIVE", "Subset", "SubsetSearch"]

MOST_EXHAUSTIVE = 12
"""Up to that many prompts every subset is tried: 4095 of them."""

Subset = tuple[int, ...]
"""Indices of prompts, ascending."""


@dataclass(frozen=True, eq=False)
class SubsetSearch:
    """Choices among subsets of the prompts by scores that are at hand, and what they are worth on parts of the queries.

    Raises:
        DataError: No prompt has a scored trial on one of the parts.
    """

    demonstrations: Demonstrations

    scores: FloatArray
    """(n_queries, n_prompts) held-out scores."""

    parts: Sequence[IntArray]
    """Indices of the queries of each part."""

    head_start: float
    """Of the best single prompt of a subset."""

    rates: FloatArray
    """(n_queries, n_prompts) by which the best single prompt is chosen for each query, from as many other queries as
    its scores: a baseline that knew less would lose to them by that alone. NaN for a prompt without a trial."""

    _values: dict[Subset, FloatArray] = field(default_factory=dict, init=False)
    """(n_parts,) value of each subset."""

    def __post_init__(self) -> None:
        for rows in self.parts:
            if not self.demonstrations.trials[rows].any():
                raise DataError(
                    f"{len(rows)} of {self.demonstrations.n_queries} queries were set apart to choose prompts on, and "
                    "none of them has a scored trial; log more queries"
                )

    @cached_property
    def _rewards(self) -> FloatArray:
        return self.demonstrations.rewards

    @cached_property
    def _weights(self) -> FloatArray:
        return self.demonstrations.repeats.astype(np.float64)

    @cached_property
    def _known_rates(self) -> FloatArray:
        return np.nan_to_num(self.rates, nan=-np.inf)

    @property
    def is_exhaustive(self) -> bool:
        """Whether every subset is tried; if not, prompts are added one by one, each the one that helps most."""
        return self.demonstrations.n_prompts <= MOST_EXHAUSTIVE

    def best_single(self, subset: Subset) -> IntArray:
        """Return the (n_queries,) best single prompt of a subset; ties go to the first."""
        columns = np.array(subset)
        best: IntArray = columns[self._known_rates[:, columns].argmax(axis=1)]
        return best

    def choices(self, subset: Subset) -> IntArray:
        """Return the (n_queries,) prompt chosen among a subset."""
        columns = np.array(subset)
        single = self._known_rates[:, columns].argmax(axis=1)
        chosen = best_of_scores(self.scores[:, columns], head_start=self.head_start, best_single=single)
        choices: IntArray = columns[chosen]
        return choices

    def best_of_each_size(self, part: int) -> list[Subset]:
        """Return for each size the subset of the highest value on a part; of size 1, what is most often best there."""
        everything = tuple(range(self.demonstrations.n_prompts))
        found: list[Subset] = [(int(np.bincount(self.best_single(everything)[self.parts[part]]).argmax()),)]
        for size in range(2, len(everything) + 1):
            candidates = combinations(everything, size) if self.is_exhaustive else _with_one_more(found[-1], everything)
            found.append(max(candidates, key=lambda subset: self._value(subset, part)))
        return found

    def _value(self, subset: Subset, part: int) -> float:
        if subset not in self._values:
            self._values[subset] = self._values_of(self.choices(subset))
        return float(self._values[subset][part])

    def _values_of(self, choices: IntArray) -> FloatArray:
        """Return (n_parts,) the success rate of choosing so on each part, 0 where no chosen cell was tried."""
        rewards = self._rewards[np.arange(len(choices)), choices]
        weights = np.where(np.isnan(rewards), 0.0, self._weights)
        won = np.array([weights[rows] @ np.nan_to_num(rewards[rows]) for rows in self.parts], dtype=np.float64)
        asked = np.array([weights[rows].sum() for rows in self.parts], dtype=np.float64)
        values: FloatArray = np.divide(won, asked, out=np.zeros_like(won), where=asked > 0)
        return values


def _with_one_more(subset: Subset, everything: Subset) -> Iterator[Subset]:
    return (tuple(sorted((*subset, prompt))) for prompt in everything if prompt not in subset)
