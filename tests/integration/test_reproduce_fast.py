"""The fast reproduction on the real logs: it runs through, goes on where it was, and agrees with what is committed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from prompt_oirl.reproduction.rows import ResultRow, read_rows

COMMITTED = Path(__file__).resolve().parents[2] / "reproduction" / "results" / "results.jsonl"

pytestmark = [pytest.mark.real_logs, pytest.mark.slow]


def reproduce(data: Path, out: Path) -> dict[str, int]:
    command = [sys.executable, "-c", "from prompt_oirl.cli import main; main()", "reproduce", "--data", str(data)]
    done = subprocess.run(
        [*command, "--out", str(out), "--fast", "--jobs", "2", "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    return found


def test_the_fast_reproduction(data_folder: Path, tmp_path: Path) -> None:
    first = reproduce(data_folder, tmp_path)
    assert first["kept"] == 0
    rows = list(read_rows(tmp_path / "results.jsonl"))
    assert {row.table for row in rows} >= {"leak_free", "paper_protocol", "reward_model", "published", "leakage"}
    assert len([row for row in rows if row.table == "leak_free" and row.method == "recommender"]) == 9
    additive = [row for row in rows if row.table == "leak_free" and row.method == "additive"]
    assert [row.gain for row in additive] == [0.0] * 9

    results = (tmp_path / "results.jsonl").read_bytes()
    again = reproduce(data_folder, tmp_path)
    assert (again["computed"], again["kept"]) == (0, first["computed"])
    assert (tmp_path / "results.jsonl").read_bytes() == results

    check_against_committed(rows)


def check_against_committed(rows: list[ResultRow]) -> None:
    """What no seed can change is the same as in the committed full run, but for the rounding of another processor."""
    found, committed = by_description(rows), by_description(read_rows(COMMITTED))
    assert found.keys() == committed.keys()
    for description, numbers in found.items():
        assert numbers == pytest.approx(committed[description], rel=1e-9, abs=1e-12), description


def by_description(rows: Iterable[ResultRow]) -> dict[str, dict[str, float]]:
    """Part each row of the tables without seeds into what it describes (counts too) and what was computed."""
    parted = {}
    for row in rows:
        if row.table in ("published", "leakage", "label_audit"):
            fields = json.loads(row.to_json())
            numbers = {name: fields.pop(name) for name in list(fields) if isinstance(fields[name], float)}
            parted[json.dumps(fields)] = numbers
    return parted
