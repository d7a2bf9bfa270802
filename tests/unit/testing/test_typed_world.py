from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prompt_oirl.errors import ParameterError
from prompt_oirl.policies import BestOfN, BestSinglePrompt, RandomPrompt
from prompt_oirl.splits import check_no_leakage
from prompt_oirl.testing.type_means import TypeMeans
from prompt_oirl.testing.typed_world import ATTRIBUTES, KINDS, TypedWorld


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_each_kind_has_its_headroom_and_the_groups_that_are_found(kind: str, seed: int) -> None:
    world = TypedWorld.of_kind(kind, seed)
    assert world.true_headroom == pytest.approx(world.headroom, abs=1e-9)
    assert np.array_equal(world.demonstrations.groups("template"), world.clusters)
    assert world.class_shares.sum() == pytest.approx(1.0)


def test_without_interaction_one_prompt_is_best_though_queries_and_prompts_differ() -> None:
    world = TypedWorld(headroom=0.0, prompt_spread=0.3)
    assert (world.rates.argmax(axis=1) == world.best_single).all()
    assert np.ptp(world.rates.mean(axis=1)) > 0.2
    assert np.ptp(world.prompt_values) > 0.02
    assert np.ptp(TypedWorld(headroom=0.0, prompt_spread=0.0).prompt_values) == pytest.approx(0.0)


def test_prompts_of_some_worlds_of_a_kind_are_equally_good() -> None:
    spreads = {TypedWorld.of_kind("no interaction", seed).prompt_spread for seed in range(9)}
    assert 0.0 in spreads
    assert len(spreads) > 1


def test_the_same_arguments_give_the_same_logs_and_another_draw_gives_others_of_the_same_world() -> None:
    world = TypedWorld(repeats=(1, 3), missing=0.2, largest_cluster=4, seed=5)
    assert world.demonstrations.sha256 == replace(world).demonstrations.sha256
    other = world.again(1, n_queries=50)
    assert np.array_equal(other.rates, world.rates)
    assert other.n_queries == 50
    check_no_leakage(world.queries, other.queries)


def test_logs_succeed_as_often_as_the_truth_says() -> None:
    world = TypedWorld(n_queries=20_000, missing=0.3, repeats=(1, 3), seed=2)
    logs = world.demonstrations
    assert logs.success_rates == pytest.approx(world.prompt_values, abs=0.015)
    assert logs.trials.sum() / (world.times_asked.sum() * world.n_prompts) == pytest.approx(0.7, abs=0.01)
    assert np.bincount(world.classes) / len(world.classes) == pytest.approx(world.class_shares, abs=0.01)


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_the_true_value_of_a_policy_is_what_fresh_queries_show(attribute: str) -> None:
    world = TypedWorld(n_queries=300, headroom=0.1, seed=4)
    policy = BestOfN(TypeMeans(attribute).fit(world.demonstrations))
    fresh = world.again(1, n_queries=20_000)
    choices = policy.choose(fresh.queries, fresh.prompts)
    shown = fresh.success_probabilities[np.arange(len(choices)), choices].mean()
    assert world.true_value(policy) == pytest.approx(shown, abs=0.008)
    assert world.true_value(policy, n_fresh=5000) == pytest.approx(world.true_value(policy), abs=0.003)


def test_the_true_value_of_a_single_prompt_and_of_any_prompt() -> None:
    world = TypedWorld(seed=3)
    for prompt, value in zip(world.prompts, world.prompt_values, strict=True):
        assert world.true_value(BestSinglePrompt(prompt.id)) == pytest.approx(value)
    assert world.true_value(RandomPrompt(0), n_fresh=20_000) == pytest.approx(world.prompt_values.mean(), abs=0.005)
    first, second = BestSinglePrompt("a"), BestSinglePrompt("b")
    assert world.true_gain(first, second) == pytest.approx(world.prompt_values[0] - world.prompt_values[1])


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_queries": 1},
        {"headroom": 1.0},
        {"headroom": -0.1},
        {"n_prompts": 1},
        {"n_types": 0},
        {"n_variants": 0},
        {"visible": 1.5},
        {"prompt_spread": -1.0},
        {"repeats": (2, 1)},
        {"repeats": (0, 1)},
        {"missing": 1.0},
        {"largest_cluster": 0},
        {"concentrated": 0.0},
        {"draw": -1},
        {"draw": 1000},
    ],
)
def test_arguments_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        TypedWorld(**wrong)  # type: ignore[arg-type]


def test_an_unreachable_headroom_and_an_unknown_kind_are_refused() -> None:
    with pytest.raises(ParameterError, match="at most"):
        _ = TypedWorld(headroom=0.9).rates
    with pytest.raises(ParameterError, match="no interaction"):
        TypedWorld.of_kind("easy", 0)
