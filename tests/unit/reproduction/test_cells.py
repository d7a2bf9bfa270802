"""Cells are computed once, kept whole, and found again by what they depend on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from prompt_oirl.reproduction import cells as cells_module
from prompt_oirl.reproduction.cells import Cell, CellResult, compute_cells

# Worker processes import what they compute by name, so it lies in a file of its own on the path.
COUNTED = '''
import os
from pathlib import Path

from prompt_oirl.reproduction.rows import ResultRow


def count(data, parameters):
    """Leave a mark a call, and fail while the data folder says so."""
    name = parameters["name"]
    with (data / f"calls-{name}").open("a") as file:
        file.write(f"{os.getpid()}\\n")
    if (data / f"fail-{name}").exists():
        raise RuntimeError(name)
    return [
        ResultRow(table="t", llm="none", dataset=name, protocol="none", method="m", n_queries=1, value=value)
        for value in parameters["values"]
    ]
'''


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "counted_cells.py").write_text(COUNTED, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "code")
    monkeypatch.delitem(__import__("sys").modules, "counted_cells", raising=False)
    return __import__("counted_cells")


Run = Callable[..., list[CellResult]]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def run(tmp_path: Path, counted: ModuleType, data: Path) -> Run:
    def run(names: str = "abc", *, values: tuple[float, ...] = (0.25, 0.5), data_hash: str = "h", jobs: int = 1):
        cells = [Cell("t", counted.count, {"name": name, "values": list(values)}) for name in names]
        return list(compute_cells(cells, data, folder=tmp_path / "cells", data_hash=data_hash, jobs=jobs))

    return run


def calls(data: Path) -> dict[str, int]:
    return {path.name[-1]: len(path.read_text().splitlines()) for path in sorted(data.glob("calls-*"))}


def rows_of(results: list[CellResult]) -> dict[str, tuple[float | None, ...]]:
    return {result.cell.parameters["name"]: tuple(row.value for row in result.rows) for result in results}


def test_cells_are_computed_once_and_found_again(run: Run, data: Path) -> None:
    first, again = run(), run()
    assert [result.was_kept for result in first] == [False] * 3
    assert [result.was_kept for result in again] == [True] * 3
    assert [result.rows for result in again] == [result.rows for result in first]
    assert rows_of(first) == dict.fromkeys("abc", (0.25, 0.5))
    assert calls(data) == {"a": 1, "b": 1, "c": 1}
    assert all(result.seconds >= 0 and result.peak_mib > 0 for result in [*first, *again])


def test_a_change_of_parameters_or_data_or_code_computes_anew(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("a")
    run("a", values=(0.75,))
    assert calls(data) == {"a": 2}
    run("a", data_hash="other")
    assert calls(data) == {"a": 3}
    monkeypatch.setattr(cells_module, "code_hash", lambda: "other code")
    run("a")
    assert calls(data) == {"a": 4}
    monkeypatch.undo()


def test_the_former_state_is_still_there_after_a_change(run: Run, data: Path) -> None:
    run("a")
    run("a", values=(0.75,))
    assert rows_of(run("a")) == {"a": (0.25, 0.5)}
    assert calls(data) == {"a": 2}


def test_the_code_hash_is_of_what_cells_rest_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package"
    for name in ("reproduction/cells.py", "cli/app.py", "serve/app.py", "policies.py"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(name, encoding="utf-8")
    monkeypatch.setattr(cells_module, "__file__", str(package / "reproduction" / "cells.py"))

    def code_hash() -> str:
        return cells_module.code_hash.__wrapped__()

    before = code_hash()
    for unused in ("cli", "serve"):
        (package / unused / "app.py").write_text("changed", encoding="utf-8")
        assert code_hash() == before
    (package / "policies.py").write_text("changed", encoding="utf-8")
    assert code_hash() != before


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_that_failed_goes_on_where_it_was(run: Run, data: Path, jobs: int) -> None:
    (data / "fail-b").touch()
    with pytest.raises(RuntimeError, match="b"):
        run("ab", jobs=jobs)
    (data / "fail-b").unlink()
    results = run("abc", jobs=jobs)
    assert {result.cell.parameters["name"] for result in results if result.was_kept} <= {"a"}
    assert rows_of(results) == dict.fromkeys("abc", (0.25, 0.5))
    assert calls(data)["b"] == 2
    if jobs == 1:
        assert calls(data) == {"a": 1, "b": 2, "c": 1}


def test_two_workers_give_the_same_rows_as_one(run: Run, data: Path) -> None:
    by_two = run("abcd", jobs=2)
    assert rows_of(by_two) == dict.fromkeys("abcd", (0.25, 0.5))
    workers = {path.read_text().strip() for path in data.glob("calls-*")}
    assert str(os.getpid()) not in workers
    by_one = run("abcd", data_hash="again", jobs=1)
    assert {result.cell.id: result.rows for result in by_one} == {result.cell.id: result.rows for result in by_two}


def test_only_whole_cells_get_their_name(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text = Path.write_text

    def half(self: Path, text: str, **options: str) -> int:
        write_text(self, text[: len(text) // 2], **options)
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises(OSError, match="no space"):
        run("a")
    monkeypatch.undo()
    assert list((tmp_path / "cells").iterdir()) == []


def test_what_a_killed_run_left_is_no_cell(run: Run, tmp_path: Path, data: Path) -> None:
    run("a")
    (kept,) = (tmp_path / "cells").iterdir()
    kept.rename(kept.with_name(f".{kept.stem}.0123.json"))
    assert [result.was_kept for result in run("a")] == [False]
    assert calls(data) == {"a": 2}


def test_a_kept_cell_says_what_it_is_and_cost(run: Run, tmp_path: Path) -> None:
    run("a")
    (path,) = (tmp_path / "cells").iterdir()
    record = json.loads(path.read_text(encoding="utf-8"))
    assert path.name.startswith("t-")
    assert record["parameters"] == {"name": "a", "values": [0.25, 0.5]}
    assert set(record) == {"table", "parameters", "seconds", "peak_mib", "rows"}
