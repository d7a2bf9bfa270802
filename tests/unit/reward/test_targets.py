from __future__ import annotations

import numpy as np
import pytest

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.records import Prompt, Query
from prompt_oirl.reward.targets import advantage_weights, advantages, prompt_effects


def demonstrations_of(trials, successes) -> Demonstrations:
    trials, successes = np.array(trials), np.array(successes)
    return Demonstrations(
        queries=tuple(Query(f"q{i}") for i in range(len(trials))),
        prompts=tuple(Prompt.from_text(f"p{k}", id=f"p{k}") for k in range(trials.shape[1])),
        trials=trials,
        successes=successes,
        unscored=np.zeros_like(trials),
    )


def test_complete_logs_give_the_reward_less_its_mean() -> None:
    full = demonstrations_of([[2, 2, 2], [1, 1, 1], [4, 4, 4]], [[2, 1, 0], [0, 0, 1], [4, 4, 2]])
    rewards = full.rewards
    np.testing.assert_allclose(advantages(full), rewards - rewards.mean(axis=1, keepdims=True), atol=1e-12)
    np.testing.assert_array_equal(advantage_weights(full), full.trials)
    means = np.average(rewards, axis=0, weights=[2, 1, 4])
    np.testing.assert_allclose(prompt_effects(full), means - means.mean(), atol=1e-3)


def test_a_query_tried_with_bad_prompts_only_does_not_look_hard() -> None:
    """An additive world: every cell's advantage is its prompt's effect, whichever cells were tried."""
    query, prompt = np.array([0.6, 0.5, 0.4, 0.55, 0.45, 0.5]), np.array([0.3, 0.1, -0.4])
    trials = 1000 * np.array([[1, 1, 1], [0, 1, 1], [0, 1, 1], [1, 0, 1], [1, 1, 0], [1, 1, 1]])
    successes = np.rint(trials * (query[:, None] + prompt)).astype(int)
    found = advantages(demonstrations_of(trials, successes))
    tried = trials > 0
    np.testing.assert_allclose(found[tried], np.broadcast_to(prompt, trials.shape)[tried], atol=1e-4)
    assert np.isnan(found[~tried]).all()
    naive = successes[1, 2] / 1000 - successes[1, 1:].sum() / 2000
    assert abs(naive - prompt[2]) > 0.1


def test_prompts_tried_on_hard_queries_are_not_blamed() -> None:
    trials = 100 * np.array([[1, 1, 0]] * 5 + [[0, 1, 1]] * 5)
    successes = np.array([[80, 70, 0]] * 5 + [[0, 20, 30]] * 5)
    logs = demonstrations_of(trials, successes)
    assert logs.success_rates[0] > logs.success_rates[2] + 0.4
    effects = prompt_effects(logs)
    np.testing.assert_allclose(effects - effects[1], [0.1, 0, 0.1], atol=1e-3)


def test_prompts_that_share_no_query_are_compared_by_success_rate() -> None:
    logs = demonstrations_of([[10, 0], [10, 0], [0, 10], [0, 10]], [[8, 0], [6, 0], [0, 3], [0, 1]])
    np.testing.assert_allclose(prompt_effects(logs), [0.25, -0.25], atol=1e-6)
    assert not advantage_weights(logs).any()
    np.testing.assert_allclose(advantages(logs)[:2, 0], 0.25, atol=1e-6)


def test_one_prompt_has_no_advantage() -> None:
    logs = demonstrations_of([[2], [1], [0]], [[2], [0], [0]])
    np.testing.assert_allclose(advantages(logs)[:2], 0, atol=1e-12)
    np.testing.assert_array_equal(advantage_weights(logs), logs.trials)


@pytest.mark.parametrize("tried", [1.0, 0.5])
def test_interactions_are_recovered_without_bias(tried: float) -> None:
    rng = np.random.default_rng(0)
    n_queries, n_prompts = 40_000, 5
    kind = rng.integers(0, 2, n_queries)
    interaction = np.array([[0.15, -0.1, 0.05, 0.0, -0.1], [-0.15, 0.1, -0.05, 0.0, 0.1]])
    effect = np.array([0.1, 0.05, 0.0, -0.05, -0.1])
    probability = 0.5 + 0.1 * rng.choice([-1, 1], n_queries)[:, None] + effect + interaction[kind]
    trials = 2 * (rng.random((n_queries, n_prompts)) < tried)
    logs = demonstrations_of(trials, rng.binomial(trials, probability))
    found, weights = np.nan_to_num(advantages(logs)), advantage_weights(logs)
    truth = effect + interaction - interaction.mean(axis=1, keepdims=True)
    for k in range(2):
        mean = (found * weights)[kind == k].sum(axis=0) / weights[kind == k].sum(axis=0)
        np.testing.assert_allclose(mean, truth[k], atol=0.015)
