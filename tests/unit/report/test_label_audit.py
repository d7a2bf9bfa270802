from __future__ import annotations

import pytest

from prompt_oirl.errors import DataError
from prompt_oirl.report.label_audit import audit_labels
from prompt_oirl.sources.logged_answers import LoggedAnswer


def row(prompt: str, answer: str | None, gold: str | None, reward: int | None) -> LoggedAnswer:
    return LoggedAnswer("How many?", prompt, answer, gold, reward, None)


def test_signs_and_thousands_are_where_the_graders_part() -> None:
    found = audit_labels(
        [
            row("a", "The answer is 5,000.", "5000", 0),  # the paper's grader reads 000 as 0
            row("a", "The answer is 7.", "7", 1),
            row("b", "The answer is -5.", "5", 1),  # the paper's grader reads 5
            row("b", "I do not know.", "5", 0),  # strictly unreadable, not wrong
        ],
        ["a", "b", "never tried"],
    )
    assert found.graders == ("numeric", "published")
    assert found.n_answers == 4
    assert found.n_disagreements == (2, 0)
    assert (found.n_wrong_to_right, found.n_right_to_wrong, found.n_unreadable) == (1, 1, 1)
    assert [(each.prompt_id, each.labelled, each.by_grader) for each in found.prompts] == [
        ("a", 0.5, (1.0, 0.5)),
        ("b", 0.5, (0.0, 0.5)),
    ]
    assert [each.label for each in found.examples] == [0, 1]
    assert found.to_dict()["best_prompts"] == ("a", "a", "a")


def test_texts_are_compared_as_texts() -> None:
    found = audit_labels([row("a", "Paris", "paris", 0), row("a", "Rome", "Rome", 1)], ["a"])
    assert found.graders == ("exact:folded", "exact")
    assert found.n_disagreements == (1, 0)


def test_a_grader_that_made_the_labels_is_audited_by_others() -> None:
    rows = [row("a", "The answer is 5,000.", "5000", None), row("a", "The answer is 7.", "7", 0)]
    found = audit_labels(rows, ["a"], labels_by="numeric")
    assert found.labels_by == "numeric"
    assert found.n_answers == 2
    assert found.n_disagreements == (0, 1)
    with pytest.raises(DataError, match="a label"):
        audit_labels(rows[:1], ["a"])


def test_rows_without_answer_gold_or_label_are_passed_over() -> None:
    rows = [row("a", None, "5", 1), row("a", "5", None, 1), row("a", "5", "5", None), row("a", "5", "5", 1)]
    assert audit_labels(rows, ["a"]).n_answers == 1
    with pytest.raises(DataError, match="labels could not be checked"):
        audit_labels(rows[:3], ["a"])
