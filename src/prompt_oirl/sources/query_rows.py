"""Read queries one row at a time, whatever the length of the file, and say of a bad row what is wrong with it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, get_args

from prompt_oirl.errors import DataError, DataNotFoundError, FileFormatError, ParameterError
from prompt_oirl.records import Query
from prompt_oirl.spelling import did_you_mean

__all__ = ["Form", "QueryFile", "QueryRow", "open_query_file"]

Form = Literal["jsonl", "csv", "txt"]
"""`jsonl`: an object a line; `csv`: with a header; both have `query`. `txt`: one query a line."""

_FORMS: tuple[Form, ...] = get_args(Form)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SYNONYMS = dict.fromkeys(("question", "input", "text", "problem"), "query")


class QueryRow(NamedTuple):
    """A row of a file: its query, or what is wrong with it."""

    number: int
    """Its line, or in CSV its row with the header as 1."""

    query: str | None
    problem: FileFormatError | None = None


class _UnreadableRowError(ValueError):
    """A row has no query; the message says why."""


@dataclass(frozen=True)
class QueryFile:
    """An open file or stream of queries; columns and keys other than `query` are passed over."""

    name: Path
    """For messages."""

    stream: BinaryIO
    form: Form
    size: int | None = None
    """Bytes; None for a stream."""

    @property
    def share_read(self) -> float | None:
        """How much of the file has been read, from 0 to 1; None where that is not known."""
        return None if self.size is None else self.stream.tell() / max(self.size, 1)

    def rows(self) -> Iterator[QueryRow]:
        """Yield the rows as they are read; what is wrong with one of them is not raised, but in the row.

        Raises:
            FileFormatError: There is no row at all, or a CSV file has no column `query`.
        """
        n_rows = 0
        for number, read in _READERS[self.form](self.name, self.stream):
            n_rows += 1
            try:
                yield QueryRow(number, Query(read()).text)
            except (_UnreadableRowError, DataError) as error:
                yield QueryRow(number, None, FileFormatError(self.name, str(error), row=number))
        if not n_rows:
            raise FileFormatError(self.name, "is empty; one row or more is needed")


@contextmanager
def open_query_file(source: Path | str | BinaryIO, form: str | None = None) -> Iterator[QueryFile]:
    """Open queries to be read row by row.

    Args:
        source: A file's path, or an open stream of bytes such as standard input.
        form: One of `Form`; by the suffix of the path if not given, and `jsonl` for a stream.

    Raises:
        DataNotFoundError: There is no such file.
        FileFormatError: The suffix is not known.
        ParameterError: There is no such form.
    """
    if not isinstance(source, Path | str):
        yield QueryFile(Path("standard input"), source, _form_of(Path("standard input.jsonl"), form))
        return
    path = Path(source)
    if not path.is_file():
        raise DataNotFoundError(f"{path} is no file; name a file of queries that ends in .jsonl, .csv or .txt")
    form_found = _form_of(path, form)
    with path.open("rb") as file:
        yield QueryFile(path, file, form_found, path.stat().st_size)


def _form_of(path: Path, named: str | None) -> Form:
    wanted = path.suffix.lower().removeprefix(".") if named is None else named
    for form in _FORMS:
        if form == wanted:
            return form
    if named is not None:
        raise ParameterError(f"the format {named!r} is not known; use one of {', '.join(_FORMS)}")
    known = ", ".join(f".{form}" for form in _FORMS)
    raise FileFormatError(path, f"the suffix {path.suffix!r} is not known; use {known}, or name the format")


def _lines(file: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(file, start=1):
        yield number, line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line


def _of_jsonl(_: Path, file: BinaryIO) -> Iterator[tuple[int, Callable[[], str]]]:
    for number, line in _lines(file):
        if line.strip():
            yield number, partial(_query_of_object, line)


def _query_of_object(line: bytes) -> str:
    try:
        row = json.loads(_decoded(line))
    except (ValueError, RecursionError) as error:
        raise _UnreadableRowError(
            f"{line[:80].decode(errors='replace')!r} is no JSON: {error}; correct or drop it"
        ) from error
    if not isinstance(row, dict):
        raise _UnreadableRowError(f'an object such as {{"query": …}} is needed, got {row!r:.80}')
    if "query" not in row:
        raise _UnreadableRowError(f"'query' is missing{_hint(row)}")
    query = row["query"]
    if not isinstance(query, str):
        raise _UnreadableRowError(f"'query' holds {query!r:.80} where a text is needed")
    return query


def _of_csv(path: Path, file: BinaryIO) -> Iterator[tuple[int, Callable[[], str]]]:
    reader = csv.reader((_escaped(line) for _, line in _lines(file)), strict=True)
    header: list[str] | None = None
    number = 0
    while True:
        number += 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if header is None:
                raise FileFormatError(path, f"the header cannot be read: {error}", row=1) from error
            yield number, _failing(f"is no row of a CSV file: {error}; correct or drop it")
            continue
        if header is None:
            header = _checked_header(path, fields)
        elif fields:
            yield number, partial(_query_of_fields, fields, header)


def _checked_header(path: Path, header: list[str]) -> list[str]:
    if header.count("query") != 1:
        problem = "column 'query' is there twice" if "query" in header else f"no column is named 'query'{_hint(header)}"
        raise FileFormatError(path, f"{problem}; the first row names the columns", row=1)
    return header


def _query_of_fields(fields: list[str], header: list[str]) -> str:
    if len(fields) != len(header):
        raise _UnreadableRowError(
            f"{len(fields)} fields where the header has {len(header)}; put texts with commas in quotes"
        )
    return _without_escapes(fields[header.index("query")])


def _of_txt(_: Path, file: BinaryIO) -> Iterator[tuple[int, Callable[[], str]]]:
    for number, line in _lines(file):
        yield number, partial(_line_of_text, line)


def _line_of_text(line: bytes) -> str:
    return _decoded(line).rstrip("\r\n")


def _failing(problem: str) -> Callable[[], str]:
    def fail() -> str:
        raise _UnreadableRowError(problem)

    return fail


def _decoded(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise _not_utf8(line[error.start : error.end]) from error


def _not_utf8(found: bytes) -> _UnreadableRowError:
    return _UnreadableRowError(f"{found!r} is not UTF-8; save the file as UTF-8")


def _escaped(line: bytes) -> str:
    """Return a line whose bytes that are not UTF-8 can be found later: a row of CSV may span lines."""
    return line.decode(errors="surrogateescape")


def _without_escapes(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _not_utf8(text[error.start : error.end].encode(errors="surrogateescape")) from error
    return text


def _hint(names: Iterable[str]) -> str:
    """Return what there is instead of `query`, and what of it might be meant."""
    there = list(names)
    meant = [name for name in there if did_you_mean(name, ["query"], synonyms=_SYNONYMS)]
    rename = f"; rename {meant[0]!r} to 'query'" if meant else ""
    return f", there are {', '.join(map(repr, there[:10])) or 'none'}{rename}"


_READERS: dict[Form, Callable[[Path, BinaryIO], Iterator[tuple[int, Callable[[], str]]]]] = {
    "jsonl": _of_jsonl,
    "csv": _of_csv,
    "txt": _of_txt,
}
