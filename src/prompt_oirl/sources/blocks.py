"""Read JSONL, CSV and Parquet files a block of rows at a time, and say what is wrong in which row."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from prompt_oirl.arrays import IntArray
from prompt_oirl.errors import DataNotFoundError, FileFormatError

__all__ = ["Block", "read_blocks"]

_BLOCK_BYTES = 16 * 2**20
_ARROW_BYTES = 4 * 2**20
_BATCH_ROWS = 2**16
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_TEXT_COLUMNS = ("query", "prompt", "prompt_id", "answer", "gold")
"""Read from JSON as text, not by inference, which takes a text that looks like a date for one."""

_OBJECT_COLUMNS = ("action_probabilities",)
"""May hold an object in JSONL, and a struct or map in Parquet, which is read as its text: what CSV has."""


class Block(NamedTuple):
    """Some rows of a file."""

    columns: Mapping[str, pa.Array]
    """The columns by name, of equal lengths."""

    row_numbers: IntArray
    """(n_rows,) where each row is: its line in JSONL, its row in CSV with the header as 1, its number in Parquet."""


def read_blocks(path: Path, known: Collection[str]) -> Iterator[Block]:
    """Return the blocks of a `.jsonl`, `.csv` or `.parquet` file, in order.

    Args:
        path: The file; its suffix says what it is.
        known: Names of the columns that must hold texts or numbers.

    Raises:
        DataNotFoundError: There is no such file.
        FileFormatError: The file is empty, damaged, not UTF-8, or of an unknown suffix.
    """
    if not path.is_file():
        raise DataNotFoundError(f"{path} is no file; name a file that ends in {', '.join(_READERS)}")
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        raise FileFormatError(path, f"the suffix {path.suffix!r} is not known; use {', '.join(_READERS)}")
    if path.stat().st_size == 0:
        raise FileFormatError(path, "is empty; one row or more is needed")
    return _READERS[suffix](path, known)


def _read_parquet(path: Path, _: Collection[str]) -> Iterator[Block]:
    def batches() -> Iterator[pa.RecordBatch]:
        with pyarrow.parquet.ParquetFile(path) as file:
            yield from map(_with_objects_as_text, file.iter_batches(_BATCH_ROWS))

    return _numbered(path, batches, first=1)


def _with_objects_as_text(batch: pa.RecordBatch) -> pa.RecordBatch:
    for place, field in enumerate(batch.schema):
        if field.name in _OBJECT_COLUMNS and (pa.types.is_struct(field.type) or pa.types.is_map(field.type)):
            texts = pa.array(map(_object_as_text, batch.column(place).to_pylist()), type=pa.string())
            batch = batch.set_column(place, field.name, texts)
    return batch


def _object_as_text(pairs: Mapping[str, Any] | list[tuple[str, Any]] | None) -> str | None:
    """Write an object as JSON without its nulls, which a struct has where a row lacks the key."""
    if pairs is None:
        return None
    return json.dumps({name: value for name, value in dict(pairs).items() if value is not None})


def _read_csv(path: Path, _: Collection[str]) -> Iterator[Block]:
    """Read every column as text: what looks like a number, a date or a null is none."""

    def opened(types: Mapping[str, pa.DataType]) -> pyarrow.csv.CSVStreamingReader:
        return pyarrow.csv.open_csv(
            path,
            read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=types, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=True
            ),
        )

    def batches() -> Iterator[pa.RecordBatch]:
        with opened({}) as reader:
            names = reader.schema.names
        with opened(dict.fromkeys(names, pa.string())) as reader:
            yield from reader

    return _numbered(path, batches, first=2)


def _numbered(path: Path, batches: Callable[[], Iterator[pa.RecordBatch]], *, first: int) -> Iterator[Block]:
    try:
        for batch in batches():
            names = batch.schema.names
            if len(set(names)) < len(names):
                raise FileFormatError(path, f"a column name occurs twice among {', '.join(names)}; drop one of the two")
            yield Block(dict(zip(names, batch.columns, strict=True)), np.arange(first, first + len(batch)))
            first += len(batch)
    except (pa.ArrowException, OSError) as error:
        row = re.search(r"Row #(\d+)", str(error))
        problem = (
            f"cannot be read as {path.suffix[1:]}: {error}; it may be cut off or be something else, write it again"
        )
        raise FileFormatError(path, problem, row=int(row[1]) if row else None) from error


def _read_jsonl(path: Path, known: Collection[str]) -> Iterator[Block]:
    """Parse blocks of lines with Arrow, and those that it does not take line by line, to say what is wrong where."""
    first = 1
    with path.open("rb") as file:
        while text := file.read(_BLOCK_BYTES):
            text += file.readline()
            if first == 1:
                text = text.removeprefix(_BYTE_ORDER_MARK)
            _check_utf8(path, text, first)
            n_lines = text.count(b"\n") + (not text.endswith(b"\n"))
            yield _parsed_by_arrow(text, known, first, n_lines) or _parsed_by_line(path, text, known, first)
            first += n_lines


def _check_utf8(path: Path, text: bytes, first: int) -> None:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        row = first + text.count(b"\n", 0, error.start)
        problem = f"{text[error.start : error.end]!r} is not UTF-8 ({error.reason}); save the file as UTF-8"
        raise FileFormatError(path, problem, row=row) from error


def _parsed_by_arrow(text: bytes, known: Collection[str], first: int, n_lines: int) -> Block | None:
    """Return a block, or None if it is not what Arrow takes for one row a line of texts and numbers."""
    schema = pa.schema([(name, pa.string()) for name in _TEXT_COLUMNS])
    try:
        table = pyarrow.json.read_json(
            pa.BufferReader(text),
            read_options=pyarrow.json.ReadOptions(block_size=_ARROW_BYTES),
            parse_options=pyarrow.json.ParseOptions(explicit_schema=schema),
        )
    except pa.ArrowException:
        return None
    if len(table) != n_lines or any(pa.types.is_nested(field.type) for field in table.schema if field.name in known):
        return None
    columns = {name: table[name].combine_chunks() for name in table.schema.names}
    is_there = {name: name not in _TEXT_COLUMNS or array.null_count < n_lines for name, array in columns.items()}
    return Block({name: columns[name] for name in columns if is_there[name]}, np.arange(first, first + n_lines))


def _parsed_by_line(path: Path, text: bytes, known: Collection[str], first: int) -> Block:
    rows, row_numbers = [], []
    for row_number, line in enumerate(text.split(b"\n"), start=first):
        if line.strip():
            rows.append(_parse_line(path, line, known, row_number))
            row_numbers.append(row_number)
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: pa.array([row.get(name) for row in rows], type=pa.string()) for name in names}
    return Block(columns, np.array(row_numbers, dtype=np.int64))


def _parse_line(path: Path, line: bytes, known: Collection[str], row_number: int) -> dict[str, str | None]:
    try:
        row = json.loads(line, object_pairs_hook=_distinct_keys)
        if not isinstance(row, dict):
            raise ValueError(f'an object such as {{"query": …}} is needed, got {row!r:.80}')
        return {name: _as_text(name, value) if name in known else None for name, value in row.items()}
    except (ValueError, RecursionError) as error:
        problem = f"{line[:80].decode(errors='replace')!r} is no row: {error}; correct or drop the line"
        raise FileFormatError(path, problem, row=row_number) from error


def _distinct_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError(f"a name occurs twice among {', '.join(names)}")
    return dict(pairs)


def _as_text(name: str, value: object) -> str | None:
    """Return a value as JSON writes it, a text without its quotes."""
    if value is None:
        return None
    if isinstance(value, str):
        value.encode()  # raises for half of a surrogate pair
        return value
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    if isinstance(value, dict) and name in _OBJECT_COLUMNS:
        return json.dumps(value)
    raise ValueError(f"{name!r} holds {value!r:.80} where a text or a number is expected")


_READERS: dict[str, Callable[[Path, Collection[str]], Iterator[Block]]] = {
    ".jsonl": _read_jsonl,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
