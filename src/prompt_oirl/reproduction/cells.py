"""Units of work: each is computed once, kept on disk, and found again by what it depends on."""

from __future__ import annotations

import hashlib
import json
import resource
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from prompt_oirl.files import atomic_path
from prompt_oirl.reproduction.rows import ResultRow

__all__ = ["Cell", "CellResult", "Settings", "code_hash", "compute_cells"]

Compute = Callable[[Path, Mapping[str, Any]], Sequence[ResultRow]]
"""Turns the data folder and a cell's parameters into rows. A module-level function, so that workers find it."""


@dataclass(frozen=True)
class Settings:
    """What a run was asked for."""

    fast: bool = False
    """One fold seed and all six prompts only."""

    seed: int = 0
    """First fold seed; the others follow it."""


@dataclass(frozen=True)
class Cell:
    """A part of a table that is computed in one go."""

    table: str
    compute: Compute
    parameters: Mapping[str, Any]
    """JSON values only: they are hashed."""

    @property
    def id(self) -> str:
        """What tells a cell from the others of a run."""
        return json.dumps([self.table, self.compute.__name__, self.parameters], sort_keys=True)

    def key(self, data_hash: str) -> str:
        """Return the hash of all that the result depends on: the cell, the data, the code and its libraries."""
        return hashlib.sha256(f"{self.id}\n{data_hash}\n{code_hash()}".encode()).hexdigest()[:24]


@dataclass(frozen=True)
class CellResult:
    """The rows of a cell and what they cost."""

    cell: Cell
    rows: tuple[ResultRow, ...]
    seconds: float
    peak_mib: float
    """Largest memory of the worker process up to the end of this cell."""

    was_kept: bool
    """Whether it was found on disk instead of computed."""


_NOT_USED = frozenset({"cli", "collect", "report", "serve", "testing"})
"""Parts of the package that no cell imports."""


@cache
def code_hash() -> str:
    """Return the hash of the code that cells rest on, and of the versions of what it rests on."""
    package = Path(__file__).resolve().parent.parent
    versions = [version(name) for name in ("numpy", "scipy", "scikit-learn", "lightgbm")]
    digest = hashlib.sha256("\n".join(versions).encode())
    for path in sorted(package.rglob("*.py")):
        if path.relative_to(package).parts[0] not in _NOT_USED:
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _read(cell: Cell, path: Path) -> CellResult | None:
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        rows = tuple(ResultRow.from_dict(row) for row in record["rows"])
        return CellResult(cell, rows, record["seconds"], record["peak_mib"], was_kept=True)
    except (ValueError, KeyError, TypeError):
        return None  # damaged: it is computed anew and replaced


def _compute(cell: Cell, data: Path, path: Path) -> CellResult:
    """Compute a cell on one thread and keep it: cells run side by side, threads within them would only contend."""
    start = time.perf_counter()
    with threadpool_limits(limits=1):
        rows = tuple(cell.compute(data, cell.parameters))
    seconds = time.perf_counter() - start
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    record = {
        "table": cell.table,
        "parameters": dict(cell.parameters),
        "seconds": round(seconds, 3),
        "peak_mib": round(peak_mib, 1),
        "rows": [{name: value for name, value in asdict(row).items() if value is not None} for row in rows],
    }
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")
    return CellResult(cell, rows, seconds, peak_mib, was_kept=False)


def compute_cells(
    cells: Sequence[Cell], data: Path, *, folder: Path, data_hash: str, jobs: int
) -> Iterator[CellResult]:
    """Yield the result of every cell as it is there: first those kept from an earlier run, then those computed.

    Args:
        cells: What to compute.
        data: The data folder.
        folder: Where finished cells are kept.
        data_hash: Hash of the data that the cells read.
        jobs: Number of worker processes.
    """
    paths = {cell.key(data_hash): cell for cell in cells}
    missing = []
    for key, cell in paths.items():
        kept = _read(cell, folder / f"{cell.table}-{key}.json")
        if kept is None:
            missing.append((cell, folder / f"{cell.table}-{key}.json"))
        else:
            yield kept
    if jobs == 1:
        for cell, path in missing:
            yield _compute(cell, data, path)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as workers:
        futures = [workers.submit(_compute, cell, data, path) for cell, path in missing]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            workers.shutdown(cancel_futures=True)
