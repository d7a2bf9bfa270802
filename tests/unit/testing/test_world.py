from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.grading import get_grader
from prompt_oirl.records import Demonstration, Prompt, Query
from prompt_oirl.testing import SyntheticWorld


@pytest.fixture(scope="module")
def world() -> SyntheticWorld:
    return SyntheticWorld()


def test_the_default_world_has_something_to_win(world: SyntheticWorld) -> None:
    single = np.full(world.n_queries, world.best_single)
    assert world.n_queries >= 1500
    assert world.true_value(single) == pytest.approx(0.6, abs=0.02)
    assert 0.10 < world.true_gain(world.oracle, single) < 0.15


def test_without_interaction_there_is_nothing_to_win() -> None:
    world = SyntheticWorld(n_queries=300, interaction=0.0)
    assert (world.oracle == world.best_single).all()


def test_true_values_are_means_of_success_probabilities(world: SyntheticWorld) -> None:
    rows, choices = np.array([3, 0, 7]), np.array([1, 5, 2])
    queries = [world.queries[row] for row in rows]
    expected = np.average(world.success_probabilities[rows, choices], weights=world.times_asked[rows])
    assert world.true_value(choices, queries=queries) == pytest.approx(expected)
    assert world.true_gain(choices, choices, queries=queries) == 0.0


def test_true_values_are_of_this_worlds_queries_only(world: SyntheticWorld) -> None:
    with pytest.raises(DataError, match="1 queries are not of this world"):
        world.true_value(np.array([0]), queries=[Query("What is the meaning of it all?")])
    with pytest.raises(DataError, match=r"shape \(2,\)"):
        world.true_value(np.array([0, 1]))


def test_demonstrations_are_the_records_counted(world: SyntheticWorld) -> None:
    counted = Demonstrations.from_records(world.records)
    logs = world.demonstrations
    assert (counted.queries, counted.prompts) == (logs.queries, logs.prompts) == (world.queries, world.prompts)
    for name in ("trials", "successes", "unscored"):
        np.testing.assert_array_equal(getattr(counted, name), getattr(logs, name))


def test_success_rates_are_near_the_truth(world: SyntheticWorld) -> None:
    truth = world.times_asked @ world.success_probabilities / world.times_asked.sum()
    assert np.abs(world.demonstrations.success_rates - truth).max() < 4 * 0.5 / np.sqrt(1450)


def test_success_probabilities_are_calibrated_cell_by_cell() -> None:
    world = SyntheticWorld(n_queries=60, repeats=400, missing=0.0)
    z = (world.demonstrations.rewards - world.success_probabilities) / np.sqrt(
        world.success_probabilities * (1 - world.success_probabilities) / world.demonstrations.trials
    )
    assert np.abs(z).max() < 5
    assert np.std(z) == pytest.approx(1.0, abs=0.15)


def test_shares_of_missing_and_unparsable_trials_are_as_asked() -> None:
    world = SyntheticWorld(n_queries=1000, missing=0.2, unparsable=0.1)
    logged = world.demonstrations.trials.sum() + world.demonstrations.unscored.sum()
    assert logged / (6 * world.times_asked.sum()) == pytest.approx(0.8, abs=0.02)
    assert world.demonstrations.unscored.sum() / logged == pytest.approx(0.1, abs=0.02)


def test_every_query_keeps_a_trial_and_the_first_keeps_all() -> None:
    world = SyntheticWorld(n_queries=200, missing=0.99, unparsable=0.0)
    assert (world.demonstrations.trials.sum(axis=1) >= 1).all()
    assert (world.demonstrations.trials[0] == world.times_asked[0]).all()
    assert world.demonstrations.trials[1:].sum() < 1.3 * 199


def test_some_queries_are_asked_twice(world: SyntheticWorld) -> None:
    assert set(world.times_asked) == {1, 2}
    assert np.mean(world.times_asked == 2) == pytest.approx(0.05, abs=0.02)
    assert np.mean(world.demonstrations.repeats == world.times_asked) > 0.999
    assert set(SyntheticWorld(n_queries=200, repeats=3).times_asked) == {3, 6}


def test_written_logs_are_graded_to_the_same_demonstrations(tmp_path: Path) -> None:
    world, grader = SyntheticWorld(n_queries=200, unparsable=0.1), get_grader("numeric")
    world.write_logs(tmp_path / "logs.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "logs.jsonl").read_text(encoding="utf-8").splitlines()]
    assert set(rows[0]) == {"query", "prompt_id", "prompt", "answer", "gold"}
    read = Demonstrations.from_records(
        Demonstration(
            Query(row["query"]),
            Prompt(row["prompt_id"], row["prompt"]),
            grader.grade(row["answer"], row["gold"]).reward,
            row["answer"],
        )
        for row in rows
    )
    for name in ("queries", "prompts"):
        assert getattr(read, name) == getattr(world, name)
    for name in ("trials", "successes", "unscored"):
        np.testing.assert_array_equal(getattr(read, name), getattr(world.demonstrations, name))


def test_a_world_is_its_arguments(tmp_path: Path) -> None:
    first, again, other = (SyntheticWorld(n_queries=50, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.records == again.records
    assert first.records != other.records


@pytest.mark.parametrize(
    "arguments",
    [
        {"n_queries": 1},
        {"interaction": -1.0},
        {"interaction": float("nan")},
        {"repeats": 0},
        {"missing": 1.0},
        {"unparsable": -0.1},
    ],
)
def test_impossible_worlds_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=next(iter(arguments))):
        SyntheticWorld(**arguments)
