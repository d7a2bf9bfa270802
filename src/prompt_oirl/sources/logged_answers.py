"""The answers of a file of logs, row by row, where it has any: to grade them again, and to see what they cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from prompt_oirl.arrays import IntArray
from prompt_oirl.records import Prompt
from prompt_oirl.sources.columns import Columns, read_columns
from prompt_oirl.sources.row_counts import LABEL_COLUMNS, read_row_counts
from prompt_oirl.sources.row_prompts import PROMPT_COLUMNS, read_row_prompts

__all__ = ["LoggedAnswer", "read_logged_answers"]

_TOKENS = ("prompt_tokens", "completion_tokens")
_TEXTS = ("query", "answer", "gold")


class LoggedAnswer(NamedTuple):
    """One row of a log."""

    query: str
    prompt_id: str

    answer: str | None
    """None where there is none."""

    gold: str | None

    reward: int | None
    """The label of the logs; None where there is none."""

    tokens: float | None
    """Of question and answer together; None where they were not logged."""


def read_logged_answers(path: Path | str, *, prompts: Sequence[Prompt] | None = None) -> Iterator[LoggedAnswer]:
    """Yield the rows of a `.jsonl`, `.csv` or `.parquet` file of logs; columns are those of `read_demonstrations`.

    Columns of other names are passed over, and a file of counts has no answers and yields nothing.

    Args:
        path: The file.
        prompts: The prompt set that was used.

    Raises:
        DataNotFoundError: There is no such file.
        FileFormatError: The file is malformed.
    """
    known = (*_TEXTS, *PROMPT_COLUMNS, *LABEL_COLUMNS, *_TOKENS)
    columns = read_columns(Path(path), known, extra_columns="ignore")
    if "answer" in columns or all(name in columns for name in _TOKENS):
        yield from _rows(columns, prompts)


def _rows(columns: Columns, prompts: Sequence[Prompt] | None) -> Iterator[LoggedAnswer]:
    row_prompts, prompt_of_row = read_row_prompts(columns, prompts)
    rewards = _rewards(columns)
    for row, number in enumerate(prompt_of_row.tolist()):
        query, answer, gold = (_text(columns, name, row) for name in _TEXTS)
        tokens = [_number(_text(columns, name, row)) for name in _TOKENS]
        yield LoggedAnswer(
            query=query or "",
            prompt_id=row_prompts[number].id,
            answer=answer,
            gold=gold,
            reward=None if rewards is None or rewards[row] < 0 else int(rewards[row]),
            tokens=None if math.isnan(sum(tokens)) else sum(tokens),
        )


def _rewards(columns: Columns) -> IntArray | None:
    """Return (n_rows,) 1, 0, or -1 where there is none; None where the file has no labels."""
    if not any(name in columns for name in LABEL_COLUMNS):
        return None
    counts = read_row_counts(columns)
    rewards: IntArray = counts.successes - counts.unscored
    return rewards


def _text(columns: Columns, name: str, row: int) -> str | None:
    column = columns.by_name.get(name)
    code = -1 if column is None else int(column.codes[row])
    return None if column is None or code < 0 else column.values[code]


def _number(text: str | None) -> float:
    try:
        return math.nan if text is None else float(text)
    except ValueError:
        return math.nan
