"""A run: what it computes, what it writes, and what it leaves alone the second time."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from prompt_oirl.errors import ParameterError
from prompt_oirl.reproduction import runner
from prompt_oirl.reproduction.cells import Cell, CellResult, Settings
from prompt_oirl.reproduction.rows import ResultRow, read_rows
from prompt_oirl.reproduction.runner import TABLES, reproduce

COMPUTED: list[str] = []


def compute(data: Path, parameters: Mapping[str, Any]) -> list[ResultRow]:
    """Make one row for each of the tables that the cell serves."""
    COMPUTED.append(parameters["dataset"])
    text = (data / "numbers.txt").read_text(encoding="utf-8")
    return [
        ResultRow(
            table=table, llm="none", dataset=parameters["dataset"], protocol="none", method="m", n_queries=1,
            value=float(text), note="é, comma" if table == "second" else None,
        )
        for table in parameters["tables"]
    ]  # fmt: skip


def both(settings: Settings) -> list[Cell]:
    parameters = {"tables": ["first", "second"], "seed": settings.seed}
    return [Cell("first", compute, parameters | {"dataset": name}) for name in ("b", "a")]


def second_only(_: Settings) -> list[Cell]:
    return [Cell("second", compute, {"tables": ["second"], "dataset": "c"})]


@pytest.fixture(autouse=True)
def _tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "TABLES", {"second": (both, second_only), "first": (both,)})
    COMPUTED.clear()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "numbers.txt").write_text("0.5", encoding="utf-8")
    return folder


def test_the_tables_are_those_of_the_issue() -> None:
    wanted = {"published", "paper_protocol", "leak_free", "reward_model", "leakage", "label_audit"}
    assert wanted <= set(TABLES)


def test_a_run_writes_rows_tables_and_manifest(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = reproduce(data, out)
    assert (found.n_computed, found.n_kept, found.figures) == (3, 0, ())
    rows = list(read_rows(out / "results.jsonl"))
    assert tuple(rows) == found.rows
    assert [(row.table, row.dataset) for row in rows] == [
        ("second", "a"), ("second", "b"), ("second", "c"), ("first", "a"), ("first", "b"),
    ]  # fmt: skip
    with (out / "tables" / "second.csv").open(newline="", encoding="utf-8") as file:
        records = list(csv.DictReader(file))
    assert [record["dataset"] for record in records] == ["a", "b", "c"]
    assert records[0]["note"] == "é, comma"
    assert "gain" not in records[0]
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["settings"] == {"fast": False, "seed": 0}
    assert set(manifest["data"]) == {"numbers.txt"}
    assert manifest["versions"]["numpy"]
    assert manifest["tables"]["first"]["cells"] == 2
    assert manifest["tables"]["first"]["peak_mib"] > 1


def test_cells_that_serve_two_tables_are_computed_once(data: Path, tmp_path: Path) -> None:
    reproduce(data, tmp_path / "out")
    assert sorted(COMPUTED) == ["a", "b", "c"]


def test_the_same_command_again_computes_nothing(data: Path, tmp_path: Path) -> None:
    first = reproduce(data, tmp_path / "out")
    COMPUTED.clear()
    again = reproduce(data, tmp_path / "out")
    assert COMPUTED == []
    assert (again.n_computed, again.n_kept) == (0, 3)
    assert again.rows == first.rows


def test_one_table_only_then_all_of_them(data: Path, tmp_path: Path) -> None:
    only = reproduce(data, tmp_path / "out", only=("first",))
    assert {row.table for row in only.rows} == {"first"}
    assert [path.name for path in (tmp_path / "out" / "tables").iterdir()] == ["first.csv"]
    every = reproduce(data, tmp_path / "out")
    assert (every.n_computed, every.n_kept) == (1, 2)


def test_one_table_only_leaves_the_others_as_they_are(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    every = reproduce(data, out)
    costs = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["tables"]
    (out / "cells").rename(tmp_path / "forgotten")
    only = reproduce(data, out, only=("first",))
    assert {row.table for row in only.rows} == {"first"}
    assert tuple(read_rows(out / "results.jsonl")) == every.rows
    assert sorted(path.name for path in (out / "tables").iterdir()) == ["first.csv", "second.csv"]
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert list(manifest["tables"]) == ["second", "first"]
    assert manifest["tables"]["second"] == costs["second"]


def test_a_run_from_kept_cells_alone_writes_their_manifest(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    reproduce(data, out)
    reproduce(data, out, seed=1)
    again = reproduce(data, out)
    assert again.n_computed == 0
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["settings"]["seed"] == 0
    (out / "manifest.json").unlink()
    reproduce(data, out, only=("first",))
    every = reproduce(data, out)
    assert every.n_computed == 0
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert list(manifest["tables"]) == ["second", "first"]


def test_a_run_that_finds_everything_leaves_the_manifest_alone(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    reproduce(data, out)
    before = (out / "manifest.json").read_bytes()
    reproduce(data, out)
    assert (out / "manifest.json").read_bytes() == before


def test_tables_of_other_data_or_settings_are_not_kept(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    reproduce(data, out)
    reproduce(data, out, only=("first",), seed=1)
    assert {row.table for row in read_rows(out / "results.jsonl")} == {"first"}


def test_other_data_or_another_seed_are_computed_anew(data: Path, tmp_path: Path) -> None:
    reproduce(data, tmp_path / "out", only=("first",))
    assert reproduce(data, tmp_path / "out", only=("first",), seed=1).n_computed == 2
    (data / "numbers.txt").write_text("0.25", encoding="utf-8")
    changed = reproduce(data, tmp_path / "out", only=("first",))
    assert changed.n_computed == 2
    assert {row.value for row in changed.rows} == {0.25}


def test_a_failed_run_writes_no_results_and_goes_on(data: Path, tmp_path: Path) -> None:
    (data / "numbers.txt").write_text("no number", encoding="utf-8")
    with pytest.raises(ValueError, match="no number"):
        reproduce(data, tmp_path / "out")
    assert not (tmp_path / "out" / "results.jsonl").exists()
    (data / "numbers.txt").write_text("0.5", encoding="utf-8")
    assert reproduce(data, tmp_path / "out").n_computed == 3


def test_progress_counts_every_cell_kept_or_not(data: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int, bool]] = []

    def progress(result: CellResult, done: int, total: int) -> None:
        steps.append((done, total, result.was_kept))

    reproduce(data, tmp_path / "out", only=("first",))
    reproduce(data, tmp_path / "out", progress=progress)
    assert steps == [(1, 3, True), (2, 3, True), (3, 3, False)]


def test_bad_arguments_are_refused_before_anything_is_done(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"third.*first"):
        reproduce(data, tmp_path / "out", only=("first", "third"))
    with pytest.raises(ParameterError, match="jobs=0"):
        reproduce(data, tmp_path / "out", jobs=0)
    assert COMPUTED == []
    assert not (tmp_path / "out").exists()


def test_figures_are_optional(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    assert reproduce(data, tmp_path / "out").figures == ()
    assert (tmp_path / "out" / "results.jsonl").exists()
