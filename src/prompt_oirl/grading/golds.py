"""Gold answers that a grader cannot read, found before anything is graded by them."""

from __future__ import annotations

from collections.abc import Iterable

from prompt_oirl.errors import DataError
from prompt_oirl.grading.protocol import Grader
from prompt_oirl.records import Question

__all__ = ["check_golds"]

_ANY_ANSWER = "?"
"""Not blank, for a grader may pass over a blank answer without a look at the gold one."""


def check_golds(questions: Iterable[Question], grader: Grader, *, name: str) -> None:
    """Have a grader read every distinct gold answer; queries without one are passed over.

    Args:
        questions: What is to be graded.
        grader: Compares an answer with a gold answer.
        name: The grader's, to be shown.

    Raises:
        DataError: Gold answers cannot be read; with their number, the first one's query, and the way out.
    """
    first_of_gold: dict[str, Question] = {}
    for question in questions:
        if question.gold is not None:
            first_of_gold.setdefault(question.gold, question)
    problems = {gold: problem for gold in first_of_gold if (problem := _problem(gold, grader)) is not None}
    for gold, problem in problems.items():
        query = first_of_gold[gold].query
        raise DataError(
            f"the grader {name!r} cannot read {len(problems)} of {len(first_of_gold)} distinct gold answers, for "
            f"example {gold[:80]!r}, that of the query {query.id} {query.text[:80]!r}: {problem}; or correct it in the "
            "file of queries; or leave the grader out now, and grade later"
        )


def _problem(gold: str, grader: Grader) -> str | None:
    """Return why a gold answer cannot be read; None where it can."""
    try:
        grader.grade(_ANY_ANSWER, gold)
    except DataError as error:
        return str(error)
    return None
