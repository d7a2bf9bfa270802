from __future__ import annotations

import numpy as np
import pytest

from prompt_oirl.errors import DataError
from prompt_oirl.evaluation.headroom import TrialsChoice

RULE = TrialsChoice(
    means=np.array([0.6, 0.5]),
    covariance=np.array([[0.05, 0.02], [0.02, 0.04]]),
    noise=np.array([0.2, 0.2]),
    best_single=0,
)


def test_without_trials_the_means_are_expected() -> None:
    none = np.zeros((1, 2), int)
    assert RULE.expected_rewards(none, none) == pytest.approx(RULE.means[None])
    assert RULE.choose(none, none).tolist() == [0]


def test_expected_rewards_are_the_best_linear_prediction() -> None:
    successes, trials = np.array([[1, 3]]), np.array([[3, 4]])
    observed = RULE.covariance + np.diag(RULE.noise / trials[0])
    wanted = RULE.means + RULE.covariance @ np.linalg.solve(observed, successes[0] / trials[0] - RULE.means)
    assert RULE.expected_rewards(successes, trials) == pytest.approx(wanted[None])


def test_a_prompt_that_was_not_tried_is_learnt_about_from_the_other() -> None:
    only_first = RULE.expected_rewards(np.array([[0, 0]]), np.array([[4, 0]]))[0]
    assert only_first[1] < RULE.means[1]
    assert np.isfinite(only_first).all()


def test_enough_trials_overturn_the_best_single_prompt_but_may_not_choose_what_is_not_there() -> None:
    successes, trials = np.array([[0, 6]]), np.array([[6, 6]])
    assert RULE.choose(successes, trials).tolist() == [1]
    assert RULE.choose(successes, trials, among=np.array([[True, False]])).tolist() == [0]


def test_the_learnt_rule_finds_most_of_what_is_there(draw, crossed) -> None:
    logs = draw(crossed, 6)
    rule = TrialsChoice.chosen_on(logs, groups=logs.groups())
    fresh = np.random.default_rng(9).binomial(6, crossed)
    choices = rule.choose(fresh, np.full(crossed.shape, 6))
    gain = (crossed[np.arange(600), choices] - crossed[:, rule.best_single]).mean()
    assert 0.08 < gain <= 0.15


def test_no_rule_is_learnt_from_single_trials(draw, crossed) -> None:
    logs = draw(crossed, 1)
    with pytest.raises(DataError, match="tried twice"):
        TrialsChoice.chosen_on(logs, groups=logs.groups())
