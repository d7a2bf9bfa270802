"""Trials of a run, bought with known probabilities: inverse inclusion probabilities of cells (Horvitz and Thompson)."""

from __future__ import annotations

import numpy as np
import pytest

from prompt_oirl.collect.strategies.random_cells import RandomFraction
from prompt_oirl.evaluation.off_policy import LoggedDecisions, off_policy_values
from prompt_oirl.evaluation.off_policy.evidence import Evidence


def bought(world, propensities, coins, seed=0):
    """One trial of every cell whose coin is under its propensity."""
    rows, chosen = np.nonzero(coins < propensities)
    rewards = (np.random.default_rng(seed).random(len(rows)) < world.truth[rows, chosen]).astype(float)
    there, new_rows = np.unique(rows, return_inverse=True)
    decisions = LoggedDecisions(
        tuple(world.queries[row] for row in there),
        world.prompts,
        new_rows,
        chosen,
        rewards,
        propensities[rows, chosen],
        propensity_of="cell",
    )
    return decisions, there


def test_whole_queries_weigh_like_complete_logs(greedy) -> None:
    world = greedy()
    drawn = RandomFraction(0.4, seed=1).next_round(
        world.queries, world.prompts, state=None, demonstrations=lambda: None
    )
    coins = np.ones((300, 4))
    coins[drawn.rows, drawn.columns] = 0.0
    decisions, there = bought(world, np.full((300, 4), 0.4), coins)
    found = off_policy_values(decisions, world.target[there], scores=world.scores[there])
    exact = decisions.rewards.reshape(-1, 4)[np.arange(len(there)), world.target[there]].mean()
    for estimator in ("ips", "snips", "dr"):
        assert found[estimator].value.value == pytest.approx(exact)
    assert found.support.overlap == 1


@pytest.mark.parametrize("share_coins", [True, False])
def test_values_are_unbiased_though_not_all_queries_are_there(greedy, share_coins) -> None:
    world = greedy(n_queries=400)
    rng = np.random.default_rng(5)
    propensities = np.full((400, 4), 0.3)
    if share_coins:  # as the strategy `uncertain` does: each prompt of a query its own probability, one coin
        propensities = np.clip(world.truth - 0.1, 0.1, 1.0)
    truth = world.truth[np.arange(400), world.target].mean()
    errors: dict[str, list[float]] = {"ips": [], "snips": [], "dr": [], "dm": []}
    for seed in range(60):
        coins = rng.random((400, 1 if share_coins else 4))
        decisions, there = bought(world, propensities, coins, seed)
        assert len(there) < 400
        found = off_policy_values(
            decisions, world.target[there], scores=world.scores[there], groups=there, estimators=tuple(errors)
        )
        assert found.support is not None
        for name, of_name in errors.items():
            of_name.append(found[name].value.value - truth)
    for name in ("ips", "snips", "dr"):
        standard_error = np.std(errors[name], ddof=1) / np.sqrt(60)
        assert abs(np.mean(errors[name])) < 3.5 * standard_error < 0.035, name
    assert np.mean(errors["dm"]) < -0.05


def test_success_rates_alone_would_be_biased(greedy) -> None:
    """Or else the test above would show little."""
    world = greedy(n_queries=400)
    propensities = np.clip(world.truth - 0.1, 0.1, 1.0)
    naive = (propensities * world.truth)[np.arange(400), world.target].sum()
    naive /= propensities[np.arange(400), world.target].sum()
    assert naive - world.truth[np.arange(400), world.target].mean() > 0.01


def test_samples_of_a_cell_are_several_units(make_decisions) -> None:
    decisions = make_decisions(
        2, 2, [0, 0, 1, 0, 0, 1], [0, 0, 0, 1, 1, 1], [1, 0, 1, 1, 1, 0], np.ones(6), propensity_of="cell"
    )
    evidence = Evidence.of(decisions, groups=np.arange(2), clip=0.0)
    assert evidence.asked.tolist() == [2, 1]
    found = off_policy_values(decisions, np.array([0, 0]))
    assert found["ips"].value.value == pytest.approx(2 / 3)


def test_what_has_no_reward_thins_its_prompt(make_decisions) -> None:
    """Half of the first prompt's answers cannot be read: the other half counts twice."""
    n = 40
    rewards = np.ones((n, 2))
    rewards[::2, 0] = np.nan
    decisions = make_decisions(
        n, 2, np.repeat(np.arange(n), 2), np.tile([0, 1], n), rewards.ravel(), np.ones(2 * n), propensity_of="cell"
    )
    found = off_policy_values(decisions, np.zeros(n, int))
    assert found["ips"].value.value == pytest.approx(1)
    assert found.support.largest_weight == pytest.approx(2)


def test_a_grid_that_is_not_finished_loses_overlap(greedy) -> None:
    """Bought with certainty, says the log, and yet not there: the mean weight tells."""
    world = greedy()
    rows, chosen = np.divmod(np.arange(1200), 4)
    kept = np.random.default_rng(0).random(1200) < 0.6
    decisions = LoggedDecisions(
        world.queries, world.prompts, rows[kept], chosen[kept], np.ones(kept.sum()), np.ones(kept.sum()),
        propensity_of="cell",
    )  # fmt: skip
    found = off_policy_values(decisions, world.target, scores=world.scores)
    assert found["dr"].value is None
    assert "weight" in found["dr"].refusal
