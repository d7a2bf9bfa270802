from __future__ import annotations

import numpy as np
import pytest

from prompt_oirl.arrays import IntArray
from prompt_oirl.errors import ParameterError
from prompt_oirl.records import Query
from prompt_oirl.reward.protocol import LeavesGroupsOut
from prompt_oirl.testing.type_means import TypeMeans
from prompt_oirl.testing.typed_world import TypedWorld

WORLD = TypedWorld(n_queries=120, missing=0.2, largest_cluster=5, repeats=(1, 2), seed=8)


@pytest.mark.parametrize("grouping", ["clusters", "anything", "queries"])
def test_leaving_a_group_out_is_fitting_without_it(grouping: str) -> None:
    logs = WORLD.demonstrations
    logs = logs.select_queries(np.flatnonzero(logs.trials.any(axis=1)))
    anything: IntArray = np.random.default_rng(0).integers(0, 20, logs.n_queries)
    groups = {"clusters": logs.groups(), "anything": anything, "queries": np.arange(logs.n_queries)}[grouping]
    model = TypeMeans(prior_trials=5)
    assert isinstance(model, LeavesGroupsOut)
    left_out = model.leave_groups_out(logs, [groups])[0]
    for group in np.unique(groups):
        inside = np.flatnonzero(groups == group)
        refitted = TypeMeans(prior_trials=5).fit(logs.select_queries(np.flatnonzero(groups != group)))
        assert left_out[inside] == pytest.approx(refitted.score([logs.queries[i] for i in inside], logs.prompts))


def test_with_many_trials_scores_are_the_success_rates_of_the_type() -> None:
    world = TypedWorld(n_queries=8000, headroom=0.1, seed=1)
    model = TypeMeans(prior_trials=1).fit(world.demonstrations)
    scores = model.score([Query(f"type {letter}") for letter in "abcdefgh"], world.prompts)
    shares, rates = (each.reshape(8, 6, -1) for each in (world.class_shares, world.rates))
    assert scores == pytest.approx((shares * rates).sum(axis=1) / shares.sum(axis=1), abs=0.08)


def test_a_type_that_was_not_in_training_has_the_rates_of_all() -> None:
    logs = WORLD.demonstrations
    scores = TypeMeans().fit(logs).score([Query("type zz: new")], logs.prompts)
    assert scores[0] == pytest.approx(logs.success_rates)


def test_the_more_smoothing_the_less_types_matter() -> None:
    logs = WORLD.demonstrations
    spreads = []
    for prior_trials in (1.0, 1e9):
        scores = TypeMeans(prior_trials=prior_trials).fit(logs).score(logs.queries, logs.prompts)
        advantages = scores - scores.mean(axis=1, keepdims=True)
        spreads.append(advantages.std(axis=0).max())
    assert spreads[0] > 0.05
    assert spreads[1] < 1e-6


def test_no_smoothing_is_refused() -> None:
    logs = WORLD.demonstrations
    with pytest.raises(ParameterError, match="prior_trials"):
        TypeMeans(prior_trials=0).fit(logs)
    with pytest.raises(ParameterError, match="prior_trials"):
        TypeMeans(prior_trials=-1).leave_groups_out(logs, [logs.groups()])[0]
