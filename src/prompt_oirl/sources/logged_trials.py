"""The trials of one LLM on one data set, row by row as they were logged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prompt_oirl.arrays import IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.records import Prompt, Query
from prompt_oirl.sources.questions import Part, Question, part_rows
from prompt_oirl.sources.release_logs import NOT_LOGGED

__all__ = ["NOT_LOGGED", "UNSCORED", "LoggedTrials"]

UNSCORED = -2
"""The label of a trial that was logged but has no usable reward."""


@dataclass(frozen=True, eq=False)
class LoggedTrials:
    """What each prompt scored on each row; a question that was asked in three rows has three trials.

    Raises:
        DataError: Shapes disagree, or a label is none of 1, 0, `NOT_LOGGED` and `UNSCORED`.
    """

    llm: str
    dataset: str

    questions: tuple[Question, ...]
    """(n_rows,) the query and gold answer of each row, repeats included."""

    prompts: tuple[Prompt, ...]
    """The prompts as they were sent."""

    labels: IntArray
    """(n_rows, n_prompts) 1 correct, 0 wrong, `NOT_LOGGED` not asked, `UNSCORED` asked but without a reward."""

    n_train_rows: int
    """How many of the rows, from the first, the paper trains on; the others are its test rows."""

    first_row: int = 0
    """Which row of the question set the first row here is."""

    def __post_init__(self) -> None:
        shape = (len(self.questions), len(self.prompts))
        if self.labels.shape != shape or not 0 <= self.n_train_rows <= shape[0]:
            raise DataError(
                f"labels have shape {self.labels.shape}, {self.n_train_rows} rows are for training, but there are "
                f"{shape[0]} rows × {shape[1]} prompts"
            )
        unknown = np.setdiff1d(self.labels, (0, 1, NOT_LOGGED, UNSCORED))
        if len(unknown):
            raise DataError(f"the label {unknown[0]} is none of 1, 0, {NOT_LOGGED} (not asked), {UNSCORED} (no reward)")

    @property
    def n_logged(self) -> int:
        """Number of trials that were logged, with a reward or without."""
        return int((self.labels != NOT_LOGGED).sum())

    @property
    def n_unscored(self) -> int:
        """Number of trials that were logged without a reward."""
        return int((self.labels == UNSCORED).sum())

    def demonstrations(self, part: Part = "all", *, prompts: Sequence[int] | None = None) -> Demonstrations:
        """Count the trials of some rows per distinct question.

        Args:
            part: The paper's training rows, its test rows, or all. Training and test rows share questions on MAWPS
                and SVAMP: for an honest split, take all rows and use `Demonstrations.split`.
            prompts: Indices of the prompts to keep; all of them by default.

        Raises:
            DataError: None of the prompts was asked on these rows.
            ParameterError: There is no such part or prompt.
        """
        columns = list(range(len(self.prompts)) if prompts is None else prompts)
        if not all(0 <= column < len(self.prompts) for column in columns):
            raise ParameterError(
                f"prompts={columns}: {self.llm} on {self.dataset} has prompts 0 to {len(self.prompts) - 1}"
            )
        rows = part_rows(part, self.n_train_rows)
        labels = self.labels[rows][:, columns]
        numbers: dict[Query, int] = {}
        query_of_row = np.array(
            [
                numbers.setdefault(question.query, len(numbers)) if asked else -1
                for question, asked in zip(self.questions[rows], (labels != NOT_LOGGED).any(axis=1), strict=True)
            ],
            dtype=np.int64,
        )
        if not numbers:
            raise DataError(f"none of prompts {columns} was asked on the {part} rows of {self.dataset} with {self.llm}")
        logged_rows, logged_columns = np.nonzero(labels != NOT_LOGGED)
        return Demonstrations.from_cells(
            tuple(numbers),
            tuple(self.prompts[column] for column in columns),
            rows=query_of_row[logged_rows],
            columns=logged_columns,
            rewards=labels[logged_rows, logged_columns],
        )
