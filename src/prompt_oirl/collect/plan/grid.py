"""The grid: every query asked with every prompt, as often as there are samples, each cell with its key."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from prompt_oirl.arrays import IntArray
from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.prompts import check_distinct
from prompt_oirl.records import Message, Prompt, Query, Question
from prompt_oirl.runs.cells import Cell, CellKeys
from prompt_oirl.runs.configuration import RunConfiguration

__all__ = ["Grid", "KeyArray"]

KeyArray = NDArray[np.void]
"""Keys of cells, 16 bytes each: dtype `V16`. `tolist()` gives them as `bytes`."""


@dataclass(frozen=True, eq=False)
class Grid:
    """All cells of a run, numbered in the order in which they are to be bought.

    A budget may end before the grid does, and what it has bought should still be a fair comparison of the prompts. So
    a query is asked with every prompt before the next query is; the queries come in a random order, so that any
    beginning of it is a random sample of them; and the second sample of a cell comes after the first one of all. The
    order of two queries depends on their texts and the seed alone, so it stays when others are added.

    Raises:
        DataError: There is no query or no prompt, one is there twice, or two cells would send the same messages.
        ParameterError: `n_samples` is less than 1.
    """

    queries: tuple[Question, ...]
    """What is asked, with the gold answers where there are any."""

    prompts: tuple[Prompt, ...]
    n_samples: int
    """Answers that each query × prompt is asked for."""

    configuration: RunConfiguration
    seed: int = 0
    """Of the order of the queries."""

    order: IntArray = field(init=False, repr=False)
    """(n_queries,) Index of the query that is asked first, second, …"""

    keys: KeyArray = field(init=False, repr=False)
    """(n_cells,) Key of each cell."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "queries", tuple(self.queries))
        object.__setattr__(self, "prompts", tuple(self.prompts))
        self._check()
        object.__setattr__(self, "order", _random_order(self.queries, self.seed))
        object.__setattr__(self, "keys", self._computed_keys())
        self._check_keys()

    def __len__(self) -> int:
        return len(self.queries) * len(self.prompts) * self.n_samples

    @property
    def positions(self) -> IntArray:
        """(n_queries, n_prompts, n_samples) Number of each cell, for arrays in the order of queries and prompts.

        `values[grid.positions]` brings an array of (n_cells,) into that order, and `values[grid.positions] = …` fills
        one from it.
        """
        n_queries, n_prompts = len(self.queries), len(self.prompts)
        positions: IntArray = np.empty((n_queries, n_prompts, self.n_samples), dtype=np.int64)
        numbers = np.arange(len(self)).reshape(self.n_samples, n_queries, n_prompts)
        positions[self.order] = numbers.transpose(1, 2, 0)
        return positions

    def cell(self, number: int, *, propensity: float = 1.0) -> Cell:
        """Return the cell of that number, from 0."""
        query, prompt, sample = self._parts(number)
        return Cell(self.keys[number].tobytes(), query.id, prompt.id, sample, propensity)

    def messages(self, number: int) -> tuple[Message, ...]:
        """Return what the LLM is sent to buy the cell of that number."""
        query, prompt, _ = self._parts(number)
        return prompt.messages(query)

    def _parts(self, number: int) -> tuple[Query, Prompt, int]:
        rest, prompt = divmod(range(len(self))[number], len(self.prompts))
        sample, rank = divmod(rest, len(self.queries))
        return self.queries[self.order[rank]].query, self.prompts[prompt], sample

    def _computed_keys(self) -> KeyArray:
        queries = (self.queries[index].query for index in self.order)
        keys = CellKeys(self.configuration).of_grid(queries, self.prompts, n_samples=self.n_samples)
        by_query = np.fromiter(keys, dtype="V16", count=len(self))
        samples_last = by_query.reshape(len(self.queries), len(self.prompts), self.n_samples)
        return np.ascontiguousarray(samples_last.transpose(2, 0, 1)).reshape(-1)

    def _check(self) -> None:
        if isinstance(self.n_samples, bool) or not isinstance(self.n_samples, int) or self.n_samples < 1:
            raise ParameterError(f"n_samples={self.n_samples!r}: a whole number of at least 1 is needed")
        if not self.queries or not self.prompts:
            raise DataError(
                f"{len(self.queries)} queries × {len(self.prompts)} prompts: at least one of each is needed"
            )
        check_distinct(self.prompts)
        _check_distinct_queries(self.queries)

    def _check_keys(self) -> None:
        """Raise if two cells have one key: one answer would have to serve for both."""
        n_pairs = len(self.queries) * len(self.prompts)
        low, high = self.keys[:n_pairs].view(np.uint64).reshape(-1, 2).T
        by_key = np.lexsort((low, high))
        is_repeated = (np.diff(low[by_key]) == 0) & (np.diff(high[by_key]) == 0)
        if is_repeated.any():
            place = int(is_repeated.argmax())
            alike = (self._parts(number)[:2] for number in sorted(by_key[place : place + 2].tolist()))
            first, second = (f"prompt {prompt.id!r} with query {query.text[:60]!r}" for query, prompt in alike)
            raise DataError(
                f"{first} and {second} send the LLM the same messages, so their answers could not be told apart; "
                "drop a prompt or a query"
            )


def _random_order(questions: Sequence[Question], seed: int) -> IntArray:
    start = hashlib.sha256(b"%d\0" % seed)
    ranks = np.fromiter((_hashed(start, question.query.text) for question in questions), np.uint64, len(questions))
    return np.argsort(ranks, kind="stable")


def _hashed(start: hashlib._Hash, text: str) -> int:
    digest = start.copy()
    digest.update(text.encode())
    return int.from_bytes(digest.digest()[:8])


def _check_distinct_queries(questions: Sequence[Question]) -> None:
    first: dict[str, int] = {}
    for number, question in enumerate(questions, start=1):
        earlier = first.setdefault(question.query.text, number)
        if earlier < number:
            raise DataError(
                f"query {number} has the text of query {earlier}, {question.query.text[:60]!r}; drop one of the two"
            )
