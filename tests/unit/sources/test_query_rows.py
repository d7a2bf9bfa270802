from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prompt_oirl.errors import DataNotFoundError, FileFormatError, ParameterError
from prompt_oirl.sources.query_rows import QueryRow, open_query_file


def rows_of(data: bytes, form: str) -> list[QueryRow]:
    with open_query_file(io.BytesIO(data), form) as file:
        return list(file.rows())


def queries_of(data: bytes, form: str) -> list[tuple[int, str | None]]:
    return [(row.number, row.query) for row in rows_of(data, form)]


TEXTS = st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=8)


@given(texts=TEXTS, escaped=st.booleans())
def test_jsonl_comes_back_as_it_was_written(texts: list[str], escaped: bool) -> None:
    data = "".join(json.dumps({"query": text, "id": i}, ensure_ascii=escaped) + "\n" for i, text in enumerate(texts))
    assert queries_of(data.encode(), "jsonl") == list(enumerate(texts, start=1))


@given(texts=TEXTS)
def test_csv_comes_back_as_it_was_written(texts: list[str]) -> None:
    made = io.StringIO(newline="")
    writer = csv.writer(made, quoting=csv.QUOTE_ALL)
    writer.writerows([("id", "query"), *enumerate(texts)])
    assert queries_of(made.getvalue().encode(), "csv") == list(enumerate(texts, start=2))


LINES = st.lists(
    st.text(st.characters(blacklist_characters="\n\r", blacklist_categories=["Cs"]), min_size=1).filter(str.strip),
    min_size=1,
)


@given(lines=LINES, end=st.sampled_from(["\n", "\r\n"]), is_ended=st.booleans())
def test_lines_of_text_come_back(lines: list[str], end: str, is_ended: bool) -> None:
    data = end.join(lines) + (end if is_ended else "")
    expected = [line.removeprefix("\ufeff") if number == 1 else line for number, line in enumerate(lines, start=1)]
    if not expected[0].strip():
        return
    assert queries_of(data.encode(), "txt") == list(enumerate(expected, start=1))


@settings(max_examples=300)
@given(data=st.binary(min_size=1, max_size=200), form=st.sampled_from(["jsonl", "csv", "txt"]))
def test_any_bytes_are_rows_or_an_error_of_this_package(data: bytes, form: str) -> None:
    try:
        rows = rows_of(data, form)
    except FileFormatError:
        return
    for row in rows:
        assert (row.query is None) == (row.problem is not None)


@pytest.mark.parametrize("form", ["jsonl", "csv", "txt"])
def test_a_byte_order_mark_is_passed_over(form: str) -> None:
    data = {"jsonl": '{"query": "a"}\n', "csv": "query\na\n", "txt": "a\n"}[form]
    assert queries_of(b"\xef\xbb\xbf" + data.encode(), form) == [(2 if form == "csv" else 1, "a")]


BAD_ROWS = {
    "not JSON": ("jsonl", b'{"query": "a"\n', "row 1: .* is no JSON"),
    "not an object": ("jsonl", b"[1]\n", "an object such as"),
    "another name": ("jsonl", b'{"question": "a"}\n', "'query' is missing, there are 'question'; rename 'question'"),
    "a misspelt name": ("jsonl", b'{"qery": "a"}\n', "rename 'qery' to 'query'"),
    "no text": ("jsonl", b'{"query": 7}\n', "'query' holds 7 where a text is needed"),
    "null": ("jsonl", b'{"query": null}\n', "holds None"),
    "blank": ("jsonl", b'{"query": " "}\n', "non-empty"),
    "half a surrogate pair": ("jsonl", b'{"query": "\\ud800"}\n', "half a surrogate pair"),
    "not UTF-8 in JSON": ("jsonl", b'{"query": "\xff"}\n', r"b'\\xff' is not UTF-8"),
    "deep": ("jsonl", b"[" * 100_000 + b"\n", "is no JSON"),
    "too few fields": ("csv", b"id,query\n1\n", "row 2: 1 fields where the header has 2"),
    "blank field": ("csv", b"id,query\n1,\n", "row 2: .*non-empty"),
    "not UTF-8 in CSV": ("csv", b"query\n\xe4pfel\n", r"b'\\xe4' is not UTF-8"),
    "quote in a field": ("csv", b'query\n"a"b\n', "is no row of a CSV file"),
    "a quote that is never closed": ("csv", b'query\n"a\n', "is no row of a CSV file"),
    "empty line": ("txt", b"\nx\n", "row 1: .*non-empty"),
    "not UTF-8": ("txt", b"\xff\xfe\n", "is not UTF-8"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_bad_row_says_what_is_wrong_and_the_rest_is_read(case: str) -> None:
    form, data, problem = BAD_ROWS[case]
    bad, *_ = rows_of(data, form)
    assert bad.query is None
    with pytest.raises(FileFormatError, match=f"standard input.*{problem}"):
        raise bad.problem or AssertionError
    good = {"jsonl": b'{"query": "good"}\n', "csv": b"good\n", "txt": b"good\n"}[form]
    if form != "csv" or b"id" not in data:
        rows = rows_of(data + good, form)
        assert rows[0].query is None
        assert case.startswith("a quote") or rows[-1].query == "good"


def test_blank_lines_of_jsonl_and_csv_are_passed_over_and_counted_where_they_are_lines() -> None:
    assert queries_of(b'\n{"query": "a"}\n \n{"query": "b"}', "jsonl") == [(2, "a"), (4, "b")]
    assert queries_of(b"query\n\na\n", "csv") == [(3, "a")]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"question,id\na,1\n", "row 1: no column is named 'query', there are 'question', 'id'; rename 'question'"),
        (b"query,query\na,b\n", "row 1: column 'query' is there twice"),
        (b'"query\n', "row 1: the header cannot be read"),
        (b"query\n", "is empty"),
    ],
)
def test_a_csv_file_without_the_column_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(FileFormatError, match=problem):
        rows_of(data, "csv")


@pytest.mark.parametrize("form", ["jsonl", "csv", "txt"])
def test_nothing_at_all_is_refused(form: str) -> None:
    with pytest.raises(FileFormatError, match="is empty"):
        rows_of(b"", form)


def test_files_are_known_by_their_suffix(tmp_path: Path) -> None:
    for name, text in {"a.jsonl": '{"query": "x"}', "a.CSV": "query\nx", "a.txt": "x"}.items():
        (tmp_path / name).write_text(text)
        with open_query_file(tmp_path / name) as file:
            assert file.share_read == 0
            assert [row.query for row in file.rows()] == ["x"]
            assert file.share_read == 1
    (tmp_path / "a.parquet").write_text("x")
    with (
        pytest.raises(FileFormatError, match=r"'\.parquet' is not known; use \.jsonl, \.csv, \.txt"),
        open_query_file(tmp_path / "a.parquet"),
    ):
        pass
    with open_query_file(tmp_path / "a.parquet", "txt") as file:
        assert [row.query for row in file.rows()] == ["x"]


def test_what_is_not_there_or_not_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match=r"nowhere\.txt is no file"), open_query_file(tmp_path / "nowhere.txt"):
        pass
    with pytest.raises(DataNotFoundError), open_query_file(tmp_path):
        pass
    with (
        pytest.raises(ParameterError, match="'xml' is not known; use one of jsonl, csv, txt"),
        open_query_file(io.BytesIO(b"x"), "xml"),
    ):
        pass


def test_a_stream_is_jsonl_unless_told() -> None:
    with open_query_file(io.BytesIO(b'{"query": "x"}')) as file:
        assert file.share_read is None
        assert [row.query for row in file.rows()] == ["x"]
