"""Which cells to buy: a strategy names them round by round, each with the probability that it was chosen with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ParameterError, StoreError
from prompt_oirl.records import Prompt, Query

__all__ = ["FullGrid", "Round", "Strategy", "check_fraction", "digest_of", "read_state"]


@dataclass(frozen=True, eq=False)
class Round:
    """Some query × prompt pairs to buy, all samples of each.

    Raises:
        ParameterError: The arrays differ in length, or a propensity is not in (0, 1].
    """

    rows: IntArray
    """(n_pairs,) Index of each pair's query."""

    columns: IntArray
    """(n_pairs,) Index of each pair's prompt."""

    propensities: FloatArray
    """(n_pairs,) Probability, given everything that was bought in earlier rounds, with which each pair was chosen."""

    state: str
    """What the strategy needs to know to go on after this round: JSON, to be kept with the round's cells."""

    def __post_init__(self) -> None:
        if not len(self.rows) == len(self.columns) == len(self.propensities):
            raise ParameterError(
                f"{len(self.rows)} rows, {len(self.columns)} columns, {len(self.propensities)} propensities: as many "
                "of each are needed"
            )
        if len(self) and not (self.propensities.min() > 0 and self.propensities.max() <= 1):
            raise ParameterError(
                f"propensities from {self.propensities.min()} to {self.propensities.max()}: in (0, 1] is needed"
            )

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def drawn(cls, rows: IntArray, columns: IntArray, propensities: FloatArray, coins: FloatArray, state: str) -> Round:
        """Choose from a block of pairs those whose coin is under their propensity.

        Args:
            rows: (n,) indices of the block's queries.
            columns: (m,) indices of the block's prompts.
            propensities: (n, m) of the block.
            coins: (n, m) numbers in [0, 1), or (n, 1) where all prompts of a query share one.
            state: See `Round.state`.
        """
        row, column = np.nonzero(coins < propensities)
        return cls(rows[row], columns[column], propensities[row, column], state)


@runtime_checkable
class Strategy(Protocol):
    """Chooses which cells of a grid are bought.

    The cells of a round and its state are stored in one go before any is bought, and the next round is asked for when
    every cell of the last one has an outcome. So a run that is killed goes on with the round that it was in.
    """

    @property
    def fraction(self) -> float:
        """Expected share of the grid that is bought in all rounds together."""
        ...

    @property
    def is_drawn(self) -> bool:
        """Whether a round must be stored before it is bought; if not, it is the same whenever it is asked for."""
        ...

    def next_round(
        self,
        queries: Sequence[Query],
        prompts: Sequence[Prompt],
        *,
        state: str | None,
        demonstrations: Callable[[], Demonstrations],
    ) -> Round | None:
        """Return the next pairs to buy, or None when there are no more.

        Args:
            queries: The run's queries in the order of their registration, so that new ones come last.
            prompts: The run's prompts, likewise.
            state: Of the last round; None before the first.
            demonstrations: Gives what was bought so far, graded; called only where it is needed.

        Raises:
            StoreError: The state is another strategy's, or of another grid.
        """
        ...


@dataclass(frozen=True)
class FullGrid:
    """Buy every cell, in one round."""

    @property
    def fraction(self) -> float:
        """1."""
        return 1.0

    @property
    def is_drawn(self) -> bool:
        """False."""
        return False

    def next_round(
        self,
        queries: Sequence[Query],
        prompts: Sequence[Prompt],
        *,
        state: str | None,
        demonstrations: Callable[[], Demonstrations],  # noqa: ARG002 - of the protocol
    ) -> Round | None:
        """Return the whole grid, each pair with propensity 1; None when that was the last round. See `Strategy`."""
        grid = digest_of(queries, prompts)
        if state is not None and json.loads(state) == {"strategy": "full", "grid": grid}:
            return None
        shape = (len(queries), len(prompts))
        rows, columns = np.divmod(np.arange(shape[0] * shape[1]), max(shape[1], 1))
        return Round(rows, columns, np.ones(len(rows)), json.dumps({"strategy": "full", "grid": grid}))


def check_fraction(fraction: float) -> None:
    """Raise unless it is a share of the grid that can be bought.

    Raises:
        ParameterError: It is not more than 0 and at most 1.
    """
    if not 0 < fraction <= 1:
        raise ParameterError(f"fraction={fraction}: a share of the grid, more than 0 and at most 1, is needed")


def digest_of(queries: Iterable[Query], prompts: Iterable[Prompt]) -> str:
    """Return a hash of the ids of queries and prompts in their order."""
    digest = hashlib.sha256()
    for query in queries:
        digest.update(query.id.encode() + b"\0")
    for prompt in prompts:
        digest.update(b"\0" + prompt.id.encode())
    return digest.hexdigest()[:16]


def read_state(state: str | None, *, strategy: str, settings: dict[str, Any]) -> dict[str, Any] | None:
    """Return what an earlier round left, None where there was none.

    Raises:
        StoreError: It was left by another strategy, or by the same with other settings.
    """
    if state is None:
        return None
    record: dict[str, Any] = json.loads(state)
    expected = {"strategy": strategy} | settings
    found = {name: record.get(name) for name in expected}
    if found != expected:
        raise StoreError(
            f"this run's cells were drawn with {_listed(found)}, which cannot be mixed with {_listed(expected)}: the "
            "probabilities that are stored would be wrong; use the former, or collect into another folder"
        )
    return record


def _listed(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())
