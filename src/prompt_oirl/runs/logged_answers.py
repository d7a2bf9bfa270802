"""The answers of a run, row by row, as those of a file of logs are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prompt_oirl.runs.outcomes import Completion
from prompt_oirl.sources.logged_answers import LoggedAnswer

if TYPE_CHECKING:
    from prompt_oirl.runs.store import RunStore

__all__ = ["logged_answers_of"]


def logged_answers_of(store: RunStore) -> Iterator[LoggedAnswer]:
    """Yield a run's answers with their latest stored grades; failures have none and are passed over."""
    questions = {question.query.id: question for question in store.queries()}
    grades = store.grades() if store.grader is not None else {}
    for stored in store.outcomes():
        outcome = stored.outcome
        if not isinstance(outcome, Completion):
            continue
        question, grade = questions[stored.cell.query_id], grades.get(stored.cell.key)
        tokens = (outcome.prompt_tokens, outcome.completion_tokens)
        yield LoggedAnswer(
            query=question.query.text,
            prompt_id=stored.cell.prompt_id,
            answer=outcome.text,
            gold=question.gold,
            reward=None if grade is None else grade.reward,
            tokens=None if None in tokens else float(sum(each or 0 for each in tokens)),
        )
