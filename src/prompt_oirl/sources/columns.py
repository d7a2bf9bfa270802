"""The columns of a file as distinct texts and codes: what a million rows of ten prompts fit in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa

from prompt_oirl.arrays import IntArray
from prompt_oirl.errors import FileFormatError
from prompt_oirl.sources.blocks import Block, read_blocks
from prompt_oirl.spelling import did_you_mean

__all__ = ["Columns", "ExtraColumns", "TextColumn", "read_columns"]

ExtraColumns = Literal["error", "ignore"]
"""What to do about columns of unknown names: a misspelt `correct` is one of them."""

_ENCODED = pa.dictionary(pa.int32(), pa.large_string())


@dataclass(frozen=True, eq=False)
class TextColumn:
    """A column whose values are held once."""

    values: Sequence[str]
    """The distinct values as text, in order of first appearance."""

    codes: IntArray
    """(n_rows,) index into `values` of each row, -1 where the row has no value."""

    def first_row(self, value: int) -> int:
        """Return the index of the first row with that code."""
        return int((self.codes == value).argmax())


@dataclass(frozen=True, eq=False)
class Columns:
    """The known columns of one file.

    Raises:
        FileFormatError: The file has no rows.
    """

    path: Path

    by_name: Mapping[str, TextColumn]

    row_numbers: IntArray
    """(n_rows,) where each row is in the file; see `prompt_oirl.sources.blocks.Block`."""

    def __post_init__(self) -> None:
        if not len(self.row_numbers):
            raise FileFormatError(self.path, "has no rows; one row or more is needed")

    def __contains__(self, name: str) -> bool:
        return name in self.by_name

    def __getitem__(self, name: str) -> TextColumn:
        """Return a column.

        Raises:
            FileFormatError: The file does not have it.
        """
        if name not in self.by_name:
            raise FileFormatError(self.path, f"the column {name!r} is missing; there are {', '.join(self.by_name)}")
        return self.by_name[name]

    def error(self, problem: str, *, row: int | None = None) -> FileFormatError:
        """Return an error that names the file and the row of index `row`."""
        return FileFormatError(self.path, problem, row=None if row is None else int(self.row_numbers[row]))

    def filled(self, name: str, *, way_out: str) -> TextColumn:
        """Return a column that has a value in every row.

        Raises:
            FileFormatError: The column is missing, or a row has none or a blank one.
        """
        column = self[name]
        blank = [code for code, value in enumerate(column.values) if not value.strip()]
        is_blank = (column.codes < 0) | np.isin(column.codes, blank)
        if is_blank.any():
            raise self.error(f"{name!r} is empty; {way_out}", row=int(is_blank.argmax()))
        return column


def read_columns(
    path: Path,
    known: Collection[str],
    *,
    passed_over: Collection[str] = (),
    extra_columns: ExtraColumns = "error",
    synonyms: Mapping[str, str] | None = None,
) -> Columns:
    """Read the columns of a `.jsonl`, `.csv` or `.parquet` file that have a known name.

    Args:
        path: The file; its suffix says what it is.
        known: Names of the columns to read.
        passed_over: Names of columns that are not read and no error either.
        extra_columns: What to do about columns of other names.
        synonyms: Known names by other words for them, for the message about a column of another name.

    Raises:
        DataNotFoundError: There is no such file.
        FileFormatError: The file is empty or damaged, not UTF-8, of an unknown suffix, or has a column that is not
            known or holds neither texts nor numbers.
    """

    def blocks() -> Iterator[Block]:
        for block in read_blocks(path, known):
            extra = [name for name in block.columns if name not in known and name not in passed_over]
            if extra and extra_columns == "error":
                raise _unknown_column(path, extra[0], block, known, synonyms)
            yield _selected(path, block, known)

    return _collect(path, blocks())


def _unknown_column(
    path: Path, name: str, block: Block, known: Collection[str], synonyms: Mapping[str, str] | None
) -> FileFormatError:
    return FileFormatError(
        path,
        f"the column {name!r} is not known; there are {', '.join(block.columns)}; known are {', '.join(known)}"
        f"{did_you_mean(name, known, synonyms=synonyms) or '.'} Rename or drop it, or pass over such columns "
        "(--ignore-extra-columns; extra_columns='ignore')",
    )


def _selected(path: Path, block: Block, known: Collection[str]) -> Block:
    columns = {name: array for name, array in block.columns.items() if name in known}
    for name, array in columns.items():
        if pa.types.is_nested(array.type):
            raise FileFormatError(path, f"the column {name!r} holds {array.type}; texts or numbers are expected")
    return Block(columns, block.row_numbers)


def _collect(path: Path, blocks: Iterable[Block]) -> Columns:
    """Put the blocks of each column together; a column that a block lacks is empty there."""
    chunks: dict[str, list[pa.DictionaryArray]] = {}
    row_numbers: list[IntArray] = [np.zeros(0, dtype=np.int64)]
    for block in blocks:
        n_before = sum(map(len, row_numbers))
        for name in block.columns:
            chunks.setdefault(name, [pa.nulls(n_before, _ENCODED)])
        for name in chunks:
            array = block.columns.get(name)
            n_rows = len(block.row_numbers)
            chunks[name].append(pa.nulls(n_rows, _ENCODED) if array is None else _encoded(path, name, array))
        row_numbers.append(block.row_numbers)
    columns = {name: _text_column(of_name) for name, of_name in chunks.items()}
    return Columns(path, columns, np.concatenate(row_numbers))


def _encoded(path: Path, name: str, array: pa.Array) -> pa.DictionaryArray:
    try:
        return array.cast(pa.large_string()).dictionary_encode()
    except pa.ArrowException as error:
        raise FileFormatError(path, f"the column {name!r} cannot be read as text: {error}") from error


def _text_column(chunks: Sequence[pa.DictionaryArray]) -> TextColumn:
    whole = pa.chunked_array(chunks, _ENCODED).unify_dictionaries().combine_chunks()
    codes: IntArray = whole.indices.fill_null(-1).to_numpy().astype(np.int64)
    return TextColumn(tuple(whole.dictionary.to_pylist()), codes)
