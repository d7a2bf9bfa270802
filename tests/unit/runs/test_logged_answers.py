from __future__ import annotations

from collections.abc import Callable

from prompt_oirl.grading import get_grader
from prompt_oirl.runs.grading import grade_run
from prompt_oirl.runs.logged_answers import logged_answers_of
from prompt_oirl.runs.outcomes import Completion, Failure
from prompt_oirl.runs.store import RunStore


def test_answers_have_grades_golds_and_tokens_and_failures_are_passed_over(make_run: Callable[..., RunStore]) -> None:
    no_tokens = Completion("9", "m", "stop", latency=0.1)
    store = make_run({(0, 0, 0): "8", (0, 1, 0): no_tokens, (1, 0, 0): Failure("timeout", "no")})
    assert [each.reward for each in logged_answers_of(store)] == [None, None]
    grade_run(store, get_grader("numeric"), "numeric")
    found = sorted(logged_answers_of(store), key=lambda each: each.prompt_id)
    assert [(each.prompt_id, each.answer, each.gold, each.reward, each.tokens) for each in found] == [
        ("short", "9", "8", 0, None),
        ("think", "8", "8", 1, 15.0),
    ]
    assert found[0].query == "What is 4 plus 4?"
