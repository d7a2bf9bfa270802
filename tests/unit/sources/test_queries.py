from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from prompt_oirl.errors import DataNotFoundError, FileFormatError, ParameterError
from prompt_oirl.prompts import check_distinct
from prompt_oirl.records import Query, Question
from prompt_oirl.sources.queries import named_questions, read_queries, release_prompt_set

Rows = list[dict[str, object]]
Write = Callable[[Rows], Path]


def write_rows(path: Path, rows: Rows) -> Path:
    if path.suffix == ".parquet":
        pa.parquet.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        lines = [",".join(rows[0]), *(",".join(f'"{value or ""}"' for value in row.values()) for row in rows)]
        path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(params=["jsonl", "csv", "parquet"])
def write(request: pytest.FixtureRequest, tmp_path: Path) -> Write:
    return lambda rows: write_rows(tmp_path / f"queries.{request.param}", rows)


def content(folder: Path, text: str | bytes, suffix: str = "txt") -> Path:
    path = folder / f"queries.{suffix}"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def row_of(path: Path, index: int) -> int:
    return index + (2 if path.suffix == ".csv" else 1)


def questions(*pairs: tuple[str, str | None]) -> tuple[Question, ...]:
    return tuple(Question(Query(text), gold) for text, gold in pairs)


def test_queries_with_and_without_gold_answers(write: Write) -> None:
    path = write([{"query": "2 + 2?", "gold": "4"}, {"query": "2020-01-01", "gold": None}, {"query": "b", "gold": "x"}])
    assert read_queries(path) == questions(("2 + 2?", "4"), ("2020-01-01", None), ("b", "x"))
    assert read_queries(write([{"query": "a"}, {"query": "b"}])) == questions(("a", None), ("b", None))


def test_each_query_is_read_once_in_order_of_first_appearance(write: Write) -> None:
    rows: Rows = [
        {"query": "b", "gold": None},
        {"query": "a", "gold": "1"},
        {"query": "b", "gold": "2"},
        {"query": "a", "gold": " 1 "},
    ]
    assert read_queries(write(rows), require_gold=True) == questions(("b", "2"), ("a", "1"))


def test_two_gold_answers_to_one_query_are_an_error(write: Write) -> None:
    path = write([{"query": "a", "gold": "1"}, {"query": "b", "gold": "1"}, {"query": "a", "gold": "2"}])
    with pytest.raises(FileFormatError, match="the gold answer to 'a' is '2' here and '1' above; keep one") as error:
        read_queries(path)
    assert (error.value.path, error.value.row) == (path, row_of(path, 2))


@pytest.mark.parametrize("text", [None, "  "])
def test_an_empty_query_is_an_error(write: Write, text: str | None) -> None:
    path = write([{"query": "a", "gold": "1"}, {"query": text, "gold": "1"}])
    with pytest.raises(FileFormatError, match="'query' is empty; drop the row or fill it in") as error:
        read_queries(path)
    assert error.value.row == row_of(path, 1)


@pytest.mark.parametrize("gold", [None, "  "])
def test_a_gold_answer_can_be_required(write: Write, gold: str | None) -> None:
    path = write([{"query": "a", "gold": "1"}, {"query": "b", "gold": gold}, {"query": "c", "gold": gold}])
    assert [question.gold for question in read_queries(path)] == ["1", None, None]
    with pytest.raises(FileFormatError, match="'gold' is empty; fill in the right answer or drop") as error:
        read_queries(path, require_gold=True)
    assert error.value.row == row_of(path, 1)
    with pytest.raises(FileFormatError, match="the column 'gold' is missing; there are query"):
        read_queries(write([{"query": "a"}]), require_gold=True)
    with pytest.raises(FileFormatError, match=r"a \.txt file has no gold answers"):
        read_queries(content(path.parent, "a\n"), require_gold=True)


@pytest.mark.parametrize(
    ("name", "meant"), [("question", "query"), ("Input", "query"), ("querys", "query"), ("answer", "gold")]
)
def test_columns_of_another_name_are_errors_with_a_suggestion(write: Write, name: str, meant: str) -> None:
    path = write([{name: "a", "query" if meant == "gold" else "gold": "b"}])
    with pytest.raises(FileFormatError, match=f"the column '{name}' is not known.*did you mean '{meant}'"):
        read_queries(path)


def test_other_columns_can_be_ignored(write: Write) -> None:
    path = write([{"query": "a", "topic": "sums"}])
    with pytest.raises(FileFormatError, match=r"'topic' is not known; .* known are query, gold\. Rename or drop"):
        read_queries(path)
    assert read_queries(path, extra_columns="ignore") == questions(("a", None))
    with pytest.raises(FileFormatError, match="the column 'query' is missing"):
        read_queries(write([{"topic": "sums", "gold": "1"}]), extra_columns="ignore")


def test_numbers_are_texts_as_they_are_written(tmp_path: Path) -> None:
    path = content(tmp_path, '{"query": "a", "gold": 18}\n{"query": "b", "gold": 1.50}\n', "jsonl")
    assert read_queries(path) == questions(("a", "18"), ("b", "1.5"))


def test_a_text_file_has_one_query_a_line(tmp_path: Path) -> None:
    assert read_queries(content(tmp_path, "a, b\n c \na, b\n\n")) == questions(("a, b", None), (" c ", None))
    assert read_queries(content(tmp_path, "\ufeffa\u2028b\r\nc")) == questions(("a\u2028b", None), ("c", None))


@pytest.mark.parametrize(
    ("text", "suffix", "problem", "row"),
    [
        ("", "txt", "is empty; one query a line is needed", None),
        ("\n\n", "txt", "is empty", None),
        ("a\n\nb\n", "txt", r"the line is empty; drop it, or use \.jsonl", 2),
        ("a\n  \n", "txt", "the line is empty", 2),
        (b"a\n\xff\n", "txt", "is not UTF-8", 2),
        ("", "jsonl", "is empty; one row or more", None),
        ("", "csv", "is empty; one row or more", None),
        ("query,gold\n", "csv", "has no rows; one row or more", None),
        ('{"query": "a"}\n{"query": \n', "jsonl", "is no row", 2),
        ('{"query": ["a"]}\n', "jsonl", "'query' holds", 1),
        ("a", "doc", r"the suffix '\.doc' is not known; use \.jsonl, \.csv, \.parquet, \.txt", None),
    ],
)
def test_malformed_files_are_errors(
    tmp_path: Path, text: str | bytes, suffix: str, problem: str, row: int | None
) -> None:
    path = content(tmp_path, text, suffix)
    with pytest.raises(FileFormatError, match=problem) as error:
        read_queries(path)
    assert (error.value.path, error.value.row) == (path, row)


@pytest.mark.parametrize("name", ["queries.txt", "queries.jsonl", "queries.doc"])
def test_a_missing_file_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataNotFoundError, match=r"is no file; name a file of queries that ends in \.jsonl"):
        read_queries(tmp_path / name)


def test_the_questions_of_a_data_set_are_distinct(mawps_folder: Path) -> None:
    found = named_questions("mawps", mawps_folder)
    assert len(found) == len({question.query for question in found}) == 1537
    assert found[12] == Question(Query("Ann has 12 nuts, 12 of them old. How many, and 3.0?"), "12")
    assert named_questions("mawps", mawps_folder, part="train") == found
    assert set(named_questions("mawps", mawps_folder, part="test")) == set(found)
    with pytest.raises(ParameterError, match="part='dev'"):
        named_questions("mawps", mawps_folder, part="dev")  # type: ignore[arg-type]


def test_the_prompts_of_the_release_are_a_prompt_set(mawps_folder: Path) -> None:
    prompts = release_prompt_set("mawps", mawps_folder)
    assert (len(prompts), prompts[1].id) == (16, "steps")
    assert prompts[1].template == "{{query}}Answer in the manner of steps: "
    assert release_prompt_set("gsm8k", mawps_folder)[1].template == "{{query}}\nAnswer in the manner of steps: "


@pytest.mark.parametrize("named", [named_questions, release_prompt_set])
def test_other_data_sets_and_folders_without_them_are_errors(
    named: Callable[..., object], mawps_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ParameterError, match="'mmlu' is no data set of the release; use one of gsm8k, mawps, svamp"):
        named("mmlu", mawps_folder)
    with pytest.raises(DataNotFoundError, match="download"):
        named("gsm8k", tmp_path)


@pytest.mark.real_logs
@pytest.mark.parametrize(
    ("name", "n_questions"),
    [("gsm8k", (8473, 7473, 1000)), ("mawps", (1744, 1744, 1545)), ("svamp", (3961, 3961, 3777))],
)
def test_the_questions_and_prompts_of_the_paper(data_folder: Path, name, n_questions: tuple[int, int, int]) -> None:
    found = [named_questions(name, data_folder, part=part) for part in ("all", "train", "test")]
    assert tuple(map(len, found)) == n_questions
    assert all(question.gold for question in found[0])
    prompts = release_prompt_set(name, data_folder)
    assert len(prompts) == 16
    check_distinct(prompts)


@pytest.mark.real_logs
def test_where_rows_contradict_each_other_the_first_gold_stands_and_it_is_right(data_folder: Path) -> None:
    gold_of_start = {question.query.text[:12]: question.gold for question in named_questions("svamp", data_folder)}
    assert gold_of_start["A dust storm"] == "65057.0"
