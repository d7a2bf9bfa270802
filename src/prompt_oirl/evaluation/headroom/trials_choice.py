"""A rule that chooses a query's prompt by trials on the query itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from prompt_oirl.arrays import BoolArray, FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError
from prompt_oirl.evaluation.headroom.moments import BlockSums, Moments, blocks_of, regular_covariance
from prompt_oirl.policies import best_of_scores, best_single_of

__all__ = ["TrialsChoice"]

_MOST_NUMBERS = 4_000_000
"""In the matrices of the queries that are worked on at once."""

_LEAST_NOISE = 1e-4
"""Where trials hardly differ, one of them tells almost all."""


@dataclass(frozen=True, eq=False)
class TrialsChoice:
    """Choose the prompt with the highest expected reward, given earlier trials on the same query.

    Expected by the best linear prediction (empirical Bayes): prompts have means; success probabilities vary about them
    from query to query, with a covariance that holds how much easier some queries are for all prompts and how much
    prompts suit some queries more; trials have noise. Where no other prompt is expected to do better, the choice is the
    best single prompt.
    """

    means: FloatArray
    """(n_prompts,) mean success probability."""

    covariance: FloatArray
    """(n_prompts, n_prompts) of the success probabilities over queries."""

    noise: FloatArray
    """(n_prompts,) variance of one trial."""

    best_single: int
    """Index of the best single prompt."""

    @classmethod
    def chosen_on(cls, demonstrations: Demonstrations, *, groups: IntArray, seed: int = 0) -> Self:
        """Learn the rule from training demonstrations.

        Args:
            demonstrations: With repeated trials of some prompt on some query.
            groups: (n_queries,) group numbers.
            seed: Of the blocks of groups by which the estimates' own spread is judged.

        Raises:
            DataError: No prompt was tried twice on a query.
        """
        sums = BlockSums.of(demonstrations, blocks_of(demonstrations, groups, seed=seed))
        return cls.of_sums(sums, best_single=best_single_of(demonstrations))

    @classmethod
    def of_sums(cls, sums: BlockSums, *, best_single: int) -> Self:
        """Learn the rule from sums over training demonstrations.

        Args:
            sums: Over blocks of query groups.
            best_single: Index of the best single prompt of these demonstrations.

        Raises:
            DataError: No prompt was tried twice on a query.
        """
        moments = Moments.of(sums)
        if not moments.has_repeats:
            raise DataError(
                "no prompt was tried twice on the same query: choosing by a query's own trials needs repeats; "
                "collect again with two or more samples of each query and prompt"
            )
        means = np.where(np.isnan(moments.means), 0.0, moments.means)
        noise = np.where(np.isnan(moments.noise), np.nanmean(moments.noise), moments.noise)
        return cls(
            means=means,
            covariance=regular_covariance(sums),
            noise=np.maximum(noise, _LEAST_NOISE),
            best_single=best_single,
        )

    def expected_rewards(self, successes: IntArray, trials: IntArray) -> FloatArray:
        """Return the (n_queries, n_prompts) success probabilities to be expected after these trials.

        Args:
            successes: (n_queries, n_prompts) successes on each query.
            trials: (n_queries, n_prompts) of so many trials; 0 where there are none.
        """
        size = max(_MOST_NUMBERS // len(self.noise) ** 2, 1)
        parts = range(0, len(trials), size)
        surprises = (successes - trials * self.means) / self.noise
        shifts = [self._shift(surprises[at : at + size], trials[at : at + size]) for at in parts]
        expected: FloatArray = self.means + np.concatenate([surprises[:0], *shifts])
        return expected

    def _shift(self, surprises: FloatArray, trials: IntArray) -> FloatArray:
        """Return Σ (I + WΣ)⁻¹ W (mean reward less mean), W = trials / noise, without dividing by 0 trials."""
        patterns, which = np.unique(trials, axis=0, return_inverse=True)
        weighted = np.eye(len(self.noise)) + (patterns / self.noise)[:, :, None] * self.covariance
        solved = np.linalg.inv(weighted)[which.ravel()] @ surprises[:, :, None]
        shift: FloatArray = solved[:, :, 0] @ self.covariance
        return shift

    def choose(self, successes: IntArray, trials: IntArray, *, among: BoolArray | None = None) -> IntArray:
        """Return the (n_queries,) index of the chosen prompt.

        Args:
            successes: (n_queries, n_prompts) successes on each query.
            trials: (n_queries, n_prompts) of so many trials; 0 where there are none.
            among: (n_queries, n_prompts) the prompts that may be chosen; all of them if not given.
        """
        expected = self.expected_rewards(successes, trials)
        allowed = expected if among is None else np.where(among, expected, -np.inf)
        return best_of_scores(allowed, best_single=self.best_single)
