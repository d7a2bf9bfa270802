"""A synthetic world whose best prompt for every query is known: to test against, and to try things out on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from prompt_oirl.arrays import BoolArray, FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.files import atomic_path
from prompt_oirl.records import Demonstration, Prompt, Query
from prompt_oirl.testing.answerer import PROMPTS, success_probabilities, write_answer, write_unparsable_answer
from prompt_oirl.testing.problems import Problem, draw_problems

__all__ = ["SyntheticWorld"]

_SHARE_ASKED_TWICE = 0.05


class _Trials(NamedTuple):
    """(n_trials,) arrays, query by query and prompt by prompt."""

    rows: IntArray
    columns: IntArray
    rewards: IntArray
    """1, 0, or -1 for an answer that cannot be parsed."""


@dataclass(frozen=True)
class SyntheticWorld:
    """Simulated logs of six prompts on arithmetic word problems, with the truth behind them.

    Every part is made when first asked for, and the same for the same arguments.

    Raises:
        ParameterError: An argument is outside what is allowed.
    """

    n_queries: int = 1500
    """Distinct queries. About one in eight is another one with other numbers, one in twenty is asked twice as often."""

    interaction: float = 1.0
    """How much the best prompt depends on the query; at 0 not at all: no choice can beat the best single prompt."""

    repeats: int = 1
    """Trials of each prompt each time that a query is asked."""

    missing: float = 0.05
    """Share of the trials that are not in the logs; every query keeps one, and the first query keeps all."""

    unparsable: float = 0.02
    """Share of the answers that cannot be parsed, whatever the query and the prompt."""

    seed: int = 0

    def __post_init__(self) -> None:
        if self.n_queries < 2:
            raise ParameterError(f"n_queries={self.n_queries}: at least 2 are needed")
        if not (np.isfinite(self.interaction) and self.interaction >= 0):
            raise ParameterError(f"interaction={self.interaction}: a finite number of at least 0 is needed")
        if self.repeats < 1:
            raise ParameterError(f"repeats={self.repeats}: at least 1 is needed")
        for name, share in (("missing", self.missing), ("unparsable", self.unparsable)):
            if not 0 <= share < 1:
                raise ParameterError(f"{name}={share}: a share of at least 0 and less than 1 is needed")

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """The six prompts."""
        return PROMPTS

    @cached_property
    def problems(self) -> tuple[Problem, ...]:
        """The problems behind the queries, in their order."""
        return draw_problems(self.n_queries, seed=self.seed)

    @cached_property
    def queries(self) -> tuple[Query, ...]:
        """The distinct queries."""
        return tuple(Query(problem.text) for problem in self.problems)

    @cached_property
    def golds(self) -> dict[Query, str]:
        """The gold answer of each query."""
        return {query: str(problem.gold) for query, problem in zip(self.queries, self.problems, strict=True)}

    @cached_property
    def success_probabilities(self) -> FloatArray:
        """(n_queries, n_prompts) the probability that an answer is right, given that it can be parsed."""
        return success_probabilities(self.problems, interaction=self.interaction, seed=self.seed)

    @cached_property
    def times_asked(self) -> IntArray:
        """(n_queries,) what each query counts: the trials that each prompt was to have on it."""
        is_twice = np.random.default_rng([self.seed, 1]).random(self.n_queries) < _SHARE_ASKED_TWICE
        times: IntArray = self.repeats * (1 + is_twice)
        return times

    @cached_property
    def oracle(self) -> IntArray:
        """(n_queries,) the truly best prompt of each query."""
        best: IntArray = self.success_probabilities.argmax(axis=1)
        return best

    @cached_property
    def best_single(self) -> int:
        """Index of the truly best single prompt."""
        return int((self.times_asked @ self.success_probabilities).argmax())

    def true_value(self, choices: IntArray, *, queries: Sequence[Query] | None = None) -> float:
        """Return the true success rate of choosing so, each query counted as often as it is asked.

        Args:
            choices: (n_queries,) indices into `prompts`.
            queries: The queries that the choices are for, such as a test set's; all of the world's if not given.

        Raises:
            DataError: A query is not of this world, or there are not as many choices as queries.
        """
        rows = np.arange(self.n_queries) if queries is None else self._rows_of(queries)
        if np.shape(choices) != rows.shape:
            raise DataError(f"choices have shape {np.shape(choices)}, but there are {len(rows)} queries")
        return float(np.average(self.success_probabilities[rows, choices], weights=self.times_asked[rows]))

    def true_gain(self, choices: IntArray, baseline: IntArray, *, queries: Sequence[Query] | None = None) -> float:
        """Return the true value of the choices less that of the baseline's; see `true_value`."""
        return self.true_value(choices, queries=queries) - self.true_value(baseline, queries=queries)

    @cached_property
    def demonstrations(self) -> Demonstrations:
        """The logs, counted; queries and prompts are in the order of this world's."""
        rows, columns, rewards = self._trials
        return Demonstrations.from_cells(self.queries, self.prompts, rows=rows, columns=columns, rewards=rewards)

    @cached_property
    def records(self) -> tuple[Demonstration, ...]:
        """The logs, trial by trial, with the text of each answer; the first mentions follow this world's order."""
        rng = np.random.default_rng([self.seed, 3])
        return tuple(
            self._record(row, column, reward, rng)
            for row, column, reward in zip(*(part.tolist() for part in self._trials), strict=True)
        )

    def log_rows(self) -> Iterator[dict[str, str]]:
        """Yield the logs as a user has them, ungraded: query, prompt_id, prompt (a template), answer, gold."""
        for record in self.records:
            yield {
                "query": record.query.text,
                "prompt_id": record.prompt.id,
                "prompt": record.prompt.template,
                "answer": record.answer or "",
                "gold": self.golds[record.query],
            }

    def write_logs(self, path: Path | str) -> None:
        """Write `log_rows` as JSON lines."""
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in self.log_rows())
        with atomic_path(path) as temporary:
            temporary.write_text(lines, encoding="utf-8")

    @cached_property
    def _trials(self) -> _Trials:
        rng = np.random.default_rng([self.seed, 2])
        rows = np.repeat(np.arange(self.n_queries), self.times_asked * len(self.prompts))
        columns = np.tile(np.arange(len(self.prompts)), int(self.times_asked.sum()))
        is_right = rng.random(len(rows)) < self.success_probabilities[rows, columns]
        rewards = np.where(rng.random(len(rows)) < self.unparsable, -1, is_right)
        logged = self._logged(rows, rng)
        return _Trials(rows[logged], columns[logged], rewards[logged])

    def _logged(self, rows: IntArray, rng: np.random.Generator) -> BoolArray:
        """Return which trials are in the logs: all but a random share, and the luckiest of each query anyway."""
        luck = rng.random(len(rows))
        luckiest = np.lexsort((-luck, rows))[np.unique(rows, return_index=True)[1]]
        logged: BoolArray = (luck >= self.missing) | (rows == 0)
        logged[luckiest] = True
        return logged

    def _record(self, row: int, column: int, reward: int, rng: np.random.Generator) -> Demonstration:
        if reward < 0:
            return Demonstration(self.queries[row], self.prompts[column], None, write_unparsable_answer(rng))
        answer = write_answer(self.problems[row], self.prompts[column], is_right=reward == 1, rng=rng)
        return Demonstration(self.queries[row], self.prompts[column], 1 if reward else 0, answer)

    @cached_property
    def _row_of_query(self) -> dict[Query, int]:
        return {query: row for row, query in enumerate(self.queries)}

    def _rows_of(self, queries: Sequence[Query]) -> IntArray:
        unknown = [query for query in queries if query not in self._row_of_query]
        if unknown:
            raise DataError(f"{len(unknown)} queries are not of this world, for example {unknown[0].text[:60]!r}")
        return np.array([self._row_of_query[query] for query in queries], dtype=np.int64)
