"""Recommend a prompt for every query of a file that may be longer than memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO

from prompt_oirl.errors import FileFormatError, ParameterError
from prompt_oirl.files import atomic_path
from prompt_oirl.recommender.recommendation import Recommendation, ScoredPrompt
from prompt_oirl.recommender.recommender import Recommender
from prompt_oirl.records import Prompt
from prompt_oirl.sources.query_rows import QueryRow, open_query_file

__all__ = ["BatchReport", "recommend_file", "recommend_rows"]

_N_AT_ONCE = 1024
_N_SHOWN = 20
"""Skipped rows that a report names."""

_to_json = json.JSONEncoder(ensure_ascii=False, check_circular=False, allow_nan=False).encode


@dataclass
class BatchReport:
    """What became of the rows of a file so far."""

    n_recommended: int = 0
    n_skipped: int = 0
    """Rows without a readable query."""

    skipped: list[str] = field(default_factory=list)
    """What was wrong with the first twenty of them."""

    def skip(self, problem: FileFormatError) -> None:
        """Count a row that is left out."""
        self.n_skipped += 1
        if len(self.skipped) < _N_SHOWN:
            self.skipped.append(str(problem))

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return asdict(self)


def recommend_file(
    recommender: Recommender,
    source: Path | str | BinaryIO,
    out: Path | str | BinaryIO,
    *,
    form: str | None = None,
    extra_prompts: Sequence[Prompt] = (),
    skip_bad: bool = False,
    on_progress: Callable[[BatchReport, float | None], None] = lambda _, __: None,
) -> BatchReport:
    """Write the recommendation for each query of a file as a line of JSON, with the `row` that it is for.

    A file is written whole or not at all; what goes to a stream is there as far as it came.

    Args:
        recommender: Fitted.
        source: Queries: the path of a `.jsonl`, `.csv` or `.txt` file, or a stream of bytes.
        out: The file to write, or a stream of bytes.
        form: What the source is: `jsonl`, `csv` or `txt`; by its suffix if not given, and `jsonl` for a stream.
        extra_prompts: As for `Recommender.recommend_many`.
        skip_bad: Whether a row without a readable query is left out and counted, instead of raising.
        on_progress: Called some times a second with what was done so far, and the share of the source that was read,
            None for a stream.

    Raises:
        DataNotFoundError: There is no such file.
        FileFormatError: The file has no rows or no column `query`, or a row is bad and not to be skipped.
        ParameterError: Source and out are one file, or there is no such form.
        DataError: An extra prompt has the id or the wording of another.
    """
    _check_two_files(source, out)
    report, line = BatchReport(), _Lines()
    on_bad_row = report.skip if skip_bad else None
    with open_query_file(source, form) as queries, _opened(out) as file:
        made = recommend_rows(recommender, queries.rows(), extra_prompts=extra_prompts, on_bad_row=on_bad_row)
        for several in made:
            file.write("".join([line(*each) for each in several]).encode())
            report.n_recommended += len(several)
            on_progress(report, queries.share_read)
    return report


def recommend_rows(
    recommender: Recommender,
    rows: Iterable[QueryRow],
    *,
    extra_prompts: Sequence[Prompt] = (),
    n_at_once: int = _N_AT_ONCE,
    on_bad_row: Callable[[FileFormatError], None] | None = None,
) -> Iterator[list[tuple[int, Recommendation]]]:
    """Yield the recommendations for some rows at a time, each with its row's number, in order.

    Args:
        recommender: Fitted.
        rows: As `QueryFile.rows` gives them.
        extra_prompts: As for `Recommender.recommend_many`.
        n_at_once: Rows that are scored and held together.
        on_bad_row: Told of each row without a query, which is then left out; without it such a row raises.

    Raises:
        FileFormatError: A row has no query, and nobody is told.
    """
    for numbers, queries in _taken(iter(rows), n_at_once, on_bad_row):
        found = recommender.recommend_many(queries, extra_prompts=extra_prompts)
        yield list(zip(numbers, found, strict=True))


def _taken(
    rows: Iterator[QueryRow], n_at_once: int, on_bad_row: Callable[[FileFormatError], None] | None
) -> Iterator[tuple[list[int], list[str]]]:
    """Yield the numbers and the queries of some rows at a time."""
    while several := list(islice(rows, n_at_once)):
        numbers, queries = [], []
        for row in several:
            if row.query is not None:
                numbers.append(row.number)
                queries.append(row.query)
            elif row.problem is not None:
                _tell(row.problem, on_bad_row)
        yield numbers, queries


def _tell(problem: FileFormatError, on_bad_row: Callable[[FileFormatError], None] | None) -> None:
    if on_bad_row is None:
        raise problem
    on_bad_row(problem)


class _Lines:
    """Writes what `Recommendation.to_dict` gives as JSON, in a third of the time: most of it is the same every time."""

    def __init__(self) -> None:
        self._start_of: dict[str, str] = {}

    def __call__(self, number: int, made: Recommendation) -> str:
        """Return a line."""
        without_others = _to_json({"row": number, **replace(made, runners_up=()).to_dict()})
        return f"{without_others[:-2]}{', '.join([self._scored(other) for other in made.runners_up])}]}}\n"

    def _scored(self, other: ScoredPrompt) -> str:
        if not (other.is_seen and isfinite(other.score)):
            return _to_json(other.to_dict())
        start = self._start_of.get(other.prompt.id)
        if start is None:
            start = self._start_of[other.prompt.id] = f'{{"prompt_id": {_to_json(other.prompt.id)}, "score": '
        return f"{start}{other.score!r}}}"


@contextmanager
def _opened(out: Path | str | BinaryIO) -> Iterator[BinaryIO]:
    if not isinstance(out, Path | str):
        yield out
        out.flush()
        return
    with atomic_path(out) as temporary, temporary.open("wb") as file:
        yield file


def _check_two_files(source: Path | str | BinaryIO, out: Path | str | BinaryIO) -> None:
    if isinstance(source, Path | str) and isinstance(out, Path | str) and Path(source).resolve() == Path(out).resolve():
        raise ParameterError(f"{out} is the file of queries too, and would be overwritten; name another file to write")
