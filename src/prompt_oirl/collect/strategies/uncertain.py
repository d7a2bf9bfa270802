"""Buy where the current reward model cannot tell prompts apart, with probabilities that are known exactly."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from prompt_oirl.arrays import BoolArray, FloatArray, IntArray
from prompt_oirl.collect.strategies.protocol import Round, check_fraction, digest_of, read_state
from prompt_oirl.collect.strategies.random_cells import hash_coins
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ParameterError, StoreError
from prompt_oirl.randomness import generator
from prompt_oirl.records import Prompt, Query
from prompt_oirl.reward.kernel_advantage import KernelAdvantage
from prompt_oirl.reward.protocol import RewardModel

__all__ = ["Uncertain", "contention", "propensities_for"]

_LEAST_WEIGHT = 1e-6
"""Of a prompt that is out of the question, in units of the best one's."""

_N_HALVINGS = 80
_MOST_QUERIES = 2000
"""Queries that the reward model learns from, a random choice of them where there are more: a fit takes seconds."""


@dataclass(frozen=True)
class Uncertain:
    """Buy a fraction of the grid, more of it where a prompt may be its query's best, in rounds.

    The queries come in a random order. Each is considered in one round, in which its prompts are bought with
    probabilities that depend on the demonstrations of earlier rounds alone. So a stored propensity is exact given the
    past, and what is weighted with its inverse is unbiased (a sum of martingale differences). The first round buys at
    random. From then on a reward model is fitted before each round, and a prompt's probability falls exponentially with
    how far its score is behind that of the query's best prompt; it is never under `floor` times the fraction, and as
    high on average as the fraction.

    The prompts of a query share one coin: two of them are both bought with the smaller one of their probabilities, the
    most that is possible, because a reward model learns from comparisons within a query.

    Raises:
        ParameterError: A setting is outside what is allowed.
    """

    fraction: float
    """Expected share of the grid that is bought."""

    seed: int = 0
    n_rounds: int = 10
    """Rounds for the queries that are there; those that come after the last one are a round of their own."""

    floor: float = 0.2
    """Least probability of a cell, as a share of `fraction`."""

    model: Callable[[], RewardModel] = field(default=KernelAdvantage)
    """Makes the reward model that is fitted before each round."""

    def __post_init__(self) -> None:
        check_fraction(self.fraction)
        if self.n_rounds < 1 or not 0 < self.floor <= 1:
            raise ParameterError(
                f"n_rounds={self.n_rounds}, floor={self.floor}: at least 1, and more than 0 and at most 1, are needed"
            )

    @property
    def is_drawn(self) -> bool:
        """True."""
        return True

    def next_round(
        self,
        queries: Sequence[Query],
        prompts: Sequence[Prompt],
        *,
        state: str | None,
        demonstrations: Callable[[], Demonstrations],
    ) -> Round | None:
        """Return the next round; None when every query was considered with every prompt. See `Strategy`.

        Prompts that came later are bought at random for the queries that were considered without them.
        """
        past = self._past(state, queries, prompts)
        order = _random_order(queries, self.seed)
        considered = _considered(past, order)
        rows: IntArray = np.flatnonzero(considered)
        columns: IntArray = np.arange(past[-1].n_prompts if past else 0, len(prompts))
        if len(rows) and len(columns):
            propensities: FloatArray = np.full((len(rows), len(columns)), self.fraction)
            drawn = _Drawn(len(queries), len(prompts), n_considered=0)
        else:
            rows, columns = _next_rows(order, considered, self.n_rounds - _n_rounds(past)), np.arange(len(prompts))
            if not len(rows):
                return None
            propensities = self._propensities([queries[row] for row in rows.tolist()], prompts, demonstrations)
            drawn = _Drawn(len(queries), len(prompts), n_considered=len(rows))
        coins = hash_coins((queries[row].id for row in rows.tolist()), seed=self.seed, purpose="uncertain")
        return Round.drawn(
            rows, columns, propensities, coins[:, None], self._state([*past, drawn], digest_of(queries, prompts))
        )

    def _propensities(
        self, queries: Sequence[Query], prompts: Sequence[Prompt], demonstrations: Callable[[], Demonstrations]
    ) -> FloatArray:
        """Return (n_queries, n_prompts) probabilities; all are the fraction where nothing can be learnt yet."""
        learnable = _learnable(demonstrations(), prompts, self.seed)
        if learnable is None:
            return np.full((len(queries), len(prompts)), self.fraction)
        scores = self.model().fit(learnable).score(queries, prompts)
        return propensities_for(contention(scores), fraction=self.fraction, least=self.floor * self.fraction)

    def _past(self, state: str | None, queries: Sequence[Query], prompts: Sequence[Prompt]) -> list[_Drawn]:
        record = read_state(state, strategy="uncertain", settings={"seed": self.seed})
        if record is None:
            return []
        past = [_Drawn(*drawn) for drawn in record["rounds"]]
        n_queries, n_prompts, _ = past[-1]
        if digest_of(queries[:n_queries], prompts[:n_prompts]) != record["grid"]:
            raise StoreError(
                f"the first {n_queries} queries and {n_prompts} prompts are not those that rounds were drawn from; "
                "give all queries and prompts of the run in the order of their registration"
            )
        return past

    def _state(self, past: Sequence[_Drawn], grid: str) -> str:
        return json.dumps({"strategy": "uncertain", "seed": self.seed, "rounds": past, "grid": grid})


def contention(scores: FloatArray) -> FloatArray:
    """Return (n_queries, n_prompts) how much each prompt is in contention: 1 for a query's best prompt, 0 for none.

    It falls by e for every median gap between a prompt's score and that of the query's best.

    Args:
        scores: (n_queries, n_prompts) of a reward model.
    """
    gaps: FloatArray = scores.max(axis=1, keepdims=True) - scores
    behind = gaps[gaps > 0]
    weights: FloatArray = np.exp(-gaps / np.median(behind)) if len(behind) else np.ones(gaps.shape)
    return weights


def propensities_for(weights: FloatArray, *, fraction: float, least: float) -> FloatArray:
    """Return probabilities in proportion to weights, but at least `least` and at most 1, whose mean is the fraction.

    Args:
        weights: Non-negative, of any shape.
        fraction: Mean of the probabilities; at least `least`.
        least: Lowest probability.
    """
    weights = np.maximum(weights, _LEAST_WEIGHT * weights.max())
    low, high = 0.0, 1 / float(weights.min())
    for _ in range(_N_HALVINGS):
        middle = (low + high) / 2
        if np.clip(middle * weights, least, 1.0).mean() < fraction:
            low = middle
        else:
            high = middle
    probabilities: FloatArray = np.clip(high * weights, least, 1.0)
    return probabilities


class _Drawn(NamedTuple):
    """What has to be known of a round to tell which queries it considered."""

    n_queries: int
    """Of the grid at that time."""

    n_prompts: int
    n_considered: int
    """Queries that were considered for the first time; 0 where new prompts were drawn for old queries."""


def _random_order(queries: Sequence[Query], seed: int) -> IntArray:
    ranks = hash_coins((query.id for query in queries), seed=seed, purpose="order")
    order: IntArray = np.argsort(ranks, kind="stable")
    return order


def _n_rounds(past: Sequence[_Drawn]) -> int:
    return sum(drawn.n_considered > 0 for drawn in past)


def _considered(past: Sequence[_Drawn], order: IntArray) -> BoolArray:
    """Return (n_queries,) which queries earlier rounds have considered: in order, of those that were there."""
    considered = np.zeros(len(order), dtype=np.bool_)
    for drawn in past:
        waiting = order[(order < drawn.n_queries) & ~considered[order]]
        considered[waiting[: drawn.n_considered]] = True
    return considered


def _next_rows(order: IntArray, considered: BoolArray, n_left: int) -> IntArray:
    """Return the queries of the next of `n_left` rounds of about equal size, in ascending order."""
    waiting = order[~considered[order]]
    rows: IntArray = np.sort(waiting[: -(-len(waiting) // max(n_left, 1))])
    return rows


def _learnable(demonstrations: Demonstrations, prompts: Sequence[Prompt], seed: int) -> Demonstrations | None:
    """Return what a reward model of these prompts can learn from; None where a prompt or queries have no trial yet."""
    column_of = {id: column for column, id in enumerate(demonstrations.prompt_ids)}
    if not all(prompt.id in column_of for prompt in prompts):
        return None
    of_prompts = demonstrations.select_prompts([column_of[prompt.id] for prompt in prompts])
    rows = np.flatnonzero(of_prompts.trials.any(axis=1))
    if len(rows) < 2 or not of_prompts.trials.any(axis=0).all():
        return None
    if len(rows) > _MOST_QUERIES:
        rows = generator(seed).choice(rows, _MOST_QUERIES, replace=False)
    return of_prompts.select_queries(rows)
