from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from prompt_oirl.grading import NumericGrader
from prompt_oirl.runs.cells import Cell
from prompt_oirl.runs.grading import grade_run
from prompt_oirl.runs.outcomes import Completion, Failure
from prompt_oirl.runs.store import RunStore, StoredOutcome
from prompt_oirl.runs.summary import summary_of

MakeRun = Callable[..., RunStore]

ANSWERS = {
    (0, 0, 0): "It is 8.",
    (0, 1, 0): "9",
    (1, 0, 0): Completion("It is 10", "test-model-2", "length", 12, 64, 1.5, 2),
    (1, 1, 0): Failure("server_error", "no luck", 503, attempts=6),
}


def test_a_half_finished_run_is_counted(make_run: MakeRun) -> None:
    store = make_run(ANSWERS)
    summary = summary_of(store)
    assert (summary.model, summary.base_url) == ("test-model", "http://localhost:1/v1")
    assert (summary.n_queries, summary.n_queries_asked, summary.n_answers, summary.n_failures) == (3, 2, 3, 1)
    assert summary.failures == {"server_error": 1}
    assert (summary.n_cut, summary.n_planned) == (1, 0)
    assert summary.models == {"test-model-1": 2, "test-model-2": 1}
    assert summary.mean_latency == pytest.approx(2.5 / 3)
    assert (summary.spending.requests, summary.spending.tokens) == (10, 106)
    assert summary.spending_on_critiques.requests == 0
    assert (summary.grader, summary.n_ungraded) == (None, 3)
    assert [prompt.success_rate for prompt in summary.prompts] == [None, None]


def test_a_graded_run_has_success_rates(make_run: MakeRun) -> None:
    store = make_run(ANSWERS)
    grade_run(store, NumericGrader(), "numeric")
    summary = summary_of(store)
    assert (summary.grader, summary.n_ungraded) == ("numeric", 0)
    assert [prompt.success_rate for prompt in summary.prompts] == [1.0, 0.0]
    assert [(prompt.n_answers, prompt.n_failures) for prompt in summary.prompts] == [(2, 0), (1, 1)]


def test_planned_cells_and_critiques_are_counted_apart(make_run: MakeRun) -> None:
    store = make_run(ANSWERS)
    answer = next(iter(store.outcomes())).cell
    store.plan([Cell(b"p" * 16, answer.query_id, answer.prompt_id, 7, propensity=0.1)])
    critique = Cell(b"c" * 16, answer.query_id, answer.prompt_id, purpose="critique", subject=answer.key)
    store.save([StoredOutcome(critique, Completion("correct", "m", "stop", 20, 3, 0.1))])
    summary = summary_of(store)
    assert (summary.n_planned, summary.n_answers) == (1, 3)
    assert (summary.spending_on_critiques.requests, summary.spending_on_critiques.tokens) == (1, 23)


def test_a_run_that_has_just_begun_is_counted(make_run: MakeRun) -> None:
    summary = summary_of(make_run({}))
    assert (summary.n_answers, summary.n_failures, summary.mean_latency) == (0, 0, None)


def test_it_is_json(make_run: MakeRun) -> None:
    record = json.loads(json.dumps(summary_of(make_run(ANSWERS)).to_dict()))
    assert record["spending"]["tokens"] == 106
    assert record["prompts"][0]["success_rate"] is None
    assert record["n_failures"] == 1
