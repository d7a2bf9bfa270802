from __future__ import annotations

import json

import numpy as np
import pytest

from prompt_oirl.errors import LeakageError, UnseenPromptError
from prompt_oirl.evaluation import evaluate, gain, policy_value
from prompt_oirl.policies import BestSinglePrompt, Oracle, RandomPrompt
from prompt_oirl.testing import SyntheticWorld


@pytest.fixture(scope="module")
def world() -> SyntheticWorld:
    return SyntheticWorld(n_queries=300, seed=3)


def test_evaluation_gathers_what_its_parts_say(world: SyntheticWorld) -> None:
    train, test = world.demonstrations.split(seed=1)
    policy, baseline = RandomPrompt(0), BestSinglePrompt.chosen_on(train)
    found = evaluate(policy, test, baseline=baseline, train=train)
    choices, single = (each.choose(test.queries, test.prompts) for each in (policy, baseline))
    assert found.gain == gain(test, choices, single, groups=test.groups())
    assert found.gain_by_bootstrap == gain(test, choices, single, groups=test.groups(), method="bootstrap")
    assert found.value == policy_value(test, choices, groups=test.groups())
    assert found.baseline_value == policy_value(test, single, groups=test.groups())
    assert found.baseline_value.n_queries == (test.trials[:, single[0]] > 0).sum() < test.n_queries
    assert found.regret.value > 0
    assert sum(entry.n_queries for entry in found.win_map) == test.n_queries
    assert found.n_missing_cells == (test.trials == 0).sum() > 0
    assert found.n_unscored == test.unscored.sum() > 0
    assert found.is_leakage_checked


def test_with_nothing_missing_the_gain_is_the_difference_of_the_values() -> None:
    logs = SyntheticWorld(n_queries=200, missing=0, unparsable=0, seed=3).demonstrations
    found = evaluate(RandomPrompt(0), logs, baseline=BestSinglePrompt("small-steps"))
    assert found.value.value - found.baseline_value.value == pytest.approx(found.gain.value)


def test_evaluation_is_json_and_text(world: SyntheticWorld) -> None:
    logs = world.demonstrations
    found = evaluate(Oracle(logs), logs, baseline=BestSinglePrompt("small-steps"))
    read = json.loads(json.dumps(found.to_dict()))
    assert read["gain"]["value"] == found.gain.value
    assert read["win_map"][0]["prompt_id"] == "at-once"
    assert read["is_leakage_checked"] is False
    assert f"gain                  {found.gain}" in str(found)
    assert "leakage not checked" in str(found)


def test_the_oracle_has_all_the_headroom_and_no_regret(world: SyntheticWorld) -> None:
    logs = world.demonstrations
    found = evaluate(Oracle(logs), logs, baseline=BestSinglePrompt("small-steps"))
    assert found.share_of_inflated_headroom is not None
    assert found.share_of_inflated_headroom.value == pytest.approx(1.0)
    assert found.regret.value == 0.0
    assert found.gain.low > 0


def test_evaluation_refuses_leakage(world: SyntheticWorld) -> None:
    logs = world.demonstrations
    half = logs.select_queries(np.arange(150))
    with pytest.raises(LeakageError, match=r"1\d\d of 300 test queries"):
        evaluate(RandomPrompt(0), logs, baseline=BestSinglePrompt("retell"), train=half)


def test_near_duplicates_are_leakage_unless_grouped_by_question(world: SyntheticWorld) -> None:
    groups = world.demonstrations.groups()
    _, first = np.unique(groups, return_index=True)
    train = world.demonstrations.select_queries(first)
    test = world.demonstrations.select_queries(np.setdiff1d(np.arange(300), first))
    baseline = BestSinglePrompt.chosen_on(train)
    with pytest.raises(LeakageError, match="up to numbers"):
        evaluate(RandomPrompt(0), test, baseline=baseline, train=train)
    assert evaluate(RandomPrompt(0), test, baseline=baseline, train=train, by="question").by == "question"


def test_the_baseline_must_be_among_the_prompts(world: SyntheticWorld) -> None:
    with pytest.raises(UnseenPromptError, match="'unknown'"):
        evaluate(RandomPrompt(0), world.demonstrations, baseline=BestSinglePrompt("unknown"))
