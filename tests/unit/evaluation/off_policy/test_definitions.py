"""The estimators against their published definitions, written out as loops over decisions.

Definitions: Open Bandit Pipeline, docs/estimators.rst and arXiv 2008.07146.
"""

from __future__ import annotations

import numpy as np
import pytest

from prompt_oirl.evaluation.off_policy import ESTIMATORS, off_policy_values

TAU, LAMBDA, CLIP = 2.0, 3.0, 0.12


def value_by_hand(estimator, world, policy, *, clip=0.0):
    """The mean over decisions, one after the other."""
    total, total_weight, n = 0.0, 0.0, len(world.rows)
    for query, action, reward, propensity in zip(
        world.rows, world.chosen, world.rewards, world.propensities, strict=True
    ):
        weight = policy[query, action] / max(propensity, clip)
        expected = sum(policy[query, each] * world.scores[query, each] for each in range(policy.shape[1]))
        residual = reward - world.scores[query, action]
        total_weight += weight
        total += {
            "ips": weight * reward,
            "snips": weight * reward,
            "dm": expected,
            "dr": expected + weight * residual,
            "switch_dr": expected + (weight * residual if weight <= TAU else 0.0),
            "dr_os": expected + LAMBDA / (weight**2 + LAMBDA) * weight * residual,
        }[estimator]
    return total / (total_weight if estimator == "snips" else n)


def one_hot(choices, n_prompts):
    return np.eye(n_prompts)[choices]


@pytest.mark.parametrize("clip", [0.0, CLIP])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_values_and_gain_are_those_of_the_definitions(greedy, estimator, clip) -> None:
    world = greedy(n_queries=40, n_decisions=300)
    found = off_policy_values(
        world.decisions, world.target, baseline=world.baseline, scores=world.scores, clip=clip,
        switch_at=TAU, shrinkage=LAMBDA,
    )[estimator]  # fmt: skip
    value = value_by_hand(estimator, world, one_hot(world.target, 4), clip=clip)
    baseline = value_by_hand(estimator, world, one_hot(world.baseline, 4), clip=clip)
    assert found.value.value == pytest.approx(value)
    assert found.baseline_value.value == pytest.approx(baseline)
    assert found.gain.value == pytest.approx(value - baseline)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_policy_may_draw_its_prompt(greedy, estimator) -> None:
    world = greedy(n_queries=40, n_decisions=300)
    policy = np.random.default_rng(1).dirichlet(np.ones(4), 40)
    found = off_policy_values(world.decisions, policy, scores=world.scores, switch_at=TAU, shrinkage=LAMBDA)
    assert found[estimator].value.value == pytest.approx(value_by_hand(estimator, world, policy))
    assert found[estimator].gain is None


def test_limits_of_switch_and_shrinkage_are_dm_and_dr(greedy) -> None:
    world = greedy()
    for at, same in ((0.0, "dm"), (1e9, "dr")):
        found = off_policy_values(world.decisions, world.target, scores=world.scores, switch_at=at, shrinkage=at)
        assert found["switch_dr"].value.value == pytest.approx(found[same].value.value)
        assert found["dr_os"].value.value == pytest.approx(found[same].value.value, abs=1e-5)
        assert found["dr_os"].tuned == at


def test_dr_with_scores_of_nothing_is_ips(greedy) -> None:
    world = greedy()
    found = off_policy_values(world.decisions, world.target, scores=np.zeros((300, 4)))
    assert found["dr"].value.value == pytest.approx(found["ips"].value.value)
    assert found["dm"].value.value == 0


def test_intervals_are_those_of_the_mean_over_groups(greedy) -> None:
    """Of the doubly robust value: a ratio of sums over queries, its residuals squared."""
    world = greedy(n_queries=400, n_decisions=4000, explore=1.0)
    found = off_policy_values(world.decisions, world.target, scores=world.scores)["dr"].value
    policy = one_hot(world.target, 4)
    weights = policy[world.rows, world.chosen] / world.propensities
    outcomes = (policy * world.scores).sum(axis=1)[world.rows] + weights * (
        world.rewards - world.scores[world.rows, world.chosen]
    )
    asked = np.bincount(world.rows, minlength=400)
    residuals = np.bincount(world.rows, weights=outcomes, minlength=400) - outcomes.mean() * asked
    error = np.sqrt(residuals @ residuals) / 4000
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.02)


def test_weights_that_are_rare_and_large_are_switched_off_and_shrunk(make_decisions) -> None:
    """One decision in 3000 has weight 1000: its reward alone moves the value by a sixth."""
    n = 3000
    rewards = (np.arange(n) % 2).astype(float)
    chosen = np.arange(n) // 2 % 2
    probabilities = np.full((n, 2), 0.5)
    chosen[0], probabilities[0], rewards[0] = 0, (0.001, 0.999), 1.0
    decisions = make_decisions(n, 2, np.arange(n), chosen, rewards, action_probabilities=probabilities)
    found = off_policy_values(
        decisions, np.zeros(n, int), scores=np.full((n, 2), 0.5), groups=np.arange(n)
    )  # fmt: skip
    assert found["dr"].value.value > 0.6
    assert found["switch_dr"].tuned == 2.0
    assert found["switch_dr"].value.value == pytest.approx(0.5, abs=0.01)
    assert found["dr_os"].tuned is not None
    assert abs(found["dr_os"].value.value - 0.5) < abs(found["dr"].value.value - 0.5)
