"""Rows of a log as a `.jsonl` or `.parquet` file, a thousand in memory at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from prompt_oirl.errors import ParameterError
from prompt_oirl.files import atomic_path

__all__ = ["Row", "check_suffix", "write_rows"]

_BATCH_ROWS = 1024

Row = Mapping[str, Any]


def check_suffix(path: Path) -> None:
    """Raise if a file's name does not say how it is to be written.

    Raises:
        ParameterError: The suffix is neither `.jsonl` nor `.parquet`.
    """
    if path.suffix not in _WRITERS:
        raise ParameterError(f"logs are exported as {' or '.join(_WRITERS)}, not as {path.name!r}")


def write_rows(path: Path, types: Mapping[str, pa.DataType], rows: Iterable[Row]) -> None:
    """Write rows; the file is replaced when all are written, or not at all.

    Halves of surrogate pairs, which a text from JSON may hold and which have no UTF-8, are replaced.

    Args:
        path: The file; its suffix says what it is.
        types: Of the columns, in their order.
        rows: A value for each of the columns.

    Raises:
        ParameterError: The suffix is neither `.jsonl` nor `.parquet`.
    """
    check_suffix(path)
    encodable = ({name: _encodable(row[name]) for name in types} for row in rows)
    with atomic_path(path) as temporary:
        _WRITERS[path.suffix](temporary, types, encodable)


def _write_parquet(path: Path, types: Mapping[str, pa.DataType], rows: Iterator[Row]) -> None:
    schema = pa.schema(list(types.items()))
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        while batch := list(islice(rows, _BATCH_ROWS)):
            writer.write_table(pa.Table.from_pylist(batch, schema))


def _write_jsonl(path: Path, types: Mapping[str, pa.DataType], rows: Iterator[Row]) -> None:  # noqa: ARG001 - as above
    encode = json.JSONEncoder(ensure_ascii=False).encode
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{encode(row)}\n" for row in rows)


def _encodable(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) and not value.isascii() else value


_WRITERS: Mapping[str, Callable[[Path, Mapping[str, pa.DataType], Iterator[Row]], None]] = {
    ".jsonl": _write_jsonl,
    ".parquet": _write_parquet,
}
