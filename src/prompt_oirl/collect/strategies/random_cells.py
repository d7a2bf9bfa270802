"""A random fraction of the grid, drawn by coins that depend on the seed and the names of what is drawn alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from prompt_oirl.arrays import FloatArray
from prompt_oirl.collect.strategies.protocol import Round, check_fraction, digest_of, read_state
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.records import Prompt, Query

__all__ = ["RandomFraction", "hash_coins"]


def hash_coins(names: Iterable[str], *, seed: int, purpose: str) -> FloatArray:
    """Return a number in [0, 1) for each name: uniform, independent, and the same whatever else is drawn.

    Args:
        names: What is drawn, such as the ids of queries.
        seed: Another seed gives independent coins.
        purpose: Another purpose gives independent coins.
    """
    start = hashlib.blake2b(f"{seed}\0{purpose}\0".encode(), digest_size=8)

    def thrown(name: str) -> int:
        digest = start.copy()
        digest.update(name.encode())
        return int.from_bytes(digest.digest())

    coins: FloatArray = (np.fromiter(map(thrown, names), np.uint64) >> np.uint64(11)) * 2.0**-53
    return coins


@dataclass(frozen=True)
class RandomFraction:
    """Buy a random fraction of the grid, in one round.

    A coin depends on the seed and the ids alone, so the choice does not depend on the order of queries and prompts, nor
    on how the grid grew.

    Raises:
        ParameterError: The fraction is not in (0, 1].
    """

    fraction: float
    """Probability with which each query × prompt is bought."""

    seed: int = 0

    whole_queries: bool = True
    """Whether a query is bought with all prompts or with none, which is what comparisons within a query need; if not,
    every query × prompt has a coin of its own."""

    def __post_init__(self) -> None:
        check_fraction(self.fraction)

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
        demonstrations: Callable[[], Demonstrations],  # noqa: ARG002 - of the protocol
    ) -> Round | None:
        """Return the fraction of the grid, also of what was drawn before it grew; None when that was the last round.

        See `Strategy`.
        """
        settings = {"fraction": self.fraction, "seed": self.seed, "whole_queries": self.whole_queries}
        earlier = read_state(state, strategy="random", settings=settings)
        grid = digest_of(queries, prompts)
        if earlier is not None and earlier["grid"] == grid:
            return None
        shape = (len(queries), len(prompts))
        return Round.drawn(
            np.arange(shape[0]),
            np.arange(shape[1]),
            np.full(shape, self.fraction),
            self._coins(queries, prompts),
            json.dumps({"strategy": "random", **settings, "grid": grid}),
        )

    def _coins(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> FloatArray:
        ids = [query.id for query in queries]
        if self.whole_queries:
            return hash_coins(ids, seed=self.seed, purpose="query")[:, None]
        names = (f"{id}\0{prompt.id}" for id in ids for prompt in prompts)
        return hash_coins(names, seed=self.seed, purpose="cell").reshape(len(queries), len(prompts))
