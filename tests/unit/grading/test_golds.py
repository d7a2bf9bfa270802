from __future__ import annotations

import pytest

from prompt_oirl.errors import DataError
from prompt_oirl.grading import CallableGrader, Grade, check_golds, get_grader
from prompt_oirl.records import Query, Question


def questions(*golds: str | None) -> list[Question]:
    return [Question(Query(f"What is {n}?"), gold) for n, gold in enumerate(golds)]


def test_golds_that_can_be_read_and_missing_ones_pass() -> None:
    check_golds(questions("1", None, "1,250", "1/2"), get_grader("numeric"), name="numeric")
    check_golds(questions("plenty", "none"), get_grader("exact"), name="exact")
    check_golds([], get_grader("choice"), name="choice")


@pytest.mark.parametrize(
    ("grader", "why"), [("numeric", "no number"), ("published", "no number"), ("choice", "names none")]
)
def test_the_first_gold_that_cannot_be_read_is_named_with_its_query(grader: str, why: str) -> None:
    asked = questions("(B) 1", "plenty", "(B) 1", "some", "plenty")
    with pytest.raises(DataError) as refused:
        check_golds(asked, get_grader(grader), name=grader)
    said = str(refused.value)
    assert f"the grader '{grader}' cannot read 2 of 3 distinct gold answers" in said
    assert f"'plenty', that of the query {asked[1].query.id} 'What is 1?'" in said
    for way_out in (why, "use the grader 'exact'", "correct it in the file of queries", "grade later"):
        assert way_out in said


def test_each_distinct_gold_is_read_once_and_with_an_answer_that_is_not_blank() -> None:
    read: list[str] = []

    def function(answer: str, gold: str) -> Grade:
        assert answer.strip()
        read.append(gold)
        return Grade.WRONG

    check_golds(questions("1", "2", "1", None, "2"), CallableGrader(function), name="mine")
    assert read == ["1", "2"]
