from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_oirl.errors import DataNotFoundError, FileFormatError, ParameterError
from prompt_oirl.records import Query
from prompt_oirl.sources.questions import (
    DATASETS,
    Question,
    QuestionSet,
    part_rows,
    read_fold_questions,
    read_gsm8k,
    read_questions,
    read_svamp_challenge,
)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_gsm8k_gold_follows_the_last_mark(tmp_path: Path) -> None:
    line = json.dumps({"question": "How many?\n", "answer": "2 + 2 = 4 #### no\n#### 1,004"})
    (question,) = read_gsm8k(write(tmp_path / "a.jsonl", line + "\n"))
    assert question == Question(Query("How many?\n"), "1,004")


@pytest.mark.parametrize(
    ("text", "row", "problem"),
    [
        ('{"question": "Q", "answer": "#### 1"}\nnot json\n', 2, "no JSON"),
        ('{"question": "Q", "answer": "#### 1"}\n\n', 2, "no JSON"),
        ('["Q"]\n', 1, "object with question"),
        ('{"question": "Q"}\n', 1, "answer must be"),
        ('{"question": " ", "answer": "#### 1"}\n', 1, "question must be"),
        ('{"question": "Q", "answer": "1"}\n', 1, "no gold"),
        ('{"question": "Q", "answer": "so #### "}\n', 1, "no gold"),
        ("[" * 100_000 + "\n", 1, "no JSON"),
    ],
)
def test_bad_gsm8k_lines_are_named(tmp_path: Path, text: str, row: int, problem: str) -> None:
    path = write(tmp_path / "bad.jsonl", text)
    with pytest.raises(FileFormatError, match=problem) as caught:
        read_gsm8k(path)
    assert (caught.value.path, caught.value.row) == (path, row)


def test_gsm8k_row_count_is_checked(tmp_path: Path) -> None:
    path = write(tmp_path / "short.jsonl", '{"question": "Q", "answer": "#### 1"}\n')
    with pytest.raises(FileFormatError, match="1 questions, but 2"):
        read_gsm8k(path, n_rows=2)


def test_a_file_that_is_not_utf8_is_named_with_the_row(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes(b"Question,Numbers,Answer\ncaf\xe9,1,1\n")
    with pytest.raises(FileFormatError, match="not UTF-8") as caught:
        read_fold_questions(path)
    assert caught.value.row == 2


def test_numbers_are_put_in_place_even_beyond_ten(tmp_path: Path) -> None:
    numbers = " ".join(f"{i}.5" for i in range(12))
    path = write(
        tmp_path / "a.csv", f'Question,Numbers,Answer\n"number1, number11, number10 and number0?",{numbers},7\n'
    )
    assert read_fold_questions(path) == (Question(Query("1.5, 11.5, 10.5 and 0.5?"), "7"),)


@given(st.lists(st.integers(0, 999), min_size=1, max_size=30))
def test_every_number_lands_in_its_own_place(tmp_path_factory: pytest.TempPathFactory, numbers: list[int]) -> None:
    question = " ".join(f"number{i}" for i in range(len(numbers)))
    path = tmp_path_factory.getbasetemp() / "numbers.csv"
    write(path, f"Question,Numbers,Answer\n{question},{' '.join(map(str, numbers))},1\n")
    assert read_fold_questions(path)[0].query.text == " ".join(map(str, numbers))


def test_lines_of_a_windows_clone_read_the_same(tmp_path: Path) -> None:
    text = 'Question,Numbers,Answer\n"One\nnumber0?",4,4\n'
    assert read_fold_questions(write(tmp_path / "unix.csv", text)) == read_fold_questions(
        write(tmp_path / "windows.csv", text.replace("\n", "\r\n"))
    )


@pytest.mark.parametrize(
    ("text", "row", "problem"),
    [
        ("", 1, "no column 'Question'"),
        ("Question,Answer\nQ,1\n", 1, "no column 'Numbers'"),
        ("Question,Numbers,Answer\nA number0,1,1\nB number2,1 2,1\n", 3, "number2 has no value"),
        ("Question,Numbers,Answer\nA,1,many\n", 2, "'many' is not a number"),
        ("Question,Numbers,Answer\nA,1,nan\n", 2, "'nan' is not a number"),
        ("Question,Numbers,Answer\nA,1\n", 2, "Answer must be"),
        ("Question,Numbers,Answer\n,1,1\n", 2, "Question must be"),
        ("Question,Numbers,Answer\n" + "x" * 200_000 + ",1,1\n", 2, "no CSV"),
    ],
)
def test_bad_fold_rows_are_named(tmp_path: Path, text: str, row: int, problem: str) -> None:
    path = write(tmp_path / "bad.csv", text)
    with pytest.raises(FileFormatError, match=problem) as caught:
        read_fold_questions(path)
    assert (caught.value.path, caught.value.row) == (path, row)


def challenge(n: int, **changes: object) -> str:
    entries: list[dict[str, object]] = [
        {"Body": f"Ann has {i} nuts. ", "Question": "How many?", "Answer": i} for i in range(n)
    ]
    entries[-1].update(changes)
    return json.dumps(entries)


def test_challenge_questions_join_body_and_question(tmp_path: Path) -> None:
    questions = read_svamp_challenge(write(tmp_path / "a.json", challenge(1000, Answer=7.5)))
    assert questions[2] == Question(Query("Ann has 2 nuts. How many?"), "2")
    assert questions[-1].gold == "7.5"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{}", "a list"),
        ("[", "no JSON"),
        (challenge(999), "999 questions, but 1000"),
        (challenge(1000, Answer="7"), "row 1000: the Answer '7'"),
        (challenge(1000, Answer=True), "row 1000: the Answer True"),
        (challenge(1000, Body=None), "row 1000: Body must be"),
    ],
)
def test_bad_challenge_files_are_named(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(FileFormatError, match=problem):
        read_svamp_challenge(write(tmp_path / "bad.json", text))


def test_missing_files_say_how_to_get_them(tmp_path: Path) -> None:
    (tmp_path / "SVAMP").mkdir()
    with pytest.raises(DataNotFoundError, match="prompt-oirl download"):
        read_questions(tmp_path, "mawps")
    with pytest.raises(DataNotFoundError, match="grade-school-math"):
        read_questions(tmp_path, "gsm8k")


def test_folds_are_read_in_order_and_counted(mawps_folder: Path) -> None:
    rows = read_questions(mawps_folder, "mawps")
    assert (len(rows.questions), rows.n_train_rows) == (7685, 6000)
    assert rows.questions[1537 + 12] == Question(Query("Ann has 12 nuts, 12 of them old. How many, and 3.0?"), "12")
    assert rows.select("train") + rows.select("test") == rows.select("all") == rows.questions


def test_another_number_of_rows_is_an_error(mawps_folder: Path, tmp_path: Path) -> None:
    for fold in range(5):
        path = tmp_path / "SVAMP" / "data" / "cv_mawps" / f"fold{fold}" / "train.csv"
        path.parent.mkdir(parents=True)
        path.write_text("Question,Numbers,Answer\nA,1,1\n")
    with pytest.raises(FileFormatError, match="5 questions, but 7685"):
        read_questions(tmp_path, "mawps")


def test_unknown_names_are_parameter_errors(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="'aqua' is no data set"):
        read_questions(tmp_path, "aqua")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="'dev' is no part"):
        part_rows("dev", 3)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="2 training rows of 1"):
        QuestionSet("mawps", (Question(Query("Q"), "1"),), 2)


@pytest.mark.real_logs
def test_the_papers_rows(data_folder: Path) -> None:
    unique = {}
    for dataset in DATASETS:
        rows = read_questions(data_folder, dataset)
        texts = {part: {question.query for question in rows.select(part)} for part in ("all", "train", "test")}
        unique[dataset] = (len(rows.questions), *(len(texts[part]) for part in ("all", "train", "test")))
        assert (texts["test"] <= texts["train"]) == (dataset != "gsm8k")
    assert unique == {
        "gsm8k": (8473, 8473, 7473, 1000),
        "mawps": (7685, 1744, 1744, 1545),
        "svamp": (19690, 3961, 3961, 3777),
    }
    assert len(read_svamp_challenge(data_folder / "SVAMP" / "SVAMP.json")) == 1000
