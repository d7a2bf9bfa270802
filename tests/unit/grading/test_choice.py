from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.grading import ChoiceGrader, Grade

CORRECT, WRONG, UNPARSED = Grade.CORRECT, Grade.WRONG, Grade.UNPARSED

TABLE = [
    ("B", "B", CORRECT),
    ("b", "B", CORRECT),
    ("(B)", "B", CORRECT),
    ("[B]", "(B)", CORRECT),
    ("B.", "B", CORRECT),
    ("B) Paris", "B", CORRECT),
    ("B. Paris", "B. Paris", CORRECT),
    ("**B**", "B", CORRECT),
    (r"\boxed{B}", "B", CORRECT),
    (r"\boxed{\text{B}}", "B", CORRECT),
    ("Answer: B", "B", CORRECT),
    ("Answer:\nD", "D", CORRECT),
    ("the answer is b", "B", CORRECT),
    ("The answer is (b), Paris.", "B", CORRECT),
    ("The answer is A because it fits", "A", CORRECT),
    ("The answer is: **C. 42**", "C", CORRECT),
    ("The correct option is D", "D", CORRECT),
    ("The answer is option e.", "E", CORRECT),
    ("I choose option C.", "C", CORRECT),
    ("I think it's (c)", "C", CORRECT),
    ("I'd say B.", "B", CORRECT),
    ("A dog is B", "B", CORRECT),
    ("Option A is wrong. The answer is B", "B", CORRECT),
    ("The answer is A. No, the answer is B", "B", CORRECT),
    ("A. Paris\nB. Rome\nThe answer is B", "B", CORRECT),
    ("C", "B", WRONG),
    ("(A) it is", "B", WRONG),
    ("", "B", UNPARSED),
    ("F", "B", UNPARSED),
    ("Because", "B", UNPARSED),
    ("C'mon", "C", UNPARSED),
    ("A cat", "A", UNPARSED),
    ("the answer is a dog", "A", UNPARSED),
    ("(A) is wrong, (B) is right", "B", UNPARSED),
    ("A. Paris\nB. Rome", "A", UNPARSED),
    ("answers B and C", "B", UNPARSED),
    ("the answer is not B", "B", UNPARSED),
]


@pytest.mark.parametrize(("answer", "gold", "grade"), TABLE)
def test_table(answer: str, gold: str, grade: Grade) -> None:
    assert ChoiceGrader().grade(answer, gold) is grade


@given(
    st.sampled_from("ABCDE"),
    st.sampled_from("ABCDE"),
    st.sampled_from(
        ["{}", "({})", "{}.", "Answer: {}", "the answer is ({}).", r"\boxed{{{}}}", "It must be option {}"]
    ),
)
def test_letters_in_every_layout(letter: str, gold: str, layout: str) -> None:
    assert ChoiceGrader().grade(layout.format(letter), gold) is (CORRECT if letter == gold else WRONG)


def test_other_letters() -> None:
    assert ChoiceGrader("ABCDEFGHIJ").grade("(J)", "J") is CORRECT
    assert ChoiceGrader("AB").grade("(C)", "A") is UNPARSED
    for letters in ("A", "AA", "ab", ""):
        with pytest.raises(ParameterError, match="capital letters"):
            ChoiceGrader(letters)


def test_a_gold_answer_without_a_choice_is_an_error() -> None:
    with pytest.raises(DataError, match="'Paris' names none of the choices A, B, C, D, E"):
        ChoiceGrader().grade("A", "Paris")
