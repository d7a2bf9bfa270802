"""Result rows as lines of JSON."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_oirl.errors import FileFormatError
from prompt_oirl.reproduction.rows import FIELDS, ResultRow, read_rows, write_rows

ROW = ResultRow(table="t", llm="l", dataset="d", protocol="p", method="m", n_queries=3, value=0.5, note="é → ü")

texts = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]))
numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
counts = st.none() | st.integers(0, 10**9)
result_rows = st.builds(
    ResultRow,
    table=texts, llm=texts, dataset=texts, protocol=texts, method=texts, k=counts, prompts=st.none() | texts,
    seeds=st.none() | texts, n_queries=st.integers(0), n_trials=counts, n_groups=counts, n_left_out=counts,
    value=numbers, gain=numbers, low=numbers, high=numbers, bootstrap_low=numbers, bootstrap_high=numbers,
    metric=st.none() | texts, note=st.none() | texts,
)  # fmt: skip


@given(st.lists(result_rows, max_size=4))
def test_rows_come_back_as_they_were(rows: list[ResultRow]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.jsonl"
        write_rows(rows, path)
        assert list(read_rows(path)) == rows


def test_what_does_not_apply_is_not_written() -> None:
    assert json.loads(ROW.to_json()) == {
        "table": "t", "llm": "l", "dataset": "d", "protocol": "p", "method": "m", "n_queries": 3, "value": 0.5,
        "note": "é → ü",
    }  # fmt: skip
    assert "→" in ROW.to_json()
    assert set(json.loads(ROW.to_json())) < set(FIELDS)


@pytest.mark.parametrize("line", ["{", "[1]", '{"table": "t"}', ROW.to_json()[:-1] + ', "colour": 1}'])
def test_a_line_that_is_no_row_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(f"{ROW.to_json()}\n{line}\n", encoding="utf-8")
    with pytest.raises(FileFormatError, match=r"results\.jsonl, row 2") as caught:
        list(read_rows(path))
    assert caught.value.row == 2


def test_rows_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    write_rows([ROW], path)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_rows([ROW, replace(ROW, note=object())], path)  # type: ignore[arg-type]
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
