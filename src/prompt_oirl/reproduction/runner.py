"""Run the tables: compute what is missing, gather the rows, write tables, figures and the manifest."""

from __future__ import annotations

import csv
import hashlib
import json
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prompt_oirl.errors import MissingDependencyError, ParameterError
from prompt_oirl.files import atomic_path, sha256_of
from prompt_oirl.reproduction import (
    data_size,
    headroom,
    leak_free,
    leakage,
    paper_protocol,
    portfolio,
    published,
    unseen_prompts,
)
from prompt_oirl.reproduction.cells import Cell, CellResult, Settings, code_hash, compute_cells
from prompt_oirl.reproduction.figures import draw_figures
from prompt_oirl.reproduction.rows import FIELDS, ResultRow, read_rows, write_rows

__all__ = ["TABLES", "Reproduction", "reproduce"]

TABLES: dict[str, tuple[Callable[[Settings], list[Cell]], ...]] = {
    "leak_free": (leak_free.cells,),
    "paper_protocol": (paper_protocol.joint_cells, paper_protocol.selection_cells),
    "reward_model": (paper_protocol.joint_cells, paper_protocol.critique_cells),
    "published": (published.cells,),
    "leakage": (leakage.leakage_cells,),
    "label_audit": (leakage.label_audit_cells,),
    "correlation": (leakage.correlation_cells,),
    "headroom": (headroom.cells,),
    "data_size": (data_size.cells,),
    "portfolio": (portfolio.cells,),
    "unseen_prompts": (unseen_prompts.knowledge_cells, unseen_prompts.irl10_cells),
}
"""The tables by name, each with what makes its cells; the longest first."""

Progress = Callable[[CellResult, int, int], None]


@dataclass(frozen=True)
class Reproduction:
    """What a run has made."""

    folder: Path
    rows: tuple[ResultRow, ...]
    n_computed: int
    n_kept: int
    """Cells found from an earlier run."""

    seconds: float
    figures: tuple[Path, ...]


def reproduce(
    data: Path,
    out: Path,
    *,
    fast: bool = False,
    only: Sequence[str] = (),
    seed: int = 0,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Reproduction:
    """Compute the tables from the released logs and write them to a folder.

    Finished cells are kept under `out/cells`; the same command goes on where it was stopped, and does nothing where
    all is there. A change of data, of settings or of the package's code computes anew what depends on it.

    Args:
        data: The data folder.
        out: Where results go: `results.jsonl`, `tables/`, `figures/`, `manifest.json`.
        fast: One fold seed and all six prompts only.
        only: Names of the tables wanted; all of them if empty. Rows of the others that are in the folder already stay
            there, if they are of the same data and settings.
        seed: First fold seed.
        jobs: Worker processes.
        progress: Called after each cell with its result, the number done, and the number of all.

    Raises:
        ParameterError: A table is unknown, or `jobs` is below 1.
        DataNotFoundError: The data folder lacks a file.
        FileFormatError: A file in it is malformed.
    """
    unknown = [name for name in only if name not in TABLES]
    if unknown:
        raise ParameterError(f"there is no table {unknown[0]!r}; tables are {', '.join(TABLES)}")
    if jobs < 1:
        raise ParameterError(f"jobs={jobs}: at least 1 is needed")
    start = time.perf_counter()
    wanted = tuple(only) or tuple(TABLES)
    settings = Settings(fast=fast, seed=seed)
    cells = list({cell.id: cell for name in wanted for make in TABLES[name] for cell in make(settings)}.values())
    hashes = _data_hashes(data, leave_out=out)
    data_hash = hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()
    results: list[CellResult] = []
    for result in compute_cells(cells, data, folder=out / "cells", data_hash=data_hash, jobs=jobs):
        results.append(result)
        if progress is not None:
            progress(result, len(results), len(cells))
    earlier = _Earlier.of(out, settings, hashes, leave_out=wanted)
    rows = _gather(results, cells, wanted)
    every = _ordered([*rows, *earlier.rows])
    _write_tables(every, out)
    figures = _draw(every, out / "figures")
    seconds = time.perf_counter() - start
    n_kept = sum(result.was_kept for result in results)
    if n_kept < len(results) or not earlier.has_wanted:
        _write_manifest(out / "manifest.json", settings, wanted, results, hashes, seconds, jobs, earlier)
    return Reproduction(out, tuple(rows), len(results) - n_kept, n_kept, seconds, tuple(figures))


@dataclass(frozen=True)
class _Earlier:
    """What an earlier run into the same folder has left of other tables."""

    rows: Sequence[ResultRow] = ()
    costs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    wall_seconds: float = 0.0
    has_wanted: bool = False
    """Whether its manifest is that of the tables wanted, too."""

    @classmethod
    def of(cls, out: Path, settings: Settings, hashes: dict[str, str], *, leave_out: Sequence[str]) -> _Earlier:
        """Read what is there of the same data and settings."""
        try:
            manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
            if manifest["data"] != hashes or manifest["settings"] != asdict(settings):
                return cls()
            costs = {name: cost for name, cost in manifest["tables"].items() if name in TABLES}
            rows = [row for row in read_rows(out / "results.jsonl") if row.table in costs]
            return cls(
                [row for row in rows if row.table not in leave_out],
                {name: cost for name, cost in costs.items() if name not in leave_out},
                float(manifest["wall_seconds"]),
                has_wanted=all(costs.get(name, {}).get("code") == code_hash()[:12] for name in leave_out),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return cls()


def _gather(results: Iterable[CellResult], cells: Sequence[Cell], wanted: Sequence[str]) -> list[ResultRow]:
    """Return the rows of the wanted tables in the order of cells, whatever order they were finished in."""
    rows_of = {result.cell.id: result.rows for result in results}
    rows = [row for cell in cells for row in rows_of[cell.id] if row.table in wanted]
    rows += published.headline_rows(rows) if "published" in wanted else []
    return _ordered(rows)


def _ordered(rows: Sequence[ResultRow]) -> list[ResultRow]:
    order = {name: position for position, name in enumerate(TABLES)}
    return sorted(rows, key=lambda row: (order[row.table], row.llm, row.dataset, row.protocol, -(row.k or 0)))


def _write_tables(rows: Sequence[ResultRow], out: Path) -> None:
    for stale in [*(out / "tables").glob("*.csv"), *(out / "figures").glob("*.png")]:
        stale.unlink()
    write_rows(rows, out / "results.jsonl")
    for table in dict.fromkeys(row.table for row in rows):
        records = [asdict(row) for row in rows if row.table == table]
        used = [name for name in FIELDS if any(record[name] is not None for record in records)]
        with (
            atomic_path(out / "tables" / f"{table}.csv") as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, used, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(records)


def _draw(rows: Sequence[ResultRow], folder: Path) -> list[Path]:
    try:
        return draw_figures(rows, folder)
    except MissingDependencyError:
        return []


def _data_hashes(data: Path, *, leave_out: Path) -> dict[str, str]:
    out = leave_out.resolve()
    files = sorted(
        path
        for path in data.rglob("*")
        if path.is_file() and ".git" not in path.parts and not path.resolve().is_relative_to(out)
    )
    return {path.relative_to(data).as_posix(): sha256_of(path) for path in files}


def _write_manifest(
    path: Path,
    settings: Settings,
    wanted: Sequence[str],
    results: Sequence[CellResult],
    hashes: dict[str, str],
    seconds: float,
    jobs: int,
    earlier: _Earlier,
) -> None:
    packages = ("prompt-oirl", "numpy", "scipy", "scikit-learn", "lightgbm", "xgboost-cpu")
    computed = {name: _costs([each for each in results if each.cell.table == name]) for name in wanted}
    costs = {**earlier.costs, **computed}
    tables = {name: costs[name] for name in TABLES if name in costs}
    manifest: dict[str, Any] = {
        "settings": asdict(settings),
        "tables": tables,
        "jobs": jobs,
        "wall_seconds": round(seconds + earlier.wall_seconds, 1),
        "cpu_seconds": round(sum(cost["seconds"] for cost in tables.values()), 1),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in packages},
        "data": hashes,
    }
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def _costs(results: Sequence[CellResult]) -> dict[str, Any]:
    return {
        "cells": len(results),
        "seconds": round(sum(result.seconds for result in results), 1),
        "peak_mib": max((round(result.peak_mib, 1) for result in results), default=0.0),
        "code": code_hash()[:12],
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except ModuleNotFoundError:
        return None
