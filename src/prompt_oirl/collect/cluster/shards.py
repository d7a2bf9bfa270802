"""Shards: outcomes as Parquet files of their own, which merge into a run's store by the keys of their cells."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet

from prompt_oirl.errors import FileFormatError, StoreError
from prompt_oirl.files import atomic_path
from prompt_oirl.runs.configuration import RunConfiguration
from prompt_oirl.runs.rows import OUTCOME_COLUMNS, StoredOutcome, cell_row, outcome_row, stored_outcome
from prompt_oirl.runs.store import RunStore

__all__ = ["Shards", "read_shard", "shard_of"]

_FOLDER = "shards"
_FORMAT = 1
_STATEMENT = b"prompt_oirl_shard"
"""Name of what a shard says about itself: its format, and the configuration of its run."""

_TYPES = {
    "key": pa.binary(16),
    "sample": pa.int32(),
    "propensity": pa.float64(),
    "subject": pa.binary(16),
    "prompt_tokens": pa.int64(),
    "completion_tokens": pa.int64(),
    "latency": pa.float64(),
    "status": pa.int32(),
    "attempts": pa.int32(),
}
"""Of the columns that hold no text."""

_NAMES = tuple(column.name for column in OUTCOME_COLUMNS)


def shard_of(results: Iterable[StoredOutcome], configuration: RunConfiguration) -> bytes:
    """Return outcomes of a run of that configuration as a Parquet file, one row an outcome.

    The columns are the store's: `key`, `query_id`, `prompt_id`, `sample`, `propensity`, … `text`, … `state`.
    """
    statement = json.dumps({"format": _FORMAT, "configuration": configuration.to_json()})
    fields = [(name, _TYPES.get(name, pa.string())) for name in _NAMES]
    schema = pa.schema(fields, metadata={_STATEMENT: statement.encode()})
    rows = [cell_row(each.cell) | outcome_row(each.outcome) for each in results]
    file = io.BytesIO()
    with pyarrow.parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        writer.write_table(pa.Table.from_pylist(rows, schema))
    return file.getvalue()


def read_shard(shard: bytes) -> tuple[RunConfiguration, list[StoredOutcome]]:
    """Return what `shard_of` was given.

    Raises:
        ValueError: It is no shard, a damaged one, or one of another format.
    """
    table = pyarrow.parquet.read_table(io.BytesIO(shard))
    statement = json.loads((table.schema.metadata or {}).get(_STATEMENT, b"{}"))
    if statement.get("format") != _FORMAT:
        raise ValueError(f"a shard of format {statement.get('format')!r}, and this is for format {_FORMAT}")
    columns = [table.column(name).to_pylist() for name in _NAMES]
    results = [stored_outcome(row) for row in zip(*columns, strict=True)]
    return RunConfiguration.from_json(statement["configuration"]), results


class Shards:
    """The folder that holds shards until they are merged.

    Args:
        folder: Made when it is needed.
    """

    @classmethod
    def of(cls, run: Path) -> Self:
        """Return those of the run in a folder."""
        return cls(run / _FOLDER)

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    def __repr__(self) -> str:
        return f"Shards({str(self.folder)!r})"

    def keep(self, shard: bytes, results: Sequence[StoredOutcome]) -> Path:
        """Write a shard that holds these results, named by the hash of its keys, and return its path."""
        keys = b"".join(sorted(each.cell.key for each in results))
        path = self.folder / f"{hashlib.sha256(keys).hexdigest()[:32]}.parquet"
        with atomic_path(path) as temporary:
            temporary.write_bytes(shard)
        return path

    def tidy(self) -> None:
        """Remove the folder if it is empty."""
        with suppress(OSError):  # it is not, or not there
            self.folder.rmdir()

    def merge(self, store: RunStore) -> int:
        """Save the outcomes that a process left here when it was killed; return how many the store did not have.

        What the store has an outcome of is left as it is, in its spending too: a shard may have been merged just before
        its process was killed.

        Raises:
            FileFormatError: A shard is damaged, or none.
            StoreError: A shard is of another run, or cannot be saved. It stays, as do those after it.
        """
        paths = self._left_over()
        states = store.states() if paths else {}
        ended = {key for key, state in states.items() if state in ("answered", "failed")}
        n_before = len(ended)
        for path in paths:
            new = [each for each in _read(path, store) if each.cell.key not in ended]
            store.save(new)
            ended.update(each.cell.key for each in new)
            path.unlink()
        self.tidy()
        return len(ended) - n_before

    def _left_over(self) -> list[Path]:
        """Return the shards that are whole, and remove those that were being written."""
        paths = sorted(self.folder.glob("*.parquet")) if self.folder.is_dir() else []
        for path in paths:
            if path.name.startswith("."):
                path.unlink()
        return [path for path in paths if not path.name.startswith(".")]


def _read(path: Path, store: RunStore) -> list[StoredOutcome]:
    try:
        configuration, results = read_shard(path.read_bytes())
    except (pa.ArrowException, ValueError, KeyError, TypeError) as error:
        raise FileFormatError(
            path, f"is no shard of a run, or a damaged one ({error}); remove it, and what it held is bought again"
        ) from error
    try:
        store.check_same(configuration)
    except StoreError as error:
        raise StoreError(f"{path} is a shard of another run, so remove it: {error}") from error
    return results
