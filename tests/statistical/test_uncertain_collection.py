"""Whatever a strategy buys, its propensities are right; and buying where prompts are close teaches more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from prompt_oirl.arrays import BoolArray, FloatArray, IntArray
from prompt_oirl.collect.strategies import uncertain
from prompt_oirl.collect.strategies.protocol import Strategy
from prompt_oirl.collect.strategies.random_cells import RandomFraction
from prompt_oirl.collect.strategies.uncertain import Uncertain
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.records import Prompt, Query
from prompt_oirl.reward.baselines import PromptMeans
from prompt_oirl.reward.kernel_advantage import KernelAdvantage
from prompt_oirl.reward.protocol import RewardModel
from prompt_oirl.testing import SyntheticWorld

WORLD = SyntheticWorld(n_queries=160, seed=7)
N_SEEDS = 400


@dataclass(eq=False)
class Shop:
    """Sells the answers to some of a world's queries, each drawn once, whether it is bought or not."""

    world: SyntheticWorld
    rows: IntArray
    seed: int
    propensities: FloatArray = field(init=False)
    """(n_queries, n_prompts) With which each cell was bought, 0 where it was not."""

    def __post_init__(self) -> None:
        self.queries = tuple(self.world.queries[row] for row in self.rows)
        truth = self.world.success_probabilities[self.rows]
        self.rewards = (np.random.default_rng([9, self.seed]).random(truth.shape) < truth).astype(np.int64)

    @property
    def is_bought(self) -> BoolArray:
        return self.propensities > 0

    def demonstrations(self) -> Demonstrations:
        rows, columns = np.nonzero(self.is_bought)
        rewards = self.rewards[rows, columns]
        return Demonstrations.from_cells(self.queries, self.world.prompts, rows=rows, columns=columns, rewards=rewards)

    def sell(self, strategy: Strategy) -> Shop:
        self.propensities = np.zeros(self.rewards.shape)
        state = None
        while True:
            drawn = strategy.next_round(
                self.queries, self.world.prompts, state=state, demonstrations=self.demonstrations
            )
            if drawn is None:
                return self
            self.propensities[drawn.rows, drawn.columns] = drawn.propensities
            state = drawn.state


def make(name: str, seed: int, *, model: Callable[[], RewardModel]) -> Strategy:
    if name == "uncertain":
        return Uncertain(0.3, seed, n_rounds=4, model=model)
    return RandomFraction(0.3, seed, whole_queries=name == "whole queries")


@pytest.fixture(scope="module", params=["whole queries", "cells", "uncertain"])
def shops(request: pytest.FixtureRequest) -> list[Shop]:
    return visits(request.param, model=PromptMeans)


def visits(name: str, *, model: Callable[[], RewardModel]) -> list[Shop]:
    rows = np.arange(WORLD.n_queries)
    return [Shop(WORLD, rows, seed).sell(make(name, seed, model=model)) for seed in range(N_SEEDS)]


def z_scores(found: FloatArray, truth: FloatArray | float) -> FloatArray:
    """Return how many standard errors the mean over the first axis is from the truth."""
    z: FloatArray = (found.mean(axis=0) - truth) / (found.std(axis=0, ddof=1) / np.sqrt(len(found)))
    return z


def weighted(shop: Shop) -> FloatArray:
    """Return (n_queries, n_prompts) the inverse propensity of what was bought, 0 of what was not."""
    return np.divide(1.0, shop.propensities, out=np.zeros(shop.propensities.shape), where=shop.is_bought)


def test_success_weighted_with_inverse_propensities_is_unbiased(shops: list[Shop]) -> None:
    found = np.array([(weighted(shop) * shop.rewards).mean(axis=0) for shop in shops])
    assert np.abs(z_scores(found, WORLD.success_probabilities.mean(axis=0))).max() < 3.5


def test_every_cell_counts_once_on_average(shops: list[Shop]) -> None:
    assert np.abs(z_scores(np.array([weighted(shop).mean(axis=0) for shop in shops]), 1.0)).max() < 3.5


def test_the_difference_of_two_prompts_is_unbiased(shops: list[Shop], request: pytest.FixtureRequest) -> None:
    if "[cells" in request.node.name:
        pytest.skip("each cell has a coin of its own")
    found = []
    for shop in shops:
        # one coin for both prompts: both are bought with the smaller probability
        both = np.minimum(shop.propensities[:, 1], shop.propensities[:, 5])
        differences = shop.rewards[:, 1] - shop.rewards[:, 5]
        found.append(np.divide(differences, both, out=np.zeros(len(both)), where=both > 0).mean())
    probabilities = WORLD.success_probabilities
    assert abs(z_scores(np.array(found), (probabilities[:, 1] - probabilities[:, 5]).mean())) < 3.5


def test_the_expected_number_of_cells_is_bought(shops: list[Shop]) -> None:
    shares = np.array([shop.is_bought.mean() for shop in shops])
    assert abs(z_scores(shares, 0.3)) < 3.5
    assert shares.std() < 0.05


class Invented:
    """A reward model whose scores no demonstration changes."""

    gives_probabilities = False

    def __init__(self, scores: FloatArray) -> None:
        self._score_of = dict(zip(WORLD.queries, scores, strict=True))

    def fit(self, demonstrations: Demonstrations) -> Invented:
        return self

    def score(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> FloatArray:
        return np.array([self._score_of[query] for query in queries])


def test_unweighted_success_rates_are_biased_where_the_reward_model_is_good() -> None:
    truth = WORLD.success_probabilities
    found = np.array(
        [shop.demonstrations().success_rates for shop in visits("uncertain", model=lambda: Invented(truth))]
    )
    assert z_scores(found, truth.mean(axis=0)).max() > 10


def test_given_the_past_propensities_are_how_often_a_cell_is_bought(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, hashed = np.random.default_rng(0), uncertain.hash_coins

    def thrown(names: Sequence[str], *, seed: int, purpose: str) -> FloatArray:
        coins = hashed(names, seed=seed, purpose=purpose)
        return coins if purpose == "order" else rng.random(len(coins))

    monkeypatch.setattr(uncertain, "hash_coins", thrown)
    scores = np.random.default_rng(1).normal(size=(WORLD.n_queries, 6))
    strategy, n_draws = Uncertain(0.3, n_rounds=4, model=lambda: Invented(scores)), 3000
    past = WORLD.demonstrations
    first = strategy.next_round(WORLD.queries, WORLD.prompts, state=None, demonstrations=lambda: past)
    assert first is not None
    n_bought = np.zeros((WORLD.n_queries, 6))
    stored = np.full(n_bought.shape, np.nan)
    for _ in range(n_draws):
        drawn = strategy.next_round(WORLD.queries, WORLD.prompts, state=first.state, demonstrations=lambda: past)
        assert drawn is not None
        known = stored[drawn.rows, drawn.columns]
        assert (np.isnan(known) | (known == drawn.propensities)).all()
        n_bought[drawn.rows, drawn.columns] += 1
        stored[drawn.rows, drawn.columns] = drawn.propensities
    rows = np.flatnonzero(n_bought.any(axis=1))
    assert len(rows) == 40
    propensities = stored[rows]
    assert propensities.mean() == pytest.approx(0.3)
    errors = (n_bought[rows] - n_draws * propensities) / np.sqrt(n_draws * propensities * (1 - propensities) + 1e-9)
    assert np.abs(errors).max() < 4.5


def test_buying_where_prompts_are_close_teaches_more_than_buying_at_random() -> None:
    values: dict[str, list[float]] = {"cells": [], "whole queries": [], "uncertain": []}
    for seed in range(5):
        world = SyntheticWorld(seed=seed)
        train, test = world.demonstrations.split(test_size=1 / 3, seed=seed)
        row_of = {query: row for row, query in enumerate(world.queries)}
        rows = np.array([row_of[query] for query in train.queries])
        for name, found in values.items():
            shop = Shop(world, rows, seed).sell(make(name, seed, model=KernelAdvantage))
            choices = KernelAdvantage().fit(shop.demonstrations()).score(test.queries, test.prompts).argmax(axis=1)
            found.append(world.true_value(choices, queries=test.queries))
    for other in ("cells", "whole queries"):
        assert np.mean(values["uncertain"]) > np.mean(values[other])
