from __future__ import annotations

import base64
import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_oirl.errors import ParameterError
from prompt_oirl.report.page_parts import Column, Table
from prompt_oirl.report.texts import harmless

COLUMNS = (Column("what", "what"), Column("gain", "gain", "points"), Column("n", "queries", "count"))


def table(*rows: tuple[Any, ...]) -> Table:
    return Table("some", "Some numbers.", COLUMNS, rows)


def read(made: Table) -> list[list[str]]:
    head, _, encoded = made.csv_link.partition(",")
    assert head == "data:text/csv;charset=utf-8;base64"
    return list(csv.reader(io.StringIO(base64.b64decode(encoded).decode(), newline="")))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-2+3", "@SUM(A1)", "\t=1", " =1", "\n=1", '=HYPERLINK("x")', "|cmd"])
def test_a_text_that_a_spreadsheet_would_compute_is_text(text: str) -> None:
    cell = read(table((text, 0.1, 1)))[1][0]
    assert cell == f"'{harmless(text)}"


def test_negative_numbers_stay_numbers() -> None:
    assert read(table(("a", -0.25, 3)))[1] == ["a", "-0.25", "3"]


def test_what_is_not_there_is_empty() -> None:
    made = table(("a", None, 3), ("b", float("nan"), 0))
    assert [row[1] for row in read(made)[1:]] == ["", ""]
    assert made.page_rows == [["a", "–", "3"], ["b", "–", "0"]]
    assert made.records()[1] == {"what": "b", "gain": None, "n": 0}


@given(st.text(alphabet=st.characters(codec="utf-8")), st.floats(-1, 1), st.integers(0, 10**9))
def test_the_csv_says_what_the_records_say(text: str, gain: float, n: int) -> None:
    made = table((text, gain, n))
    record, (_, cells) = made.records()[0], read(made)
    assert cells[0].removeprefix("'") == record["what"].removeprefix("'")
    assert (float(cells[1]), int(cells[2])) == (record["gain"], record["n"])


def test_columns_can_be_for_the_csv_alone() -> None:
    made = Table("some", "", (Column("a", "a"), Column("b", "b", "count", is_on_page=False)), (("x", 2000),))
    assert [column.name for column in made.page_columns] == ["a"]
    assert made.page_rows == [["x"]]
    assert read(made)[1] == ["x", "2000"]


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ParameterError, match="2 values for 3 columns"):
        table(("a", 1.0))
