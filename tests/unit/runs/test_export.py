from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.grading import ExactGrader, NumericGrader
from prompt_oirl.records import Message, Prompt, Query, Question
from prompt_oirl.runs.export import demonstrations_of, write_export
from prompt_oirl.runs.grading import grade_run
from prompt_oirl.runs.outcomes import Completion, Failure
from prompt_oirl.runs.store import RunStore
from prompt_oirl.sources.tabular import read_demonstrations

MakeRun = Callable[..., RunStore]

SUFFIXES = pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
ERROR_TEXT = "upstream connect error or disconnect/reset"
ANSWERS = {
    (0, 0, 0): "It is 8.",
    (0, 0, 1): "It is 9.",
    (0, 1, 0): "8",
    (1, 0, 0): Completion("It is 10, as\nthe others.", "test-model-2", "length", 12, 64, 1.5, 2),
    (1, 1, 0): Failure("server_error", ERROR_TEXT, 503, attempts=6),
    (2, 0, 0): "I cannot tell.",
    (2, 1, 0): Failure("timeout", "no answer within 60 s"),
}


def rows_of(path: Path) -> list[dict[str, object]]:
    if path.suffix == ".parquet":
        return list(pyarrow.parquet.read_table(path).to_pylist())
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_trials_are_counted_and_failures_are_not_wrong_answers(make_run: MakeRun) -> None:
    store = make_run(ANSWERS)
    grade_run(store, NumericGrader(), "numeric")

    demonstrations = demonstrations_of(store)

    assert [query.text for query in demonstrations.queries] == [f"What is {n} plus {n}?" for n in (4, 5, 6)]
    assert demonstrations.prompts == store.prompts()
    assert demonstrations.trials.tolist() == [[2, 1], [1, 0], [0, 0]]
    assert demonstrations.successes.tolist() == [[1, 1], [1, 0], [0, 0]]
    assert demonstrations.unscored.tolist() == [[0, 0], [0, 1], [1, 1]]


def test_queries_that_were_not_asked_are_left_out_and_prompts_are_not(make_run: MakeRun) -> None:
    store = make_run({(2, 1, 0): "12"})
    grade_run(store, NumericGrader(), "numeric")
    demonstrations = demonstrations_of(store)
    assert [query.text for query in demonstrations.queries] == ["What is 6 plus 6?"]
    assert demonstrations.prompt_ids == ("think", "short")
    assert demonstrations.trials.tolist() == [[0, 1]]


def test_the_latest_grades_count_unless_a_grader_is_given(make_run: MakeRun) -> None:
    store = make_run(ANSWERS)
    grade_run(store, NumericGrader(), "numeric")
    grade_run(store, ExactGrader(), "exact")
    assert demonstrations_of(store).successes.sum() == 1
    assert demonstrations_of(store, grader=NumericGrader()).successes.sum() == 3
    assert store.grader == "exact"


def test_answers_without_a_grade_are_an_error(make_run: MakeRun) -> None:
    store = make_run(ANSWERS)
    with pytest.raises(DataError, match="5 of 5 answers have no grade; run prompt-oirl grade"):
        demonstrations_of(store)


def test_a_run_that_has_grown_since_it_was_graded_is_an_error(make_run: MakeRun, tmp_path: Path) -> None:
    store = make_run(ANSWERS)
    grade_run(store, NumericGrader(), "numeric")
    store.register([Question(Query("What is 4 plus 4?"), "9")], [])  # which takes the grades of its answers away
    with pytest.raises(DataError, match="3 of 5 answers have no grade"):
        demonstrations_of(store)
    with pytest.raises(DataError, match="3 of 5 answers have no grade"):
        write_export(store, tmp_path / "export.jsonl")
    assert list(tmp_path.glob("*export*")) == []


def test_a_run_without_outcomes_is_an_error(make_run: MakeRun, tmp_path: Path) -> None:
    store = make_run({})
    with pytest.raises(DataError, match=r"none of the run's 3 queries .* prompt-oirl collect"):
        demonstrations_of(store)
    with pytest.raises(DataError, match="prompt-oirl collect"):
        write_export(store, tmp_path / "export.jsonl")
    assert list(tmp_path.glob("*export*")) == []


def test_a_grader_needs_gold_answers(make_run: MakeRun, tmp_path: Path) -> None:
    store = make_run({(0, 0, 0): "8"}, questions=(Question(Query("What?")),))
    with pytest.raises(DataError, match="1 queries that have answers have no gold answer"):
        demonstrations_of(store, grader=NumericGrader())
    with pytest.raises(DataError, match="1 queries that have answers have no gold answer"):
        write_export(store, tmp_path / "export.jsonl", grader=NumericGrader())


@SUFFIXES
def test_an_export_has_a_row_for_each_trial(make_run: MakeRun, tmp_path: Path, suffix: str) -> None:
    store = make_run(ANSWERS)
    grade_run(store, NumericGrader(), "numeric")

    export = write_export(store, tmp_path / f"export{suffix}")

    assert (export.n_rows, export.n_answers, export.n_ungraded, export.n_unparsed, export.n_failures) == (7, 5, 0, 1, 2)
    rows = rows_of(export.path)
    assert rows[3] == {
        "query": "What is 5 plus 5?",
        "prompt_id": "think",
        "prompt": "{{query}}\nThink.",
        "answer": "It is 10, as\nthe others.",
        "gold": "10",
        "correct": 1,
        "sample": 0,
        "propensity": 0.5,
        "model": "test-model-2",
        "finish_reason": "length",
        "prompt_tokens": 12,
        "completion_tokens": 64,
        "latency": 1.5,
        "attempts": 2,
        "failure": None,
        "failure_message": None,
    }
    assert [row["correct"] for row in rows] == [1, 0, 1, 1, None, None, None]
    assert json.loads(json.dumps(export.to_dict()))["n_rows"] == 7


@SUFFIXES
def test_what_a_server_said_of_its_failure_is_never_an_answer(make_run: MakeRun, tmp_path: Path, suffix: str) -> None:
    store = make_run(ANSWERS)
    rows = rows_of(write_export(store, tmp_path / f"export{suffix}", grader=NumericGrader()).path)
    failed = [row for row in rows if row["failure"] is not None]
    assert [(row["failure"], row["failure_message"], row["attempts"]) for row in failed] == [
        ("server_error", f"503: {ERROR_TEXT}", 6),
        ("timeout", "no answer within 60 s", 1),
    ]
    assert all(row["answer"] is None and row["correct"] is None for row in failed)
    assert ERROR_TEXT not in "".join(str(row["answer"]) for row in rows)


@SUFFIXES
def test_reading_an_export_gives_the_run_s_demonstrations(make_run: MakeRun, tmp_path: Path, suffix: str) -> None:
    prompts = (
        Prompt.from_text("Think.", id="think"),
        Prompt("guided", "Question: {{query}}", (Message("system", "You are careful."), Message("user", "Ready?"))),
        Prompt("in-system", "Go on.", (Message("system", "Answer this: {{query}}"),)),
    )
    store = make_run({**ANSWERS, (0, 2, 0): "8", (1, 2, 0): "7"}, prompts=prompts)
    grade_run(store, NumericGrader(), "numeric")
    path = write_export(store, tmp_path / f"export{suffix}").path
    of_run = demonstrations_of(store)
    assert read_demonstrations(path).sha256 == of_run.sha256
    assert read_demonstrations(path).prompts == prompts
    assert read_demonstrations(path, grader=NumericGrader()).sha256 == of_run.sha256
    assert {row["prompt_context"] is None for row in rows_of(path) if row["prompt_id"] == "think"} == {True}


@SUFFIXES
def test_a_drawn_part_of_a_grid_is_read_with_the_prompt_set(make_run: MakeRun, tmp_path: Path, suffix: str) -> None:
    prompts = tuple(Prompt.from_text(f"Way {n}.", id=f"{n}") for n in range(4))
    store = make_run({(0, 2, 0): "8", (1, 0, 0): "10", (2, 2, 0): "9"}, prompts=prompts)
    path = write_export(store, tmp_path / f"export{suffix}", grader=NumericGrader()).path
    of_run = demonstrations_of(store, grader=NumericGrader())
    assert of_run.prompt_ids == ("0", "1", "2", "3")
    assert read_demonstrations(path, prompts=prompts).sha256 == of_run.sha256
    assert read_demonstrations(path).prompt_ids == ("2", "0")


@SUFFIXES
def test_ungraded_answers_are_written_if_asked_for(make_run: MakeRun, tmp_path: Path, suffix: str) -> None:
    store = make_run(ANSWERS)
    export = write_export(store, tmp_path / f"export{suffix}", allow_ungraded=True)
    assert (export.n_ungraded, export.n_unparsed) == (5, 0)
    assert {row["correct"] for row in rows_of(export.path)} == {None}
    graded_when_read = read_demonstrations(export.path, grader=NumericGrader())
    assert graded_when_read.sha256 == demonstrations_of(store, grader=NumericGrader()).sha256


@SUFFIXES
def test_any_text_is_written(make_run: MakeRun, tmp_path: Path, suffix: str) -> None:
    texts = ["8 \u2028 a\tb\r\n", "\ud83d half of a pair 8", "été 🎈 8", '"8"', "2020-01-01"]
    store = make_run({(0, 0, sample): text for sample, text in enumerate(texts)})
    path = write_export(store, tmp_path / f"export{suffix}", allow_ungraded=True).path
    table = pyarrow.parquet.read_table(path).to_pylist() if suffix == ".parquet" else None
    rows = table or [json.loads(line) for line in path.read_bytes().split(b"\n") if line]
    assert [row["answer"] for row in rows] == [texts[0], "? half of a pair 8", *texts[2:]]
    assert read_demonstrations(path, grader=NumericGrader()).unscored.sum() <= 1


def test_the_suffix_says_the_format(make_run: MakeRun, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"\.jsonl or \.parquet, not as 'export\.csv'"):
        write_export(make_run(ANSWERS), tmp_path / "export.csv")


def test_a_former_export_stays_where_a_new_one_fails(make_run: MakeRun, tmp_path: Path) -> None:
    path = tmp_path / "export.jsonl"
    path.write_text("former")
    with pytest.raises(DataError):
        write_export(make_run(ANSWERS), path)
    assert path.read_text() == "former"


@SUFFIXES
def test_texts_are_not_all_in_memory(make_run: MakeRun, tmp_path: Path, suffix: str) -> None:
    questions = tuple(Question(Query(f"What is {n} plus {n}?"), str(2 * n)) for n in range(6000))
    rng = np.random.default_rng(0)
    answers = {(n, 0, 0): rng.integers(97, 122, 5000, dtype=np.uint8).tobytes().decode() for n in range(6000)}
    store = make_run(answers, questions=questions)
    tracemalloc.start()
    write_export(store, tmp_path / f"export{suffix}", allow_ungraded=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6  # the answers are 30 MB
