from __future__ import annotations

import numpy as np
import pytest

from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.records import Prompt, Query
from prompt_oirl.sources.logged_trials import NOT_LOGGED, UNSCORED, LoggedTrials
from prompt_oirl.sources.questions import Question

PROMPTS = tuple(Prompt.from_text(name, id=name) for name in ("a", "b", "c"))


def make(labels: list[list[int]], texts: str = "xyxz", n_train_rows: int = 2) -> LoggedTrials:
    questions = tuple(Question(Query(text), "1") for text in texts)
    return LoggedTrials("llm", "mawps", questions, PROMPTS, np.array(labels, np.int8), n_train_rows)


TRIALS = make([[1, 0, NOT_LOGGED], [0, UNSCORED, NOT_LOGGED], [1, 1, 1], [0, UNSCORED, 0]])


def test_rows_of_one_question_are_counted_together() -> None:
    demonstrations = TRIALS.demonstrations()
    assert [query.text for query in demonstrations.queries] == ["x", "y", "z"]
    assert demonstrations.prompts == PROMPTS
    assert demonstrations.trials.tolist() == [[2, 2, 1], [1, 0, 0], [1, 0, 1]]
    assert demonstrations.successes.tolist() == [[2, 1, 1], [0, 0, 0], [0, 0, 0]]
    assert demonstrations.unscored.tolist() == [[0, 0, 0], [0, 1, 0], [0, 1, 0]]


def test_parts_and_prompts_are_selected() -> None:
    train = TRIALS.demonstrations("train", prompts=[1, 0])
    assert [query.text for query in train.queries] == ["x", "y"]
    assert train.prompt_ids == ("b", "a")
    assert train.trials.tolist() == [[1, 1], [0, 1]]
    test = TRIALS.demonstrations("test", prompts=range(2, 3))
    assert ([query.text for query in test.queries], test.successes.tolist()) == (["x", "z"], [[1], [0]])


def test_rows_without_a_trial_of_the_prompts_are_left_out() -> None:
    assert [query.text for query in TRIALS.demonstrations("all", prompts=[2]).queries] == ["x", "z"]
    with pytest.raises(DataError, match="none of prompts"):
        TRIALS.demonstrations("train", prompts=[2])


def test_counts() -> None:
    assert (TRIALS.n_logged, TRIALS.n_unscored) == (10, 2)


@pytest.mark.parametrize("prompts", [[3], [-1]])
def test_unknown_prompts_are_refused(prompts: list[int]) -> None:
    with pytest.raises(ParameterError, match="prompts 0 to 2"):
        TRIALS.demonstrations(prompts=prompts)


@pytest.mark.parametrize(
    ("labels", "n_train_rows", "problem"),
    [
        ([[1, 1, 1]], 0, "shape"),
        ([[1, 1]] * 4, 0, "shape"),
        ([[1, 1, 1]] * 4, 5, "5 rows are for training"),
        ([[1, 1, 2]] * 4, 0, "the label 2"),
        ([[1, 1, -3]] * 4, 0, "the label -3"),
    ],
)
def test_inconsistent_trials_are_refused(labels: list[list[int]], n_train_rows: int, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        make(labels, n_train_rows=n_train_rows)
