from __future__ import annotations

import math

import numpy as np
import pytest

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError
from prompt_oirl.records import Prompt, Query
from prompt_oirl.sources.logged_decisions import LoggedDecisions

QUERIES = (Query("How many?"), Query("How far?"))
PROMPTS = (Prompt.from_text("Think.", id="a"), Prompt.from_text("Answer.", id="b"))


def make(**changed) -> LoggedDecisions:
    arguments = {
        "queries": QUERIES,
        "prompts": PROMPTS,
        "rows": [0, 1, 0],
        "chosen": [0, 1, 1],
        "rewards": [1, math.nan, 0.5],
        "propensities": [0.7, 0.2, 1.0],
    }
    return LoggedDecisions(**(arguments | changed))


def test_decisions_are_arrays_of_equal_length() -> None:
    made = make()
    assert (made.n_decisions, made.n_queries, made.n_prompts, made.prompt_ids) == (3, 2, 2, ("a", "b"))
    assert made.groups().tolist() == [0, 1]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rows": [0, 1, 2]}, "rows run from 0 to 2"),
        ({"rows": [[0, 1, 0]]}, "rows have shape"),
        ({"chosen": [0, 1, -1]}, "chosen run from -1"),
        ({"chosen": [0, 1]}, "chosen have shape"),
        ({"rewards": [1, 0]}, "rewards have shape"),
        ({"rewards": [1, 0, 1.5]}, r"decision 2: the reward is 1\.5; from 0 to 1, or NaN"),
        ({"rewards": [1, -0.5, 1]}, "decision 1: the reward"),
        ({"propensities": [0.7, 0.0, 1]}, "decision 1: the propensity is 0; above 0"),
        ({"propensities": [0.7, 1.1, 1]}, "the propensity is 1.1"),
        ({"propensities": [0.7, math.nan, 1]}, "the propensity is nan"),
        ({"propensities": [0.7, 0.1]}, "propensities have shape"),
        ({"propensity_of": "prompt"}, "'choice' or 'cell'"),
        ({"queries": (QUERIES[0], QUERIES[0])}, "2 queries are only 1"),
        ({"prompts": (PROMPTS[0], PROMPTS[0])}, "2 prompts are only 1"),
        ({"action_probabilities": [[0.7, 0.3], [0.8, 0.2], [0, 1], [0, 1]]}, "action_probabilities have shape"),
        ({"action_probabilities": [[0.7, 0.3], [0.9, 0.2], [0, 1]]}, r"decision 1: the sum .* is 1\.1; 1, over"),
        ({"action_probabilities": [[0.7, 0.3], [1.2, -0.2], [0, 1]]}, "at least 0"),
        ({"action_probabilities": [[0.7, 0.3], [0.6, 0.4], [0, 1]]}, "decision 1: .* the decision's propensity"),
        ({"action_probabilities": [[0, 1], [0.8, 0.2], [0, 1]], "propensities": None}, "propensity is 0; above 0"),
        ({"action_probabilities": [[0.7, 0.3], [0.8, 0.2], [0, 1]], "propensity_of": "cell"}, "cells"),
    ],
)
def test_what_is_wrong_is_an_error(changed, message) -> None:
    with pytest.raises(DataError, match=message):
        make(**changed)


def test_propensities_are_taken_from_all_probabilities() -> None:
    made = make(propensities=None, action_probabilities=[[0.7, 0.3], [0.8, 0.2], [0, 1]])
    assert made.propensities is not None
    assert made.propensities.tolist() == [0.7, 0.2, 1.0]


def test_select_queries_keeps_their_decisions() -> None:
    made = make(action_probabilities=[[0.7, 0.3], [0.8, 0.2], [0, 1]])
    kept = made.select_queries(np.array([1]))
    assert kept.queries == QUERIES[1:]
    assert (kept.rows.tolist(), kept.chosen.tolist(), kept.propensities.tolist()) == ([0], [1], [0.2])
    assert kept.action_probabilities.tolist() == [[0.8, 0.2]]
    turned = make().select_queries(np.array([1, 0]))
    assert turned.rows.tolist() == [1, 0, 1]


def test_with_prompts_adds_those_that_were_never_chosen() -> None:
    made = make(action_probabilities=[[0.7, 0.3], [0.8, 0.2], [0, 1]])
    more = made.with_prompts([PROMPTS[1], Prompt.from_text("New.", id="c")])
    assert more.prompt_ids == ("a", "b", "c")
    assert more.action_probabilities[0].tolist() == [0.7, 0.3, 0]
    with pytest.raises(DataError, match=r"'a' stands for 'Think\.' .* 'Other\.'.*--prompts"):
        made.with_prompts([Prompt.from_text("Other.", id="a")])


def test_of_grid_has_every_trial_with_propensity_1() -> None:
    trials, successes, unscored = np.array([[2, 1], [0, 3]]), np.array([[1, 1], [0, 0]]), np.array([[0, 0], [1, 0]])
    made = LoggedDecisions.of_grid(Demonstrations(QUERIES, PROMPTS, trials, successes, unscored))
    assert made.propensity_of == "cell"
    assert made.propensities.tolist() == [1.0] * 7
    counted = np.zeros((2, 2))
    np.add.at(counted, (made.rows, made.chosen), np.nan_to_num(made.rewards))
    assert (counted == successes).all()
    assert np.isnan(made.rewards).sum() == 1
