"""A run's answers as demonstrations, in memory or as a file of one row a trial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from prompt_oirl.arrays import IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError
from prompt_oirl.grading import Grade, Grader
from prompt_oirl.runs.grading import AnswerGrader
from prompt_oirl.runs.outcomes import Completion, Failure
from prompt_oirl.sources.propensities import warn_if_unequal
from prompt_oirl.sources.row_file import Row, check_suffix, write_rows
from prompt_oirl.sources.row_prompts import context_to_json

if TYPE_CHECKING:
    from prompt_oirl.runs.store import RunStore, StoredOutcome

__all__ = ["Export", "demonstrations_of", "write_export"]

_TYPES: Mapping[str, pa.DataType] = {
    "query": pa.string(),
    "prompt_id": pa.string(),
    "prompt": pa.string(),
    "prompt_context": pa.string(),
    "answer": pa.string(),
    "gold": pa.string(),
    "correct": pa.int8(),
    "sample": pa.int32(),
    "propensity": pa.float64(),
    "model": pa.string(),
    "finish_reason": pa.string(),
    "prompt_tokens": pa.int64(),
    "completion_tokens": pa.int64(),
    "latency": pa.float64(),
    "attempts": pa.int32(),
    "failure": pa.string(),
    "failure_message": pa.string(),
}


@dataclass(frozen=True, slots=True)
class Export:
    """What an export holds."""

    path: Path
    n_rows: int
    """Trials: answers and failures."""

    n_answers: int
    n_ungraded: int
    """Answers that no grader has graded; `correct` is empty there."""

    n_unparsed: int
    """Answers that the grader could not read; `correct` is empty there too."""

    n_failures: int
    """Calls without an answer."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self) | {"path": str(self.path)}


def demonstrations_of(store: RunStore, *, grader: Grader | None = None, may_be_unequal: bool = False) -> Demonstrations:
    """Count a run's trials per query × prompt.

    All of the run's prompts are there, in its order, and the queries that have been asked at least once. Failures and
    answers that could not be read are unscored; what was not asked is no trial. Where trials were bought with unequal
    probabilities an `UnequalPropensityWarning` says so.

    Args:
        store: The run's.
        grader: Grades the answers now, and stores nothing. Without one the latest stored grades count.
        may_be_unequal: Whether unequal probabilities are fine, as they are to learn from.

    Raises:
        DataError: Nothing has been asked yet, an answer has no grade, or a gold answer is missing or cannot be read.
    """
    questions, prompts = store.queries(), store.prompts()
    row_of = {question.query.id: row for row, question in enumerate(questions)}
    column_of = {prompt.id: column for column, prompt in enumerate(prompts)}
    grades = _Grades(store, grader)
    propensities: set[float] = set()

    def trial(stored: StoredOutcome) -> tuple[int, int, int]:
        propensities.add(stored.cell.propensity)
        return row_of[stored.cell.query_id], column_of[stored.cell.prompt_id], _reward(grades.of(stored))

    trials: IntArray = np.fromiter(map(trial, store.outcomes()), dtype=np.dtype((np.int64, 3)))
    grades.check()
    if not may_be_unequal:
        warn_if_unequal(propensities, store.name)
    if not len(trials):
        raise DataError(f"none of the run's {len(questions)} queries has been asked yet; run prompt-oirl collect first")
    asked, rows = np.unique(trials[:, 0], return_inverse=True)
    return Demonstrations.from_cells(
        tuple(questions[row].query for row in asked), prompts, rows=rows, columns=trials[:, 1], rewards=trials[:, 2]
    )


def write_export(
    store: RunStore, path: Path | str, *, grader: Grader | None = None, allow_ungraded: bool = False
) -> Export:
    """Write a run as `.jsonl` or `.parquet`, one row a trial, texts read and written a thousand at a time.

    `read_demonstrations` reads from it what `demonstrations_of` returns. Where only a part of the grid was asked, the
    order of the prompts is that of their rows and a prompt that was never asked is not there: to have the run's own,
    name its prompt set.

    Columns: `query`, `prompt_id`, `prompt` (the last message with its `{{query}}` slot), `prompt_context` (the messages
    before it, as JSON; only where a prompt has some), `answer`, `gold`, `correct` (1, 0 or empty), `sample`,
    `propensity`, `model`, `finish_reason`, `prompt_tokens`, `completion_tokens`, `latency` (seconds), `attempts`,
    `failure` and `failure_message`. A failure has no answer: what the server said is in `failure_message` alone.

    Args:
        store: The run's.
        path: The file; it is replaced when all is written, or not at all.
        grader: Grades the answers now, and stores nothing. Without one the latest stored grades count.
        allow_ungraded: Whether answers without a grade may be written, to be graded by the reader.

    Raises:
        DataError: Nothing has been asked yet, an answer has no grade, or a gold answer is missing or cannot be read.
        ParameterError: The suffix is neither `.jsonl` nor `.parquet`.
    """
    path = Path(path)
    check_suffix(path)
    grades = _Grades(store, grader, allow_ungraded=allow_ungraded)
    rows = _Rows(store, grades)
    write_rows(path, rows.types, rows)
    return Export(
        path=path,
        n_rows=grades.n_outcomes,
        n_answers=grades.n_outcomes - grades.n_failures,
        n_ungraded=grades.n_ungraded,
        n_unparsed=grades.n_unparsed,
        n_failures=grades.n_failures,
    )


class _Grades:
    """The grades of a run's outcomes, stored ones or made now, with what there is none for counted."""

    def __init__(self, store: RunStore, grader: Grader | None, *, allow_ungraded: bool = False) -> None:
        self._of_answer = None if grader is None else AnswerGrader(grader, store.queries())
        self._stored = store.grades() if grader is None and store.grader is not None else {}
        self._allow_ungraded = allow_ungraded
        self.n_outcomes = self.n_failures = self.n_unparsed = self.n_ungraded = 0

    def of(self, stored: StoredOutcome) -> Grade | None:
        """Return the grade of an answer; None for a failure, and for an answer without a grade."""
        self.n_outcomes += 1
        if isinstance(stored.outcome, Failure):
            self.n_failures += 1
            return None
        grade = self._stored.get(stored.cell.key) if self._of_answer is None else self._of_answer.grade(stored)
        self.n_unparsed += grade is Grade.UNPARSED
        self.n_ungraded += grade is None
        return grade

    def check(self) -> None:
        """Raise if an answer has no grade that should have one."""
        if self._of_answer is not None:
            self._of_answer.check()
        if self.n_ungraded and not self._allow_ungraded:
            raise DataError(
                f"{self.n_ungraded} of {self.n_outcomes - self.n_failures} answers have no grade; run prompt-oirl "
                "grade first, or name a grader"
            )


class _Rows:
    """The rows of an export; after the last one it raises if one should not be there."""

    def __init__(self, store: RunStore, grades: _Grades) -> None:
        self._store, self._grades = store, grades
        self._of_query = {each.query.id: {"query": each.query.text, "gold": each.gold} for each in store.queries()}
        self._of_prompt = {
            each.id: {
                "prompt_id": each.id,
                "prompt": each.template,
                "prompt_context": context_to_json(each.context) if each.context else None,
            }
            for each in store.prompts()
        }
        has_context = any(prompt.context for prompt in store.prompts())
        self.types = {name: type for name, type in _TYPES.items() if has_context or name != "prompt_context"}

    def __iter__(self) -> Iterator[Row]:
        for stored in self._store.outcomes():
            cell = stored.cell
            row = {**self._of_query[cell.query_id], **self._of_prompt[cell.prompt_id], **_outcome_columns(stored)}
            grade = self._grades.of(stored)
            row["correct"] = None if grade is None else grade.reward
            yield {name: row.get(name) for name in self.types}
        self._grades.check()
        if not self._grades.n_outcomes:
            raise DataError("nothing has been asked in this run yet; run prompt-oirl collect first")


def _outcome_columns(stored: StoredOutcome) -> dict[str, Any]:
    """Return what a row says of a trial; a failure's message never stands where an answer does."""
    outcome = stored.outcome
    row: dict[str, Any] = {
        "sample": stored.cell.sample,
        "propensity": stored.cell.propensity,
        "attempts": outcome.attempts,
    }
    if isinstance(outcome, Completion):
        names = ("model", "finish_reason", "prompt_tokens", "completion_tokens", "latency")
        return row | {name: getattr(outcome, name) for name in names} | {"answer": outcome.text}
    status = "" if outcome.status is None else f"{outcome.status}: "
    return row | {"failure": outcome.kind, "failure_message": f"{status}{outcome.message}"}


def _reward(grade: Grade | None) -> int:
    """Return 1, 0, or -1 where there is none."""
    reward = None if grade is None else grade.reward
    return -1 if reward is None else reward
