from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from prompt_oirl.errors import DataError
from prompt_oirl.grading import CallableGrader, ExactGrader, Grade, NumericGrader, PublishedGrader
from prompt_oirl.records import Prompt, Query, Question
from prompt_oirl.runs.grading import grade_run
from prompt_oirl.runs.outcomes import Completion, Failure
from prompt_oirl.runs.store import RunStore

MakeRun = Callable[..., RunStore]

CORRECT, WRONG, UNPARSED = Grade.CORRECT, Grade.WRONG, Grade.UNPARSED
ANSWERS = {
    (0, 0, 0): "It is 8.",
    (0, 1, 0): "8",
    (1, 0, 0): "It is 10.",
    (1, 1, 0): "11",
    (2, 0, 0): "I cannot tell.",
    (2, 1, 0): Failure("timeout", "no answer within 60 s", attempts=3),
}


def test_the_first_grading_is_all_new(make_run: MakeRun) -> None:
    store = make_run(ANSWERS)

    regrading = grade_run(store, NumericGrader(), "numeric")

    assert (regrading.grader, regrading.grader_before) == ("numeric", None)
    assert (regrading.n_answers, regrading.n_new, regrading.n_changed, regrading.n_failures) == (5, 5, 0, 1)
    think, short = regrading.prompts
    assert (think.prompt_id, think.n_correct, think.n_wrong, think.n_unparsed) == ("think", 2, 0, 1)
    assert (think.success_rate, think.success_rate_before) == (1.0, None)
    assert (short.prompt_id, short.n_correct, short.n_wrong, short.success_rate) == ("short", 1, 1, 0.5)
    assert store.grader == "numeric"
    assert sorted(grade.value for grade in store.grades().values()) == ["correct"] * 3 + ["unparsed", "wrong"]


def test_another_grader_says_what_it_changed(make_run: MakeRun) -> None:
    store = make_run(ANSWERS)
    grade_run(store, NumericGrader(), "numeric")

    regrading = grade_run(store, ExactGrader(), "exact")

    assert (regrading.grader, regrading.grader_before, regrading.n_new) == ("exact", "numeric", 0)
    assert regrading.changes == {
        CORRECT: {CORRECT: 1, WRONG: 2, UNPARSED: 0},
        WRONG: {CORRECT: 0, WRONG: 1, UNPARSED: 0},
        UNPARSED: {CORRECT: 0, WRONG: 1, UNPARSED: 0},
    }
    assert regrading.n_changed == 3
    first = regrading.examples[0]
    assert (first.before, first.after, first.answer, first.gold) == (CORRECT, WRONG, "It is 8.", "8")
    assert (first.query, first.prompt_id) == ("What is 4 plus 4?", "think")
    assert [(each.success_rate_before, each.success_rate) for each in regrading.prompts] == [(1.0, 0.0), (0.5, 0.5)]
    assert store.grades("numeric") != store.grades()


def test_grading_again_changes_nothing(make_run: MakeRun) -> None:
    store = make_run(ANSWERS)
    grade_run(store, NumericGrader(), "numeric")
    regrading = grade_run(store, NumericGrader(), "numeric")
    assert (regrading.n_new, regrading.n_changed, regrading.examples) == (0, 0, ())


def test_five_examples_of_each_kind_of_change_are_kept(make_run: MakeRun) -> None:
    store = make_run({(0, 0, sample): f"It is 8, take {sample}." for sample in range(9)})
    grade_run(store, CallableGrader(lambda answer, gold: True), "always")
    regrading = grade_run(store, CallableGrader(lambda answer, gold: None), "never")
    assert regrading.changes[CORRECT][UNPARSED] == 9
    assert len(regrading.examples) == 5


def test_answers_that_were_cut_are_counted(make_run: MakeRun) -> None:
    store = make_run(
        {
            (0, 0, 0): Completion("It is 8, for", "m", "length"),
            (1, 0, 0): Completion("Let me think", "m", "length"),
            (2, 0, 0): "12",
        }
    )
    regrading = grade_run(store, NumericGrader(), "numeric")
    assert (regrading.n_cut, regrading.n_cut_unparsed) == (2, 1)


def test_a_missing_gold_answer_stops_before_anything_is_stored(make_run: MakeRun) -> None:
    questions = (
        Question(Query("One?"), "1"), Question(Query("Two?")), Question(Query("Three?")), Question(Query("Not asked?"))
    )  # fmt: skip
    store = make_run({(0, 0, 0): "1", (1, 0, 0): "2", (1, 1, 0): "2", (2, 0, 0): "3"}, questions=questions)
    with pytest.raises(DataError, match=r"2 queries .* no gold answer, for example 'Two\?'; add it .* collect"):
        grade_run(store, NumericGrader(), "numeric")
    assert store.grader is None
    assert store.grades() == {}


def test_a_query_that_was_not_asked_needs_no_gold_answer(make_run: MakeRun) -> None:
    questions = (Question(Query("One?"), "1"), Question(Query("Two?")), Question(Query("Three?")))
    store = make_run({(0, 0, 0): "1", (2, 0, 0): Failure("timeout", "late")}, questions=questions)
    assert grade_run(store, NumericGrader(), "numeric").n_answers == 1


def test_a_gold_answer_that_cannot_be_read_stops_before_anything_is_stored(make_run: MakeRun) -> None:
    questions = (Question(Query("One?"), "1"), Question(Query("Two?"), "Paris"), Question(Query("Three?"), "Rome"))
    store = make_run({(query, 0, 0): "1" for query in range(3)}, questions=questions)
    with pytest.raises(DataError, match=r"2 gold answers cannot be read, for example that of 'Two\?': .*'Paris'"):
        grade_run(store, NumericGrader(), "numeric")
    assert store.grader is None


def test_a_corrected_gold_answer_counts(make_run: MakeRun) -> None:
    store = make_run({(0, 0, 0): "9"})
    grade_run(store, NumericGrader(), "numeric")
    store.register([Question(Query("What is 4 plus 4?"), "9")], [])
    assert grade_run(store, NumericGrader(), "numeric").prompts[0].success_rate == 1.0


def test_a_run_without_answers_has_nothing_to_grade(make_run: MakeRun) -> None:
    regrading = grade_run(make_run({}), NumericGrader(), "numeric")
    assert (regrading.n_answers, regrading.prompts[0].success_rate) == (0, None)


def test_it_is_json(make_run: MakeRun) -> None:
    store = make_run(ANSWERS)
    grade_run(store, NumericGrader(), "numeric")
    record = json.loads(json.dumps(grade_run(store, ExactGrader(), "exact").to_dict()))
    assert record["changes"]["correct"] == {"correct": 1, "wrong": 2, "unparsed": 0}
    assert record["examples"][0]["before"] == "correct"
    assert record["prompts"][0]["success_rate_before"] == 1.0
    assert record["n_changed"] == 3


def test_sixteen_thousand_answers_take_seconds(make_run: MakeRun) -> None:
    questions = tuple(Question(Query(f"What is {n} plus {n}?"), str(2 * n)) for n in range(1000))
    prompts = tuple(Prompt.from_text(f"Way {n}.", id=str(n)) for n in range(16))
    steps = "First we add the two numbers, and then we see what comes of it. " * 6
    answer = Completion(f"{steps}So the answer is 20.", "m", "stop")
    cells = ((query, prompt, 0) for query in range(1000) for prompt in range(16))
    store = make_run({cell: replace(answer, latency=0.1) for cell in cells}, questions=questions, prompts=prompts)
    started = time.perf_counter()
    grade_run(store, PublishedGrader(), "published")
    assert time.perf_counter() - started < 20
