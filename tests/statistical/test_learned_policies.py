"""Policies over fitted reward models, where the truth is known: what is there is found, what is not is not claimed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.evaluation import cross_validate, evaluate, gain
from prompt_oirl.features.lexical import LexicalFeatures
from prompt_oirl.policies import BestOfN, BestSinglePrompt
from prompt_oirl.reward.advantage import AdvantageModel
from prompt_oirl.reward.baselines import AdditiveModel, Lookup, PromptMeans
from prompt_oirl.testing import SyntheticWorld


def learned(train: Demonstrations) -> BestOfN:
    model = AdvantageModel(LexicalFeatures(30, 10), n_rounds=150, learning_rate=0.03, n_seeds=1).fit(train)
    return BestOfN(model, best_single=BestSinglePrompt.chosen_on(train).prompt_id)


@pytest.fixture(scope="module")
def world() -> SyntheticWorld:
    return SyntheticWorld()


def test_the_learned_policy_beats_the_best_single_prompt_and_stays_under_the_oracle(world: SyntheticWorld) -> None:
    logs = world.demonstrations
    found = cross_validate(learned, logs, n_folds=3, seed=0)
    measured = gain(logs, found.choices, found.baseline, groups=found.groups, level=0.999)
    true_gain = world.true_gain(found.choices, found.baseline)
    assert 0 < measured.low < true_gain < measured.high
    assert 0.05 < true_gain < world.true_gain(world.oracle, found.baseline)


def test_on_held_out_queries_the_evaluation_tells_the_truth(world: SyntheticWorld) -> None:
    train, test = world.demonstrations.split(test_size=0.4, seed=0)
    policy, baseline = learned(train), BestSinglePrompt.chosen_on(train)
    found = evaluate(policy, test, baseline=baseline, train=train)
    choices, single = (each.choose(test.queries, test.prompts) for each in (policy, baseline))
    assert 0 < found.gain.low < world.true_gain(choices, single, queries=test.queries) < found.gain.high
    assert found.regret.low > 0
    assert found.share_of_inflated_headroom is not None
    assert 0 < found.share_of_inflated_headroom.value < 1


def test_without_interaction_nothing_is_claimed() -> None:
    logs = SyntheticWorld(n_queries=800, interaction=0.0, seed=2).demonstrations
    found = cross_validate(learned, logs, n_folds=3, seed=0)
    assert (found.choices != found.baseline).any()
    assert gain(logs, found.choices, found.baseline, groups=found.groups).low <= 0


def test_a_head_start_makes_fewer_changes(world: SyntheticWorld) -> None:
    train, test = world.demonstrations.split(seed=0)
    baseline = BestSinglePrompt.chosen_on(train).choose(test.queries, test.prompts)
    policy = learned(train)
    changed = [
        np.mean(replace(policy, head_start=start).choose(test.queries, test.prompts) != baseline)
        for start in (0, 0.1, 9)
    ]
    assert changed[0] > changed[1] > changed[2] == 0


@pytest.mark.parametrize("interaction", [0.0, 1.0])
def test_the_additive_model_gains_exactly_nothing_on_complete_logs(interaction: float) -> None:
    logs = SyntheticWorld(n_queries=400, interaction=interaction, missing=0, unparsable=0, seed=4).demonstrations
    found = cross_validate(lambda train: BestOfN(AdditiveModel().fit(train)), logs, n_folds=3, seed=0)
    measured = gain(logs, found.choices, found.baseline, groups=found.groups)
    assert np.array_equal(found.choices, found.baseline)
    assert (measured.value, measured.low, measured.high) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("interaction", [0.0, 1.0])
def test_the_additive_model_chooses_one_prompt_for_all(interaction: float) -> None:
    logs = SyntheticWorld(n_queries=400, interaction=interaction, missing=0.3, seed=4).demonstrations
    found = cross_validate(lambda train: BestOfN(AdditiveModel().fit(train)), logs, n_folds=3, seed=0)
    assert [len(set(found.choices[found.folds == fold])) for fold in range(3)] == [1, 1, 1]


@pytest.mark.parametrize("model", [Lookup(), PromptMeans()], ids=["look-up", "prompt means"])
def test_what_knows_only_training_queries_gains_nothing_on_new_ones(
    model: Lookup | PromptMeans, world: SyntheticWorld
) -> None:
    found = cross_validate(lambda train: BestOfN(model.fit(train)), world.demonstrations, seed=0)
    assert np.array_equal(found.choices, found.baseline)


def test_looking_training_labels_up_is_leakage_and_looks_like_a_gain() -> None:
    logs = SyntheticWorld(n_queries=400, interaction=0.0, seed=3).demonstrations
    choices = BestOfN(Lookup().fit(logs)).choose(logs.queries, logs.prompts)
    single = BestSinglePrompt.chosen_on(logs).choose(logs.queries, logs.prompts)
    assert gain(logs, choices, single, groups=logs.groups()).low > 0.1
