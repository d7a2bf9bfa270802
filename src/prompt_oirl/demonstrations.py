"""The offline data set: trials and successes per query × prompt, with what is missing known.

Repeated samples of one (query, prompt) are held as counts, not as rows: they are weight and a noise estimate, and
cannot leak from one side of a split to the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.errors import DataError
from prompt_oirl.records import Demonstration, Prompt, Query
from prompt_oirl.splits import Grouping, grouped_split, query_groups

__all__ = ["Demonstrations"]


@dataclass(frozen=True, eq=False)
class Demonstrations:
    """Logged trials of prompts on queries, counted per cell.

    Raises:
        DataError: Shapes disagree, counts are negative or inconsistent, or queries or prompts are not distinct.
    """

    queries: tuple[Query, ...]
    """The distinct queries, in order of first appearance."""

    prompts: tuple[Prompt, ...]
    """The distinct prompts, in order of first appearance."""

    trials: IntArray
    """(n_queries, n_prompts) logged trials that have a reward."""

    successes: IntArray
    """(n_queries, n_prompts) trials whose reward is 1."""

    unscored: IntArray
    """(n_queries, n_prompts) logged trials without a reward: errors, unparsed answers. Never counted as failures."""

    def __post_init__(self) -> None:
        shape = (len(self.queries), len(self.prompts))
        for name in ("trials", "successes", "unscored"):
            counts: IntArray = getattr(self, name)
            if counts.shape != shape:
                raise DataError(
                    f"{name} has shape {counts.shape}, but there are {shape[0]} queries × {shape[1]} prompts"
                )
            if counts.size and counts.min() < 0:
                raise DataError(f"{name} has a negative count, {counts.min()}")
        if (self.successes > self.trials).any():
            row, column = np.argwhere(self.successes > self.trials)[0]
            raise DataError(
                f"{self.successes[row, column]} successes of {self.trials[row, column]} trials for query "
                f"{self.queries[row].text[:60]!r} and prompt {self.prompts[column].id!r}"
            )
        _check_distinct("query", [query.text for query in self.queries])
        _check_distinct("prompt id", [prompt.id for prompt in self.prompts])

    @classmethod
    def from_records(cls, records: Iterable[Demonstration]) -> Self:
        """Count demonstrations per query × prompt.

        Raises:
            DataError: One prompt id stands for two templates.
        """
        queries: dict[Query, int] = {}
        prompts: dict[str, int] = {}
        prompt_of_id: dict[str, Prompt] = {}
        rows, columns, rewards = [], [], []
        for record in records:
            known = prompt_of_id.setdefault(record.prompt.id, record.prompt)
            if known != record.prompt:
                raise DataError(
                    f"prompt id {record.prompt.id!r} stands for two templates, {known.template!r} and "
                    f"{record.prompt.template!r}; give each wording its own id"
                )
            rows.append(queries.setdefault(record.query, len(queries)))
            columns.append(prompts.setdefault(record.prompt.id, len(prompts)))
            rewards.append(-1 if record.reward is None else record.reward)
        return cls.from_cells(
            tuple(queries),
            tuple(prompt_of_id.values()),
            rows=np.array(rows, int),
            columns=np.array(columns, int),
            rewards=np.array(rewards, int),
        )

    @classmethod
    def from_cells(
        cls,
        queries: Sequence[Query],
        prompts: Sequence[Prompt],
        *,
        rows: IntArray,
        columns: IntArray,
        rewards: IntArray,
    ) -> Self:
        """Count trials given as indices.

        Args:
            queries: The distinct queries.
            prompts: The distinct prompts.
            rows: (n_trials,) index of each trial's query.
            columns: (n_trials,) index of each trial's prompt.
            rewards: (n_trials,) 1, 0, or negative where there is none.

        Raises:
            DataError: An index or a reward is out of its range.
        """
        shape = (len(queries), len(prompts))
        for what, values, n in (("rows", rows, shape[0]), ("columns", columns, shape[1])):
            if values.size and (values.min() < 0 or values.max() >= n):
                raise DataError(f"{what} run from {values.min()} to {values.max()}, but there are 0 to {n - 1}")
        if rewards.size and rewards.max() > 1:
            raise DataError(f"a reward is 1, 0 or negative (missing), got {rewards.max()}")
        cells = rows * shape[1] + columns

        def count(of: IntArray) -> IntArray:
            return np.bincount(of, minlength=shape[0] * shape[1]).reshape(shape)

        return cls(
            queries=tuple(queries),
            prompts=tuple(prompts),
            trials=count(cells[rewards >= 0]),
            successes=count(cells[rewards == 1]),
            unscored=count(cells[rewards < 0]),
        )

    @property
    def n_queries(self) -> int:
        """Number of distinct queries."""
        return len(self.queries)

    @property
    def n_prompts(self) -> int:
        """Number of distinct prompts."""
        return len(self.prompts)

    @property
    def prompt_ids(self) -> tuple[str, ...]:
        """The ids of the prompts, in order."""
        return tuple(prompt.id for prompt in self.prompts)

    @property
    def rewards(self) -> FloatArray:
        """(n_queries, n_prompts) mean reward of each cell, NaN where no trial has one."""
        return _ratio(self.successes, self.trials)

    @property
    def repeats(self) -> IntArray:
        """(n_queries,) how often each query was asked: its most often tried prompt's trials, scored or not."""
        most: IntArray = (self.trials + self.unscored).max(axis=1, initial=0)
        return most

    @property
    def success_rates(self) -> FloatArray:
        """(n_prompts,) successes of all trials of each prompt, NaN for a prompt without a scored trial."""
        return _ratio(self.successes.sum(axis=0), self.trials.sum(axis=0))

    @property
    def equal_reward(self) -> int | None:
        """The reward that all trials have, 0 or 1, and a fault of the grader in most cases; None where they differ."""
        n_trials = int(self.trials.sum())
        return {0: 0, n_trials: 1}.get(int(self.successes.sum())) if n_trials else None

    @property
    def sha256(self) -> str:
        """The hash of queries, prompts and counts: equal for equal demonstrations, wherever they were read from."""
        digest = hashlib.sha256()
        texts = [query.text for query in self.queries]
        for prompt in self.prompts:
            contents = (prompt.template, *(f"{each.role}\0{each.content}" for each in prompt.context))
            texts.append("\0".join((prompt.id, *contents)))
        digest.update("\0\0".join(texts).encode())
        for counts in (self.trials, self.successes, self.unscored):
            digest.update(np.ascontiguousarray(counts, dtype=np.int64).tobytes())
        return digest.hexdigest()

    def groups(self, by: Grouping = "template") -> IntArray:
        """Return the (n_queries,) group number of each query; see `prompt_oirl.splits.query_groups`."""
        return query_groups(self.queries, by)

    def select_queries(self, indices: IntArray) -> Self:
        """Return the demonstrations of some queries, in the order given."""
        return type(self)(
            queries=tuple(self.queries[i] for i in indices),
            prompts=self.prompts,
            trials=self.trials[indices],
            successes=self.successes[indices],
            unscored=self.unscored[indices],
        )

    def select_prompts(self, indices: Sequence[int] | IntArray) -> Self:
        """Return the demonstrations of some prompts, in the order given."""
        columns = np.asarray(indices, dtype=np.int64)
        return type(self)(
            queries=self.queries,
            prompts=tuple(self.prompts[i] for i in columns),
            trials=self.trials[:, columns],
            successes=self.successes[:, columns],
            unscored=self.unscored[:, columns],
        )

    def split(self, *, test_size: float = 0.3, seed: int = 0, by: Grouping = "template") -> tuple[Self, Self]:
        """Split into training and test demonstrations with every query group on one side.

        Args:
            test_size: Fraction of the queries that go to the test side.
            seed: Of the random choice of groups.
            by: What makes a group; the default keeps near-duplicates together.
        """
        train, test = grouped_split(self.groups(by), test_size=test_size, seed=seed)
        return self.select_queries(train), self.select_queries(test)


def _ratio(successes: IntArray, trials: IntArray) -> FloatArray:
    """Return successes / trials, NaN where there are no trials."""
    rate: FloatArray = np.full(trials.shape, np.nan)
    np.divide(successes, trials, out=rate, where=trials > 0)
    return rate


def _check_distinct(what: str, names: Sequence[str]) -> None:
    if len(set(names)) == len(names):
        return
    seen: set[str] = set()
    double = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
    raise DataError(f"the {what} {double[:80]!r} occurs twice; Demonstrations.from_records merges repeats")
