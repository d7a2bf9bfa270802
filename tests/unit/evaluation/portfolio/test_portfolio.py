"""Which prompts to keep, in worlds where it is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from prompt_oirl.arrays import FloatArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.evaluation import Portfolio, portfolio, portfolio_by_trials

Make = Callable[..., Demonstrations]

# Kinds of queries that prompt 0 and prompt 1 suit; prompt 2 suits none, prompt 3 is prompt 0 but for a little.
SUITS = np.array([[0.9, 0.2, 0.1, 0.85], [0.2, 0.9, 0.1, 0.2]])


def world(make: Make, *, n: int = 400, repeats: int = 1, seed: int = 0) -> tuple[Demonstrations, FloatArray]:
    """Logs of two kinds of queries, and scores that know the kinds."""
    rng = np.random.default_rng(seed)
    probabilities = SUITS[(np.arange(n) >= 0.6 * n).astype(int)]
    trials = np.full(probabilities.shape, repeats)
    return make(rng.binomial(trials, probabilities), trials), probabilities


def noise(make: Make, seed: int, *, n: int = 120, n_prompts: int = 5) -> Portfolio:
    rng = np.random.default_rng(seed)
    logs = make(rng.integers(0, 2, (n, n_prompts)))
    return portfolio(logs, rng.random((n, n_prompts)), groups=logs.groups(), n_seeds=2)


def test_two_prompts_keep_all_that_four_gain(make_demonstrations: Make) -> None:
    logs, scores = world(make_demonstrations)
    found = portfolio(logs, scores, groups=logs.groups())
    assert found.has_gain_to_keep
    assert found.smallest_by_gain is not None
    assert found.smallest_by_gain.prompt_ids == ("p0", "p1")
    assert found.smallest_by_gain.agreement > 0.5
    assert found.sizes_by_gain is not None
    assert found.sizes_by_gain[0] == 2
    assert found.smallest_by_value.n_prompts == 2
    assert found.gain.value == pytest.approx(0.28, abs=0.08)
    assert found.never_chosen == ("p2", "p3")
    losses = {each.prompt_id: each.loss for each in found.contributions}
    assert losses["p1"].low > 0.1
    assert (losses["p2"].value, losses["p2"].low, losses["p2"].high) == (0.0, 0.0, 0.0)
    assert abs(losses["p3"].value) < 0.05
    assert "2 prompts (p0, p1)" in str(found)
    json.dumps(found.to_dict(), allow_nan=False)


def test_one_prompt_is_the_best_single_prompt_and_all_prompts_keep_everything(make_demonstrations: Make) -> None:
    logs, scores = world(make_demonstrations)
    one, *_, everything = portfolio(logs, scores, groups=logs.groups()).sizes
    assert one.prompt_ids == ("p0",)
    assert (one.gain.value, one.gain.low, one.gain.high) == (0.0, 0.0, 0.0)
    for share, expected in ((one.share_of_gain, 0.0), (everything.share_of_gain, 1.0), (everything.share_of_value, 1)):
        assert share is not None
        assert (share.value, share.low, share.high) == (expected, expected, expected)
    assert one.share_of_value is not None
    assert one.share_of_value.value == pytest.approx(one.value.value / everything.value.value)


def test_where_nothing_is_gained_there_is_nothing_to_keep(make_demonstrations: Make) -> None:
    rng = np.random.default_rng(1)
    logs = make_demonstrations(rng.binomial(1, [0.7, 0.5, 0.5], (300, 3)))
    found = portfolio(logs, rng.random((300, 3)), groups=logs.groups())
    assert not found.has_gain_to_keep
    assert found.smallest_by_gain is None
    assert found.sizes_by_gain is None
    assert {size.share_of_gain for size in found.sizes} == {None}
    assert found.smallest_by_value.n_prompts == 1
    assert "no gain to keep" in str(found)


def test_what_chose_the_prompts_is_not_what_they_are_measured_on(make_demonstrations: Make) -> None:
    """On noise the best of 31 subsets looks good where it was chosen, and is worth nothing elsewhere."""
    gains = [[size.gain.value for size in noise(make_demonstrations, seed).sizes[1:4]] for seed in range(40)]
    assert np.mean(gains) == pytest.approx(0.0, abs=0.012)


def test_a_query_counts_as_often_as_it_was_asked(make_demonstrations: Make) -> None:
    successes = np.array([[3, 0], [0, 3], [1, 0], [0, 1]] * 10)
    trials = np.array([[3, 3], [3, 3], [1, 1], [1, 1]] * 10)
    logs = make_demonstrations(successes, trials)
    found = portfolio(logs, np.ones(trials.shape) * [1.0, 0.0], groups=logs.groups())
    assert found.sizes[-1].value.value == pytest.approx(0.5)
    wrong_on_thrice = successes * [[0, 1]] + (trials * [[1, 0]]) * (trials == 1)
    again = replace(logs, successes=wrong_on_thrice)
    value = portfolio(again, np.ones(trials.shape) * [1.0, 0.0], groups=logs.groups()).sizes[-1].value
    assert value.value == pytest.approx(0.25)


def test_beyond_twelve_prompts_they_are_added_one_by_one(make_demonstrations: Make) -> None:
    rng = np.random.default_rng(2)
    probabilities = np.full((300, 13), 0.1)
    probabilities[:200, 4] = probabilities[200:, 9] = 0.9
    logs = make_demonstrations(rng.binomial(1, probabilities))
    found = portfolio(logs, probabilities + 1e-6 * rng.random(probabilities.shape), groups=logs.groups(), n_seeds=1)
    assert not found.is_exhaustive
    assert [size.prompt_ids for size in found.sizes[:2]] == [("p4",), ("p4", "p9")]
    assert found.smallest_by_gain is not None
    assert found.smallest_by_gain.n_prompts == 2


def test_every_subset_is_tried_where_one_by_one_would_go_wrong(make_demonstrations: Make) -> None:
    """Prompt 0 is best alone; prompts 1 and 2 together are better than it with either."""
    probabilities = np.repeat([[0.7, 1.0, 0.1], [0.7, 0.1, 1.0]], 200, axis=0)
    logs = make_demonstrations(np.random.default_rng(3).binomial(1, probabilities))
    found = portfolio(logs, probabilities, groups=logs.groups())
    assert [size.prompt_ids for size in found.sizes] == [("p0",), ("p1", "p2"), ("p0", "p1", "p2")]


def test_all_sizes_rest_on_the_same_queries_where_trials_are_missing(make_demonstrations: Make) -> None:
    logs, scores = world(make_demonstrations)
    trials = (np.random.default_rng(4).random(logs.trials.shape) > 0.2).astype(int)
    found = portfolio(
        replace(logs, trials=trials, successes=logs.successes * trials), scores, groups=logs.groups(), n_seeds=2
    )
    assert len({(size.value.n_queries, size.gain.n_queries) for size in found.sizes}) == 1
    assert found.sizes[0].value.n_left_out > 0


def test_one_prompt_alone(make_demonstrations: Make) -> None:
    logs = make_demonstrations(np.array([[1], [0], [1], [1]]))
    found = portfolio(logs, np.zeros((4, 1)), groups=logs.groups())
    assert [size.n_prompts for size in found.sizes] == [1]
    assert found.contributions == ()
    assert found.one_more.caught is None
    assert not found.has_gain_to_keep


def test_what_one_more_prompt_would_have_to_do(make_demonstrations: Make) -> None:
    logs, scores = world(make_demonstrations)
    one = portfolio(logs, scores, groups=logs.groups()).one_more
    assert one.failures.value == pytest.approx(0.1, abs=0.03)
    assert one.success_if_known == pytest.approx(0.01 / one.failures.value)
    assert one.caught is not None
    assert one.caught.low > 0
    assert one.success_as_caught == pytest.approx(0.01 / (one.failures.value * one.caught.value))
    assert "one more prompt" in str(one)


def test_where_the_choice_catches_nothing_no_success_rate_is_enough(make_demonstrations: Make) -> None:
    one = noise(make_demonstrations, 0).one_more
    assert one.caught is not None
    assert one.caught.low < 0
    assert one.success_as_caught is None
    assert "no rate is surely enough" in str(one)


def test_by_trials_finds_the_pair_without_any_scores(make_demonstrations: Make) -> None:
    logs, _ = world(make_demonstrations, repeats=6)
    found = portfolio_by_trials(logs, groups=logs.groups())
    assert found.has_gain_to_keep
    assert found.sizes[1].prompt_ids in (("p0", "p1"), ("p1", "p3"))
    assert found.gain.value == pytest.approx(0.27, abs=0.06)
    assert found.sizes[-1].value.value < 0.95


def test_by_trials_measures_on_trials_that_did_not_choose(make_demonstrations: Make) -> None:
    """All cells are coins: choosing by trials gains nothing on others."""
    gains = []
    for seed in range(20):
        trials = np.full((80, 4), 3)
        logs = make_demonstrations(np.random.default_rng(seed).binomial(trials, 0.5), trials)
        gains.append(portfolio_by_trials(logs, groups=logs.groups(), n_seeds=2, seed=seed).gain.value)
    assert np.mean(gains) == pytest.approx(0.0, abs=0.02)


def test_by_trials_needs_repeats(make_demonstrations: Make) -> None:
    logs, _ = world(make_demonstrations)
    with pytest.raises(DataError, match="0 queries have two trials"):
        portfolio_by_trials(logs, groups=logs.groups())


def test_bad_arguments(make_demonstrations: Make) -> None:
    logs, scores = world(make_demonstrations, n=20)
    groups = logs.groups()
    with pytest.raises(ParameterError, match=r"shape \(20, 3\)"):
        portfolio(logs, scores[:, :3], groups=groups)
    with pytest.raises(ParameterError, match="1 of 80 scores are NaN"):
        portfolio(logs, np.where(np.arange(80).reshape(20, 4) == 7, np.nan, scores), groups=groups)
    with pytest.raises(ParameterError, match="keep=0"):
        portfolio(logs, scores, groups=groups, keep=0)
    with pytest.raises(ParameterError, match="n_seeds=0"):
        portfolio(logs, scores, groups=groups, n_seeds=0)
    with pytest.raises(ParameterError, match="groups"):
        portfolio(logs, scores, groups=np.zeros(20, int))
    untried = replace(logs, trials=0 * logs.trials, successes=0 * logs.trials)
    with pytest.raises(DataError, match="scored trial"):
        portfolio(untried, scores, groups=groups)
