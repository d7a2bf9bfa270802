"""On worlds whose truth is known, the evaluation says what is true."""

from __future__ import annotations

import numpy as np
import pytest

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.evaluation import evaluate, gain, oracle_choices, policy_value, random_prompt_value
from prompt_oirl.policies import BestSinglePrompt, RandomPrompt
from prompt_oirl.testing import SyntheticWorld


def single(logs: Demonstrations, prompt: int) -> np.ndarray:
    return np.full(logs.n_queries, prompt)


@pytest.mark.parametrize("seed", range(4))
def test_the_true_oracle_beats_the_best_single_prompt(seed: int) -> None:
    world = SyntheticWorld(seed=seed)
    logs, best = world.demonstrations, single(world.demonstrations, world.best_single)
    found = gain(logs, world.oracle, best, groups=logs.groups())
    assert found.low > 0
    assert abs(found.value - world.true_gain(world.oracle, best)) < found.high - found.low


@pytest.mark.parametrize("seed", range(4))
def test_the_one_sample_oracle_is_inflated(seed: int) -> None:
    world = SyntheticWorld(seed=seed)
    logs = world.demonstrations
    inflated = policy_value(logs, oracle_choices(logs), groups=logs.groups())
    assert inflated.low > world.true_value(world.oracle) + 0.05


def test_repeats_deflate_the_oracle() -> None:
    def inflation(repeats: int) -> float:
        world = SyntheticWorld(n_queries=400, repeats=repeats, missing=0.0)
        logs = world.demonstrations
        chosen = oracle_choices(logs)
        return policy_value(logs, chosen, groups=logs.groups()).value - world.true_value(world.oracle)

    assert inflation(30) < 0.3 * inflation(1)


@pytest.mark.parametrize("seed", range(3))
def test_the_value_of_a_random_prompt_is_what_is_expected_of_it(seed: int) -> None:
    world = SyntheticWorld(seed=seed)
    logs = world.demonstrations
    truth = float(np.average(world.success_probabilities.mean(axis=1), weights=world.times_asked))
    expected = random_prompt_value(logs, groups=logs.groups())
    drawn = policy_value(logs, RandomPrompt(seed).choose(logs.queries, logs.prompts), groups=logs.groups())
    # cell by cell the outcome is drawn anew, so the interval over queries is wider than this error
    assert abs(expected.value - truth) < (expected.high - expected.low) / 2
    assert drawn.low - 0.01 < truth < drawn.high + 0.01
    assert expected.high - expected.low < drawn.high - drawn.low


@pytest.mark.parametrize("seed", range(3))
def test_true_values_lie_in_the_intervals_of_an_evaluation(seed: int) -> None:
    world = SyntheticWorld(seed=seed)
    train, test = world.demonstrations.split(seed=seed)
    baseline = BestSinglePrompt.chosen_on(train)
    found = evaluate(RandomPrompt(seed), test, baseline=baseline, train=train, level=0.999)
    choices, best = (policy.choose(test.queries, test.prompts) for policy in (RandomPrompt(seed), baseline))
    assert found.gain.low < world.true_gain(choices, best, queries=test.queries) < found.gain.high
    assert found.gain.high - found.gain.low < 0.25


def test_without_interaction_no_choice_gains() -> None:
    world = SyntheticWorld(interaction=0.0)
    rng = np.random.default_rng(0)
    best = single(world.demonstrations, world.best_single)
    for _ in range(20):
        assert world.true_gain(rng.integers(0, 6, 1500), best) < 0
    assert world.true_gain(world.oracle, best) == 0.0
