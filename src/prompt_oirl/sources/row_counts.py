"""What each row of a file counts for: a label, a graded answer, or counts made before."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from prompt_oirl.arrays import IntArray
from prompt_oirl.errors import DataError
from prompt_oirl.grading import Grader
from prompt_oirl.sources.columns import Columns

__all__ = ["COUNT_COLUMNS", "LABEL_COLUMNS", "RowCounts", "read_row_counts"]

LABEL_COLUMNS = ("correct", "reward")
COUNT_COLUMNS = ("trials", "successes", "unscored")

_REWARDS = {"0": 0, "0.0": 0, "false": 0, "1": 1, "1.0": 1, "true": 1, "": -1}
_NONE = -1


class RowCounts(NamedTuple):
    """What each row adds to its cell: (n_rows,) each."""

    trials: IntArray

    successes: IntArray

    unscored: IntArray


def read_row_counts(columns: Columns, grader: Grader | None = None) -> RowCounts:
    """Return what each row counts for.

    With a grader, `answer` is graded against `gold`, and a row without an answer, or with an empty one, has no reward.
    Without one, `correct` (or `reward`) is read, or the counts `trials`, `successes` and, if there, `unscored`.

    Raises:
        FileFormatError: The columns for none of these ways are there, or those of two; a label is neither 0, 1 nor
            empty; a gold answer is missing or cannot be read; a count is no whole number or successes exceed trials.
    """
    if grader is not None:
        return _of_rewards(_graded(columns, grader))
    labels = [name for name in LABEL_COLUMNS if name in columns]
    counts = [name for name in COUNT_COLUMNS if name in columns]
    if len(labels) > 1 or (labels and counts):
        raise columns.error(f"the columns {', '.join(labels + counts)} say the same thing twice; keep one way")
    if labels:
        return _of_rewards(_labels(columns, labels[0]))
    if counts:
        return _counts(columns)
    hint = (
        "; there are answers: name a grader, such as --grader numeric"
        if "answer" in columns and "gold" in columns
        else ""
    )
    raise columns.error(
        "a column 'correct' (0, 1 or empty), or 'answer' and 'gold' with a grader, is needed; "
        f"there are {', '.join(columns.by_name)}{hint}"
    )


def _of_rewards(rewards: IntArray) -> RowCounts:
    return RowCounts(*((which).astype(np.int64) for which in (rewards >= 0, rewards == 1, rewards == _NONE)))


def _labels(columns: Columns, name: str) -> IntArray:
    """Return (n_rows,) 1, 0 or -1."""
    labels = columns[name]
    rewards = []
    for code, value in enumerate(labels.values):
        reward = _REWARDS.get(value.strip().lower())
        if reward is None:
            problem = f"{name!r} is {value!r:.80}; it must be 0, 1, true, false, or empty where there is no reward"
            raise columns.error(problem, row=labels.first_row(code))
        rewards.append(reward)
    taken: IntArray = np.array([*rewards, _NONE], dtype=np.int64)[labels.codes]
    return taken


def _graded(columns: Columns, grader: Grader) -> IntArray:
    """Return (n_rows,) 1, 0 or -1, grading each distinct pair of answer and gold answer once."""
    answers = columns["answer"]
    golds = columns.filled("gold", way_out="fill in the right answer or drop the row")
    pairs, first_rows, pair_of_row = np.unique(
        answers.codes * len(golds.values) + golds.codes, return_index=True, return_inverse=True
    )
    rewards = np.full(len(pairs), _NONE, dtype=np.int64)
    for index, row in enumerate(first_rows.tolist()):
        answer = answers.values[answers.codes[row]] if answers.codes[row] >= 0 else ""
        if answer:
            try:
                grade = grader.grade(answer, golds.values[golds.codes[row]])
            except DataError as error:
                raise columns.error(str(error), row=row) from error
            rewards[index] = _NONE if grade.reward is None else grade.reward
    taken: IntArray = rewards[pair_of_row]
    return taken


def _counts(columns: Columns) -> RowCounts:
    counts = RowCounts(
        _whole_numbers(columns, "trials"),
        _whole_numbers(columns, "successes"),
        _whole_numbers(columns, "unscored")
        if "unscored" in columns
        else np.zeros(len(columns.row_numbers), dtype=np.int64),
    )
    too_many = counts.successes > counts.trials
    if too_many.any():
        row = int(too_many.argmax())
        raise columns.error(f"{counts.successes[row]} successes of {counts.trials[row]} trials", row=row)
    return counts


def _whole_numbers(columns: Columns, name: str) -> IntArray:
    column = columns.filled(name, way_out="write 0 where there are none")
    numbers = []
    for code, value in enumerate(column.values):
        if not re.fullmatch(r"\d{1,12}(\.0)?", value, re.ASCII):
            problem = f"{name!r} is {value!r:.80}; it must be a whole number from 0"
            raise columns.error(problem, row=column.first_row(code))
        numbers.append(int(float(value)))
    taken: IntArray = np.array(numbers, dtype=np.int64)[column.codes]
    return taken
