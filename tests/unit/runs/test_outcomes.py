from __future__ import annotations

from typing import Any

import pytest

from prompt_oirl.errors import ParameterError
from prompt_oirl.runs.outcomes import FAILURE_KINDS, Completion, Failure
from prompt_oirl.runs.spending import Spending


def test_a_completion_may_be_empty_and_uncounted() -> None:
    completion = Completion("", "a-model")
    assert (completion.prompt_tokens, completion.completion_tokens, completion.attempts) == (None, None, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": None},
        {"text": b"4"},
        {"prompt_tokens": -1},
        {"completion_tokens": -1},
        {"latency": -0.1},
        {"attempts": 0},
    ],
)
def test_a_completion_is_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        Completion(**{"text": "4", "model": "a-model"} | wrong)


@pytest.mark.parametrize("kind", FAILURE_KINDS)
def test_every_kind_of_failure_can_be_made(kind: Any) -> None:
    assert Failure(kind, "said so").kind == kind


def test_a_failure_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"rate_limit.*'tired'"):
        Failure("tired", "said so")  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"prompt_tokens": -1}, {"completion_tokens": -1}])
def test_a_failures_tokens_are_not_negative(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match="at least 0"):
        Failure("no_content", "filtered", **wrong)


def test_a_failure_has_an_attempt() -> None:
    with pytest.raises(ParameterError, match="got 0"):
        Failure("timeout", "60 s", attempts=0)


def test_tokens_are_those_of_prompts_and_completions() -> None:
    assert Spending(prompt_tokens=3, completion_tokens=4).tokens == 7


def test_spending_as_a_record_names_the_tokens_together() -> None:
    record = Spending(5, 3, 1, prompt_tokens=30, completion_tokens=4, uncounted=1).to_dict()
    assert record == {
        "requests": 5,
        "answered": 3,
        "failed": 1,
        "prompt_tokens": 30,
        "completion_tokens": 4,
        "uncounted": 1,
        "tokens": 34,
    }
