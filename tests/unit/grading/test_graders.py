from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.grading import CallableGrader, ExactGrader, Grade, Grader, PublishedGrader, RegexGrader, get_grader

CORRECT, WRONG, UNPARSED = Grade.CORRECT, Grade.WRONG, Grade.UNPARSED


def test_rewards_of_grades() -> None:
    assert [grade.reward for grade in (CORRECT, WRONG, UNPARSED)] == [1, 0, None]


@pytest.mark.parametrize(
    ("answer", "gold", "grade"),
    [
        ("18", "18", CORRECT),
        ("The total is 18.00 dollars", "#### 18", CORRECT),
        ("5,000", "1,000", CORRECT),  # what is wrong with it, kept
        ("-5", "5", CORRECT),
        ("18 dollars. (3 steps)", "18", WRONG),
        ("none", "18", WRONG),
        (".5", "0.5", CORRECT),
    ],
)
def test_published(answer: str, gold: str, grade: Grade) -> None:
    assert PublishedGrader().grade(answer, gold) is grade


def test_published_needs_a_number_in_the_gold_answer() -> None:
    with pytest.raises(DataError, match="'five' has no number"):
        PublishedGrader().grade("5", "five")


@pytest.mark.parametrize(
    ("answer", "gold", "strict", "folded"),
    [
        ("yes", "yes", CORRECT, CORRECT),
        (" yes\n", "yes", CORRECT, CORRECT),
        ("Yes", "yes", WRONG, CORRECT),
        ("New  York", "new york", WRONG, CORRECT),
        ("STRASSE", "straße", WRONG, CORRECT),
        ("yes.", "yes", WRONG, WRONG),
        (" ", "yes", UNPARSED, UNPARSED),
    ],
)
def test_exact(answer: str, gold: str, strict: Grade, folded: Grade) -> None:
    assert ExactGrader().grade(answer, gold) is strict
    assert ExactGrader(folded=True).grade(answer, gold) is folded


@given(st.text(), st.text())
def test_exact_is_equality_of_stripped_texts(answer: str, gold: str) -> None:
    if gold.strip() and answer.strip():
        assert (ExactGrader().grade(answer, gold) is CORRECT) == (answer.strip() == gold.strip())


@pytest.mark.parametrize(
    ("pattern", "answer", "gold", "grade"),
    [
        (r"answer: (\w+)", "answer: no. answer: yes", "yes", CORRECT),
        (r"answer: (\w+)", "answer: no", "yes", WRONG),
        (r"answer: (\w+)", "yes", "yes", UNPARSED),
        (r"\d+", "7 or 18", "18", CORRECT),
        (r"#### (\d+)", "#### 18", "so\n#### 18", CORRECT),
        (r"a(b)?", "a", "b", UNPARSED),
        (r"<(.*?)>", "< yes >", "yes", CORRECT),
    ],
)
def test_regex(pattern: str, answer: str, gold: str, grade: Grade) -> None:
    assert get_grader(f"regex:{pattern}").grade(answer, gold) is grade


@pytest.mark.parametrize("pattern", ["(", "", "*a"])
def test_a_bad_pattern_is_an_error(pattern: str) -> None:
    with pytest.raises(ParameterError):
        get_grader(f"regex:{pattern}")


@pytest.mark.parametrize("grader", [ExactGrader(), RegexGrader(r"\d+")])
def test_a_blank_gold_answer_is_an_error(grader: Grader) -> None:
    with pytest.raises(DataError, match="is blank"):
        grader.grade("18", "  ")


@pytest.mark.parametrize(
    ("result", "grade"),
    [(True, CORRECT), (False, WRONG), (None, UNPARSED), (np.bool_(True), CORRECT), (UNPARSED, UNPARSED)],
)
def test_callable(result: object, grade: Grade) -> None:
    assert CallableGrader(lambda answer, gold: result).grade("a", "b") is grade  # type: ignore[arg-type, return-value]


def test_a_callable_gets_the_answer_and_the_gold_answer() -> None:
    assert CallableGrader(lambda answer, gold: answer.startswith(gold)).grade("ab", "a") is CORRECT


@pytest.mark.parametrize("result", [1, 0.5, "yes"])
def test_a_callable_that_returns_something_else_is_an_error(result: object) -> None:
    with pytest.raises(ParameterError, match="returned"):
        CallableGrader(lambda answer, gold: result).grade("a", "b")  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("name", ["published", "numeric", "exact", "exact:folded", "choice", "regex:x"])
def test_graders_by_name(name: str) -> None:
    assert isinstance(get_grader(name), Grader)
    assert get_grader(name) == get_grader(name)


@pytest.mark.parametrize("name", ["", "Numeric", "regexp:x", "regex"])
def test_unknown_names_are_errors(name: str) -> None:
    with pytest.raises(ParameterError, match="use one of choice, exact"):
        get_grader(name)
