from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_oirl.errors import DataNotFoundError, FileFormatError, ParameterError
from prompt_oirl.sources.release_logs import (
    NOT_LOGGED,
    log_files,
    read_all_labels,
    read_answer_file,
    read_answers,
    read_label_file,
)
from prompt_oirl.sources.release_prompts import ReleasePrompt

END = f"\n{'=' * 20}\n"
TRAINED = ReleasePrompt(0, "first", "train", "text", "text")
HELD_OUT = ReleasePrompt(6, "seventh", "held_out", "text", "text")


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")
    return path


def labels_text(labels: list[bool]) -> str:
    return "".join(f"{pair}\n" for pair in enumerate(labels))


def answers_text(answers: list[str]) -> str:
    return "".join(f"{pair}\n{END}" for pair in enumerate(answers))


@given(labels=st.lists(st.booleans(), min_size=1), windows=st.booleans())
def test_labels_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, labels: list[bool], windows: bool
) -> None:
    text = labels_text(labels).replace("\n", "\r\n" if windows else "\n")
    path = write(tmp_path_factory.getbasetemp() / "labels.txt", text)
    assert read_label_file(path, n_rows=len(labels)).tolist() == labels


def test_the_last_line_need_not_end(tmp_path: Path) -> None:
    assert read_label_file(write(tmp_path / "a.txt", "(0, True)\n(1, False)"), n_rows=2).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("text", "row", "problem"),
    [
        ("(0, True)\n(1, True) False\n", 2, "neither"),
        ("(0, True)\n(1, True, False)\n", 2, "neither"),
        ("(0, True)\n(1, None)\n", 2, "neither"),
        ("(0, True)\n\n(1, True)\n", 2, "neither"),
        ("(0, True)\n(1, True)\n\n", 3, "neither"),
        ("(0, True) (1, False)\n(1, True)\n", 1, "neither"),
        ("(0, True)\n 1, True)\n", 2, "neither"),
        ("(0, True)\n(2, True)\n", 2, "row 2 stands where row 1"),
        ("(1, True)\n(0, True)\n", 1, "row 1 stands where row 0"),
        ("(0, True)\n(0, True)\n", 2, "row 0 stands where row 1"),
        ("(0, True)\n(01, True)\n", 2, "row 01 stands where row 1"),
        ("(0, True)\n(\u0661, True)\n", 2, "stands where row 1"),
        ("(0, True)\n", None, "1 labels, but 2"),
        ("(0, True)\n(1, True)\n(2, True)\n", None, "3 labels, but 2"),
        ("", 1, "neither"),
    ],
)
def test_bad_labels_are_named_with_their_line(tmp_path: Path, text: str, row: int | None, problem: str) -> None:
    path = write(tmp_path / "bad.txt", text)
    with pytest.raises(FileFormatError, match=problem) as caught:
        read_label_file(path, n_rows=2)
    assert (caught.value.path, caught.value.row) == (path, row)


@given(answers=st.lists(st.text() | st.just(f"a{END}b"), min_size=1))
def test_answers_come_back_as_they_were_written(tmp_path_factory: pytest.TempPathFactory, answers: list[str]) -> None:
    path = write(tmp_path_factory.getbasetemp() / "answers.txt", answers_text(answers))
    assert read_answer_file(path, n_rows=len(answers)) == tuple(answers)


@pytest.mark.parametrize(
    ("text", "row", "problem"),
    [
        (f"(0, 'a')\n{END}(1, 2)\n{END}", 4, "no tuple"),
        (f"(0, 'a')\n{END}(1, 'b', 'c')\n{END}", 4, "no tuple"),
        (f"(0, 'a')\n{END}(1, b'c')\n{END}", 4, "no tuple"),
        (f"(0, 'a')\n{END}(1, 'a' + open('b').read() + 'c')\n{END}", 4, "no tuple"),
        (f"(0, 'a')\n{END}[1, 'b']\n{END}", 4, "no tuple"),
        (f"(0, 'a')\n{END}(1, '\\x')\n{END}", 4, "no tuple"),
        (f"(0, 'a')\n{END}(2, 'b')\n{END}", 4, "row 2 stands where row 1"),
        (f"(0, 'a')\n{END}", 4, "1 answers, but 2"),
        (f"(0, 'a')\n{END}(1, 'b", 4, "1 answers and one cut off, but 2"),
        (f"(0, 'a')\n{END}(1, 'b')\n{END}(2, 'c')\n{END}", 10, "3 answers, but 2"),
        ("", 1, "0 answers"),
    ],
)
def test_bad_answers_are_named_with_their_line(tmp_path: Path, text: str, row: int, problem: str) -> None:
    path = write(tmp_path / "bad.txt", text)
    with pytest.raises(FileFormatError, match=problem) as caught:
        read_answer_file(path, n_rows=2)
    assert (caught.value.path, caught.value.row) == (path, row)


def test_gsm8k_has_its_test_rows_in_files_of_their_own(tmp_path: Path) -> None:
    train, test = log_files(tmp_path, "gsm8k", TRAINED, kind="corr", n_rows=5, n_train_rows=3)
    assert (train.path.name, train.start, train.stop) == ("llama_gsm8k_corr_first.txt", 0, 3)
    assert (test.path.name, test.start, test.stop) == ("llama_gsm8k_test_corr_first.txt", 3, 5)
    (held_out,) = log_files(tmp_path, "gsm8k", HELD_OUT, kind="corr", n_rows=5, n_train_rows=3)
    assert (held_out.path.name, held_out.start, held_out.stop) == ("llama_gsm8k_corr_seventh.txt", 3, 5)


def gsm8k_logs(release: Path) -> Path:
    folder = release / "llama_exps" / "llama2_chat_logs" / "gsm8k"
    write(folder / "llama_gsm8k_corr_first.txt", labels_text([True, False, True]))
    write(folder / "llama_gsm8k_test_corr_first.txt", labels_text([False, True]))
    write(folder / "llama_gsm8k_corr_seventh.txt", labels_text([True, True]))
    write(folder / "llama_gsm8k_answers_list_first.txt", answers_text(["a", "b", "c"]))
    write(folder / "llama_gsm8k_test_answers_list_first.txt", answers_text(["d", "e"]))
    write(folder / "llama_gsm8k_answers_list_seventh.txt", answers_text(["x", "y"]))
    return folder


def test_labels_of_all_prompts_are_put_in_their_rows(tmp_path: Path) -> None:
    gsm8k_logs(tmp_path)
    labels = read_all_labels(tmp_path, "gsm8k", (TRAINED, HELD_OUT), n_rows=5, n_train_rows=3)
    assert labels.T.tolist() == [[1, 0, 1, 0, 1], [NOT_LOGGED, NOT_LOGGED, NOT_LOGGED, 1, 1]]


def test_a_file_of_an_unknown_prompt_is_an_error(tmp_path: Path) -> None:
    path = write(gsm8k_logs(tmp_path) / "llama_gsm8k_corr_stranger.txt", "")
    with pytest.raises(FileFormatError, match="no known prompt") as caught:
        read_all_labels(tmp_path, "gsm8k", (TRAINED, HELD_OUT), n_rows=5, n_train_rows=3)
    assert caught.value.path == path


def test_missing_logs_are_not_found(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="prompt-oirl download"):
        read_all_labels(tmp_path, "gsm8k", (TRAINED,), n_rows=5, n_train_rows=3)
    (gsm8k_logs(tmp_path) / "llama_gsm8k_test_corr_first.txt").unlink()
    with pytest.raises(DataNotFoundError, match="llama_gsm8k_test_corr_first"):
        read_all_labels(tmp_path, "gsm8k", (TRAINED, HELD_OUT), n_rows=5, n_train_rows=3)


@pytest.mark.parametrize(
    ("prompt", "part", "expected"),
    [(TRAINED, "all", "abcde"), (TRAINED, "train", "abc"), (TRAINED, "test", "de"), (HELD_OUT, "test", "xy")],
)
def test_answers_of_a_part(tmp_path: Path, prompt: ReleasePrompt, part, expected: str) -> None:
    gsm8k_logs(tmp_path)
    assert "".join(read_answers(tmp_path, "gsm8k", prompt, part=part, n_rows=5, n_train_rows=3)) == expected


def test_answers_of_a_part_need_only_its_file(tmp_path: Path) -> None:
    (gsm8k_logs(tmp_path) / "llama_gsm8k_answers_list_first.txt").unlink()
    assert read_answers(tmp_path, "gsm8k", TRAINED, part="test", n_rows=5, n_train_rows=3) == ("d", "e")


def test_one_file_of_all_rows_gives_its_part(tmp_path: Path) -> None:
    folder = tmp_path / "llama_exps" / "llama2_chat_logs" / "mawps"
    write(folder / "llama_mawps_answers_list_first.txt", answers_text(list("abcde")))
    for part, expected in (("train", "abc"), ("test", "de"), ("all", "abcde")):
        answers = read_answers(tmp_path, "mawps", TRAINED, part=part, n_rows=5, n_train_rows=3)  # type: ignore[arg-type]
        assert "".join(answers) == expected


@pytest.mark.parametrize("part", ["train", "all"])
def test_held_out_prompts_have_no_training_answers(tmp_path: Path, part) -> None:
    with pytest.raises(ParameterError, match="use part='test'"):
        read_answers(tmp_path, "gsm8k", HELD_OUT, part=part, n_rows=5, n_train_rows=3)


def test_labels_are_small_integers(tmp_path: Path) -> None:
    gsm8k_logs(tmp_path)
    assert read_all_labels(tmp_path, "gsm8k", (TRAINED, HELD_OUT), n_rows=5, n_train_rows=3).dtype == np.int8
