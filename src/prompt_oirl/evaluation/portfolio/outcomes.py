"""Outcomes of choosing among subsets, on the queries that the subsets were not chosen on, averaged over draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from prompt_oirl.arrays import BoolArray, FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.evaluation.chosen import used_cells
from prompt_oirl.evaluation.estimate import Estimate, Outcomes, estimate
from prompt_oirl.evaluation.portfolio.subsets import Subset, SubsetSearch
from prompt_oirl.evaluation.ratio import ratio_interval
from prompt_oirl.policies import reliable_rates
from prompt_oirl.splits import grouped_folds

__all__ = ["AveragedOutcomes", "Draw", "deal_to_halves", "rates_of_others"]

_MOST_FOLDS = 20

ChoicesAndMeans = tuple[IntArray, FloatArray]
"""(n_draws, n_queries) choices, and (n_queries,) their mean reward, NaN where it is not known."""


@dataclass(frozen=True, eq=False)
class Draw:
    """One way of dealing the query groups to halves."""

    search: SubsetSearch

    parts: tuple[int, int]
    """The two halves among the parts of the search; what is chosen on one is measured on the other."""

    def measured_on(self) -> tuple[IntArray, IntArray]:
        """Return for each half, that is chosen on, the indices of the queries of the other."""
        first, second = self.parts
        return self.search.parts[second], self.search.parts[first]


def deal_to_halves(demonstrations: Demonstrations, groups: IntArray, seed: int) -> tuple[IntArray, IntArray]:
    """Return the indices of the queries of each half; no group is parted."""
    numbered = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    weights = demonstrations.repeats.astype(np.float64)
    return next(grouped_folds(numbered, 2, seed=seed, weights=weights))


def rates_of_others(demonstrations: Demonstrations, groups: IntArray, seed: int) -> FloatArray:
    """Return (n_queries, n_prompts) the reliable success rates on the other folds of the groups, twenty of them."""
    numbered = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    weights = demonstrations.repeats.astype(np.float64)
    rates: FloatArray = np.empty(demonstrations.trials.shape)
    for train, test in grouped_folds(numbered, min(_MOST_FOLDS, int(numbered.max()) + 1), seed=seed, weights=weights):
        rates[test] = reliable_rates(demonstrations.select_queries(train))
    return rates


class AveragedOutcomes:
    """What subsets achieve on the halves that they were not chosen on; a query's outcomes are averaged over draws."""

    def __init__(
        self,
        demonstrations: Demonstrations,
        draws: Sequence[Draw],
        groups: IntArray,
        level: float,
        *,
        widening: float = 1.0,
    ) -> None:
        self.demonstrations = demonstrations
        self._widening = widening
        self.groups = groups
        self.level = level
        self.everything: Subset = tuple(range(demonstrations.n_prompts))
        self.own_rewards: FloatArray = np.array([draw.search.demonstrations.rewards for draw in draws])
        """(n_draws, n_queries, n_prompts) what choices are measured by."""
        self._draws = draws

    @cached_property
    def all(self) -> IntArray:
        """(n_draws, n_queries) choices among all prompts."""
        return self._of_every_half(self.everything)

    @cached_property
    def baseline(self) -> IntArray:
        """(n_draws, n_queries) best single prompts."""
        baseline: IntArray = np.array([draw.search.best_single(self.everything) for draw in self._draws])
        return baseline

    @cached_property
    def without(self) -> list[IntArray]:
        """For each prompt the choices among the others; empty with one prompt."""
        others = [tuple(each for each in self.everything if each != prompt) for prompt in self.everything]
        return [self._of_every_half(subset) for subset in others if subset]

    def choices(self, subsets: Sequence[Subset]) -> IntArray:
        """Return (n_draws, n_queries) choices among the subset that was chosen on the half that a query is not in.

        Args:
            subsets: Of each half, draw by draw.
        """
        choices = np.zeros((len(self._draws), self.demonstrations.n_queries), dtype=np.int64)
        for number, draw in enumerate(self._draws):
            for half, test in enumerate(draw.measured_on()):
                choices[number, test] = draw.search.choices(subsets[2 * number + half])[test]
        return choices

    def rewards(self, choices: IntArray) -> FloatArray:
        """Return (n_draws, n_queries) the rewards of choices."""
        rewards: FloatArray = np.take_along_axis(self.own_rewards, choices[:, :, None], axis=2)[:, :, 0]
        return rewards

    def difference(self, own: ChoicesAndMeans, other: ChoicesAndMeans) -> Estimate:
        """Estimate what the first achieve less what the others do; the interval allows for the folds of the scores."""
        can_vary = (own[0] != other[0]).any(axis=0)
        found = self.estimate(own[1] - other[1], own[0], other[0], can_vary=can_vary)
        below, above = (self._widening * end for end in (found.value - found.low, found.high - found.value))
        return replace(found, low=max(found.value - below, -1.0), high=min(found.value + above, 1.0))

    def share_kept(self, own: ChoicesAndMeans, everything: ChoicesAndMeans, *, of: FloatArray) -> Estimate | None:
        """Estimate 1 less what is lost as a share of what all prompts have; None where that is not told from 0."""
        lost, can_vary = own[1] - everything[1], (own[0] != everything[0]).any(axis=0)
        ends = ratio_interval(lost, of, weights=self._weights, groups=self.groups, can_vary=can_vary, level=self.level)
        if ends is None or not np.nansum(of * self._weights) > 0:
            return None
        found = self.estimate(lost, own[0], everything[0], per=of, can_vary=can_vary)
        return replace(found, value=1 + found.value, low=1 + ends[0], high=1 + ends[1])

    def estimate(
        self,
        values: FloatArray,
        *choices: IntArray,
        per: FloatArray | None = None,
        bounds: tuple[float, float] = (-math.inf, math.inf),
        can_vary: BoolArray | None = None,
    ) -> Estimate:
        """Estimate a mean over queries that rests on some choices, or a ratio of two."""
        used = used_cells(self.demonstrations, list(np.vstack(choices)))
        outcomes = Outcomes(
            values=values,
            weights=self._weights,
            groups=self.groups,
            n_trials=int(self.demonstrations.trials[used & ~np.isnan(values)[:, None]].sum()),
            can_vary=can_vary,
        )
        return estimate(outcomes, per=per, bounds=bounds, level=self.level)

    @property
    def _weights(self) -> FloatArray:
        return self.demonstrations.repeats.astype(np.float64)

    def _of_every_half(self, subset: Subset) -> IntArray:
        return self.choices([subset] * (2 * len(self._draws)))
