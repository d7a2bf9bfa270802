from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.evaluation import (
    average_gain,
    average_value,
    chosen_rewards,
    gain,
    oracle_choices,
    policy_value,
    random_prompt_value,
    regret,
    share_of_inflated_headroom,
)
from prompt_oirl.testing import SyntheticWorld

Make = Callable[..., Demonstrations]


def single(demonstrations: Demonstrations, prompt: int) -> np.ndarray:
    return np.full(demonstrations.n_queries, prompt)


def test_chosen_rewards_are_means_of_the_chosen_cells(make_demonstrations: Make) -> None:
    logs = make_demonstrations([[1, 0], [1, 3], [0, 0]], [[2, 1], [1, 4], [0, 1]])
    np.testing.assert_array_equal(chosen_rewards(logs, np.array([0, 1, 0])), [0.5, 0.75, np.nan])


@pytest.mark.parametrize(
    "choices", [np.array([0, 2]), np.array([-1, 0]), np.array([0]), np.array([0.0, 1.0]), np.array([[0, 1]])]
)
def test_choices_are_one_prompt_index_for_each_query(make_demonstrations: Make, choices: np.ndarray) -> None:
    with pytest.raises(ParameterError, match="choices"):
        chosen_rewards(make_demonstrations([[1, 0], [0, 1]]), choices)


def test_the_value_of_one_prompt_is_its_success_rate_over_the_rows_of_the_log(make_demonstrations: Make) -> None:
    trials = np.array([[3, 3], [1, 1], [2, 2]])
    logs = make_demonstrations([[3, 0], [0, 1], [1, 2]], trials)
    for prompt in (0, 1):
        value = policy_value(logs, single(logs, prompt), groups=logs.groups())
        assert value.value == pytest.approx(logs.success_rates[prompt])
        assert (value.n_queries, value.n_trials, value.n_left_out) == (3, 6, 0)


def test_a_value_stays_between_0_and_1(make_demonstrations: Make) -> None:
    logs = make_demonstrations([[1, 0]] * 3)
    assert policy_value(logs, single(logs, 0), groups=logs.groups()).high == 1.0
    assert policy_value(logs, single(logs, 1), groups=logs.groups()).low == 0.0


def test_a_value_within_some_queries_rests_on_them(make_demonstrations: Make) -> None:
    logs = make_demonstrations([[1, 0], [0, 1], [1, 1], [0, 0]])
    value = policy_value(logs, single(logs, 0), groups=logs.groups(), within=np.array([True, False, True, False]))
    assert (value.value, value.n_queries, value.n_trials, value.n_left_out) == (1.0, 2, 2, 2)


def test_an_average_value_of_one_run_rests_on_all_queries_where_its_prompt_was_tried() -> None:
    logs = SyntheticWorld(n_queries=200, missing=0.5, seed=2).demonstrations
    groups = logs.groups()
    choices, single = np.random.default_rng(0).integers(0, 3, 200), np.zeros(200, dtype=int)
    for each in (choices, single):
        assert average_value(logs, [each], groups=groups) == policy_value(logs, each, groups=groups)


def test_runs_are_averaged_query_by_query() -> None:
    logs = SyntheticWorld(n_queries=100, missing=0.0, unparsable=0.0).demonstrations
    groups, runs = logs.groups(), np.random.default_rng(1).integers(0, 3, (4, 100))
    value = average_value(logs, list(runs), groups=groups)
    of_runs = [policy_value(logs, choices, groups=groups).value for choices in runs]
    assert value.value == pytest.approx(np.mean(of_runs))
    assert value.n_queries == 100


def test_gain_is_the_difference_of_the_values_where_nothing_is_missing(make_demonstrations: Make) -> None:
    rng = np.random.default_rng(0)
    trials = np.repeat(rng.integers(1, 4, 60)[:, None], 3, axis=1)
    logs = make_demonstrations(rng.binomial(trials, [0.3, 0.5, 0.7]), trials)
    choices, baseline, groups = rng.integers(0, 3, 60), single(logs, 1), logs.groups()
    expected = policy_value(logs, choices, groups=groups).value - policy_value(logs, baseline, groups=groups).value
    assert gain(logs, choices, baseline, groups=groups).value == pytest.approx(expected)


def test_gain_is_paired(make_demonstrations: Make) -> None:
    # Whether a query is easy moves both prompts alike: paired, this says nothing about their difference.
    rng = np.random.default_rng(1)
    easy = np.repeat(rng.integers(0, 2, 400)[:, None], 2, axis=1)
    easy[:20, 1] = 1 - easy[:20, 1]
    logs = make_demonstrations(easy)
    paired = gain(logs, single(logs, 1), single(logs, 0), groups=logs.groups())
    value = policy_value(logs, single(logs, 1), groups=logs.groups())
    assert paired.high - paired.low < 0.5 * (value.high - value.low)


def test_gain_over_itself_is_exactly_nothing(make_demonstrations: Make) -> None:
    logs = make_demonstrations(np.random.default_rng(2).integers(0, 2, (50, 3)))
    choices = np.random.default_rng(3).integers(0, 3, 50)
    for method in ("normal", "bootstrap"):
        found = gain(logs, choices, choices, groups=logs.groups(), method=method)
        assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


def test_gain_leaves_out_queries_where_either_prompt_was_not_tried(make_demonstrations: Make) -> None:
    logs = make_demonstrations([[1, 0], [0, 0], [0, 0], [0, 1]], [[1, 1], [0, 1], [1, 0], [1, 1]])
    found = gain(logs, np.array([0, 0, 0, 1]), np.array([1, 1, 1, 1]), groups=logs.groups())
    assert (found.n_queries, found.n_left_out) == (2, 2)
    assert found.n_trials == 3  # query 0: both prompts; query 3: the one prompt that both chose
    assert found.value == pytest.approx(3 / 4 * 1)  # they differ on three of four queries, by 1 where that is known


def test_a_gain_is_the_share_of_other_choices_times_what_they_gain(make_demonstrations: Make) -> None:
    """As if only queries of which both prompts were tried were there, and counted as many as all that are like them."""
    rng = np.random.default_rng(6)
    successes, choices = rng.integers(0, 2, (400, 2)), (rng.random(400) < 0.3).astype(int)
    trials = (rng.random((400, 2)) < 0.6).astype(int)
    logs = make_demonstrations(successes * trials, trials)
    found = gain(logs, choices, single(logs, 0), groups=logs.groups())
    measured = np.flatnonzero((choices == 1) & trials.all(axis=1))
    of_measured = gain(logs.select_queries(measured), choices[measured], single(logs, 0)[measured], groups=measured)
    share = np.average(choices, weights=logs.repeats)
    assert found.value == pytest.approx(share * of_measured.value)
    assert share * of_measured.low == pytest.approx(found.low, abs=0.01)
    assert found.n_left_out == ((choices == 1) & ~trials.all(axis=1)).sum()


@pytest.mark.parametrize("missing", [0.3, 0.6])
def test_gains_of_trials_missing_at_random_are_not_drawn_to_0(missing: float, make_demonstrations: Make) -> None:
    """The true gain is 0.06: another prompt for a fifth of the queries, by 0.3. Means of 200 logs."""
    rng = np.random.default_rng(7)
    found = []
    for _ in range(200):
        choices = (rng.random(500) < 0.2).astype(int)
        successes = (rng.random((500, 2)) < np.array([0.4, 0.7])).astype(int)
        trials = (rng.random((500, 2)) >= missing).astype(int)
        logs = make_demonstrations(successes * trials, trials)
        found.append(gain(logs, choices, single(logs, 0), groups=logs.groups()))
    values = np.array([each.value for each in found])
    assert abs(values.mean() - 0.06) < 3 * values.std() / np.sqrt(len(values))
    assert np.mean([each.low <= 0.06 <= each.high for each in found]) >= 0.9


def test_where_no_other_choice_was_ever_compared_the_interval_says_so(make_demonstrations: Make) -> None:
    tried = np.arange(60) % 2
    trials = np.column_stack([1 - tried, tried])
    logs = make_demonstrations(trials, trials)
    found = gain(logs, np.where(np.arange(60) < 30, 1, 0), single(logs, 0), groups=logs.groups())
    assert (found.value, found.n_left_out) == (0.0, 30)
    assert found.low == pytest.approx(-found.high)
    assert found.high > 0.5


@pytest.mark.parametrize("n_folds", [None, 5])
def test_no_interval_goes_beyond_the_share_of_other_choices(n_folds: int | None, make_demonstrations: Make) -> None:
    """Of 8 in 200 queries that get another prompt two are known: one says all is gained by it, the other nothing."""
    choices = (np.arange(200) < 8).astype(int)
    trials = np.ones((200, 2), dtype=int)
    trials[2:8, 1] = 0
    successes = trials * np.column_stack([np.zeros(200), np.arange(200) == 0]).astype(int)
    logs = make_demonstrations(successes, trials)
    runs = [(choices, single(logs, 0)), (1 - choices, 1 - single(logs, 0))]
    for pairs in (runs[:1], runs):
        found = average_gain(logs, pairs, groups=logs.groups(), n_folds=n_folds)
        assert 0.04 < found.high < 0.08
        assert found.low == -found.high
    assert found.low <= found.value <= found.high


def test_gain_changes_sign_with_the_roles(make_demonstrations: Make) -> None:
    logs = make_demonstrations(np.random.default_rng(4).integers(0, 2, (80, 2)))
    forth = gain(logs, single(logs, 1), single(logs, 0), groups=logs.groups())
    back = gain(logs, single(logs, 0), single(logs, 1), groups=logs.groups())
    assert (forth.value, forth.low, forth.high) == pytest.approx((-back.value, -back.high, -back.low))


def test_gain_does_not_depend_on_the_order_of_the_queries(make_demonstrations: Make) -> None:
    rng = np.random.default_rng(5)
    logs = make_demonstrations(rng.integers(0, 2, (60, 3)))
    choices, groups, order = rng.integers(0, 3, 60), rng.integers(0, 20, 60), rng.permutation(60)
    found = gain(logs, choices, single(logs, 0), groups=groups)
    shuffled = gain(logs.select_queries(order), choices[order], single(logs, 0), groups=groups[order])
    assert (shuffled.value, shuffled.low) == pytest.approx((found.value, found.low))


def test_gain_without_any_pair_of_trials_is_refused(make_demonstrations: Make) -> None:
    logs = make_demonstrations([[1, 0], [1, 0]], [[1, 0], [1, 0]])
    with pytest.raises(DataError, match="0 of 2 queries"):
        gain(logs, single(logs, 1), single(logs, 0), groups=logs.groups())


def test_average_gain_is_the_mean_of_the_runs_gains(make_demonstrations: Make) -> None:
    rng = np.random.default_rng(6)
    logs = make_demonstrations(rng.integers(0, 2, (100, 3)))
    runs = [(rng.integers(0, 3, 100), rng.integers(0, 3, 100)) for _ in range(4)]
    gains = [gain(logs, *run, groups=logs.groups()).value for run in runs]
    assert average_gain(logs, runs, groups=logs.groups()).value == pytest.approx(np.mean(gains))


def test_runs_are_no_further_evidence(make_demonstrations: Make) -> None:
    rng = np.random.default_rng(7)
    logs = make_demonstrations(rng.integers(0, 2, (100, 3)))
    run = (rng.integers(0, 3, 100), single(logs, 0))
    assert average_gain(logs, [run] * 5, groups=logs.groups()) == gain(logs, *run, groups=logs.groups())


def test_average_gain_leaves_out_only_queries_that_no_run_can_tell(make_demonstrations: Make) -> None:
    logs = make_demonstrations([[1, 0, 0], [0, 1, 0], [1, 0, 0]], [[1, 1, 0], [1, 1, 0], [1, 1, 0]])
    runs = [(np.array([0, 1, 2]), single(logs, 1)), (np.array([2, 1, 2]), single(logs, 0))]
    found = average_gain(logs, runs, groups=logs.groups())
    assert (found.n_queries, found.n_left_out) == (2, 1)
    assert found.value == pytest.approx((2 / 3 + 1) / 2)  # two of three choices are others, then all of them; each by 1


def test_one_run_that_changed_choices_keeps_the_interval_open(make_demonstrations: Make) -> None:
    logs = make_demonstrations([[1, 1]] * 40)
    baseline, changed = single(logs, 0), (np.arange(40) < 10).astype(int)
    found = average_gain(logs, [(baseline, baseline), (changed, baseline)], groups=logs.groups())
    assert found.low < found.value == 0.0 < found.high


def test_average_gain_needs_a_run(make_demonstrations: Make) -> None:
    with pytest.raises(ParameterError, match="pairs is empty"):
        average_gain(make_demonstrations([[1, 0]]), [], groups=np.zeros(1, int))


def test_oracle_and_regret(make_demonstrations: Make) -> None:
    logs = make_demonstrations([[1, 0], [0, 1], [0, 0], [0, 0]], [[1, 1], [1, 1], [1, 1], [0, 0]])
    assert oracle_choices(logs).tolist() == [0, 1, 0, 0]
    found = regret(logs, single(logs, 0), groups=logs.groups())
    assert found.value == pytest.approx(1 / 3)
    assert found.n_left_out == 1
    assert regret(logs, oracle_choices(logs), groups=logs.groups()).high == 0.0


def test_share_of_headroom_is_1_for_the_oracle_and_0_for_the_baseline(make_demonstrations: Make) -> None:
    logs = make_demonstrations(np.random.default_rng(8).integers(0, 2, (200, 3)))
    groups, baseline, oracle = logs.groups(), single(logs, 0), oracle_choices(logs)
    half = np.where(np.arange(200) % 2, oracle, baseline)
    shares = [share_of_inflated_headroom(logs, c, baseline, groups=groups) for c in (oracle, baseline, half)]
    expected = gain(logs, half, baseline, groups=groups).value / gain(logs, oracle, baseline, groups=groups).value
    assert [share.value for share in shares if share] == pytest.approx([1.0, 0.0, expected])


def test_share_of_headroom_is_none_where_there_is_none(make_demonstrations: Make) -> None:
    logs = make_demonstrations([[1, 0], [1, 1]])
    assert share_of_inflated_headroom(logs, single(logs, 1), single(logs, 0), groups=logs.groups()) is None


def test_headroom_of_queries_that_are_left_out_does_not_count(make_demonstrations: Make) -> None:
    logs = make_demonstrations([[0, 1, 0], [1, 1, 1], [0, 0, 0]], [[1, 1, 0], [1, 1, 1], [1, 1, 1]])
    assert share_of_inflated_headroom(logs, single(logs, 2), single(logs, 0), groups=logs.groups()) is None
    found = share_of_inflated_headroom(logs, single(logs, 1), single(logs, 0), groups=logs.groups())
    assert found is not None
    assert (found.value, found.n_queries) == (1.0, 3)


def test_random_prompt_value_is_the_mean_over_prompts(make_demonstrations: Make) -> None:
    logs = make_demonstrations([[1, 0], [1, 0], [0, 0]], [[1, 1], [1, 0], [0, 0]])
    found = random_prompt_value(logs, groups=logs.groups())
    assert found.value == pytest.approx((0.5 + 1.0) / 2)
    assert (found.n_queries, found.n_trials, found.n_left_out) == (2, 3, 1)
