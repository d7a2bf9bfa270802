from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.evaluation import gain, win_map

Make = Callable[..., Demonstrations]


def test_win_map_says_for_each_prompt_how_often_and_how_good(make_demonstrations: Make) -> None:
    logs = make_demonstrations([[1, 0, 0]] * 2 + [[0, 1, 0]] * 3 + [[1, 0, 0]], [[1, 1, 1]] * 5 + [[1, 0, 1]])
    entries = win_map(logs, np.array([0, 0, 1, 1, 1, 1]), np.zeros(6, int), groups=logs.groups())
    assert [entry.prompt_id for entry in entries] == ["p0", "p1", "p2"]
    assert [entry.n_queries for entry in entries] == [2, 4, 0]
    assert [entry.share for entry in entries] == pytest.approx([2 / 6, 4 / 6, 0])
    first, second, third = entries
    assert first.gain is not None
    assert (first.gain.value, first.gain.low, first.gain.high) == (0.0, 0.0, 0.0)
    assert second.value is not None
    assert second.baseline_value is not None
    assert second.gain is not None
    assert (second.value.value, second.baseline_value.value, second.gain.value) == (1.0, 0.0, 1.0)
    assert (second.value.n_queries, second.gain.n_queries, second.gain.n_left_out) == (3, 3, 1)
    assert (third.value, third.baseline_value, third.gain) == (None, None, None)


def test_values_rest_on_the_queries_that_both_prompts_were_tried_on(make_demonstrations: Make) -> None:
    logs = make_demonstrations([[0, 1], [1, 1], [0, 0], [0, 0]], [[1, 1], [1, 1], [0, 1], [0, 1]])
    entry = win_map(logs, np.ones(4, int), np.zeros(4, int), groups=logs.groups())[1]
    assert entry.value is not None
    assert entry.baseline_value is not None
    assert (entry.value.value, entry.value.n_queries, entry.value.n_left_out) == (1.0, 2, 2)
    assert (entry.baseline_value.value, entry.baseline_value.n_queries) == (0.5, 2)


def test_the_parts_of_the_win_map_make_the_gain(make_demonstrations: Make) -> None:
    rng = np.random.default_rng(0)
    trials = np.repeat(rng.integers(1, 4, 90)[:, None], 3, axis=1)
    logs = make_demonstrations(rng.binomial(trials, 0.5), trials)
    choices, baseline, groups = rng.integers(0, 3, 90), np.ones(90, int), logs.groups()
    parts = [entry.share * entry.gain.value for entry in win_map(logs, choices, baseline, groups=groups) if entry.gain]
    assert sum(parts) == pytest.approx(gain(logs, choices, baseline, groups=groups).value)


def test_one_group_is_not_enough_for_a_value(make_demonstrations: Make) -> None:
    logs = make_demonstrations([[1, 0], [1, 0], [1, 0]])
    entries = win_map(logs, np.array([0, 0, 1]), np.zeros(3, int), groups=np.array([4, 4, 7]))
    assert [entry.value for entry in entries] == [None, None]
    assert json.loads(json.dumps(entries[0].to_dict()))["n_queries"] == 2
