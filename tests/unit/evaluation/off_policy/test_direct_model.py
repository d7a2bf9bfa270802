from __future__ import annotations

import numpy as np
import pytest

from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.evaluation.off_policy import cross_fitted_scores, off_policy_values, scores_by
from prompt_oirl.reward.baselines import AdditiveModel, PromptMeans


def test_no_query_is_scored_by_what_was_learnt_from_its_group(greedy) -> None:
    world = greedy()
    groups = np.arange(300) // 3
    group_of = dict(zip(world.queries, groups.tolist(), strict=True))
    n_scored = 0

    def make_scores(train, queries):
        nonlocal n_scored
        assert not {group_of[query] for query in train.queries} & {group_of[query] for query in queries}
        assert len(train.rows) < len(world.rows)
        n_scored += len(queries)
        return np.full((len(queries), 4), 0.5)

    scores = cross_fitted_scores(make_scores, world.decisions, groups=groups)
    assert n_scored == 300
    assert scores.shape == (300, 4)
    found = off_policy_values(world.decisions, world.target, scores=make_scores, groups=groups)
    assert n_scored == 600
    assert found["dm"].value is not None
    assert found["dm"].value.value == 0.5


def test_a_reward_model_is_fitted_on_the_other_folds(greedy) -> None:
    world = greedy()
    scores = cross_fitted_scores(scores_by(PromptMeans()), world.decisions, groups=np.arange(300), n_folds=3)
    rates = [world.rewards[world.chosen == prompt].mean() for prompt in range(4)]
    assert scores.mean(axis=0) == pytest.approx(rates, abs=0.03)
    assert len(np.unique(scores, axis=0)) == 3


def test_a_prompt_that_was_never_chosen_gets_the_mean_reward(greedy, make_decisions) -> None:
    world = greedy()
    kept = world.chosen != 2
    decisions = make_decisions(300, 4, world.rows[kept], world.chosen[kept], world.rewards[kept])
    scores = scores_by(PromptMeans())(decisions, world.queries[:5])
    assert scores[:, 2] == pytest.approx(world.rewards[kept].mean())
    assert scores[:, 0] == pytest.approx(world.rewards[world.chosen == 0].mean())


def test_rewards_between_0_and_1_keep_their_mean(make_decisions) -> None:
    n = 20_000
    decisions = make_decisions(20, 1, np.arange(n) % 20, np.zeros(n, int), np.full(n, 0.3))
    assert scores_by(PromptMeans())(decisions, decisions.queries)[0, 0] == pytest.approx(0.3, abs=0.02)


def test_a_model_without_probabilities_is_refused() -> None:
    with pytest.raises(ParameterError, match="scores of AdditiveModel are no probabilities"):
        scores_by(AdditiveModel())


def test_too_little_to_learn_from_is_an_error(make_decisions) -> None:
    decisions = make_decisions(3, 1, [0, 1, 2], [0, 0, 0], np.full(3, np.nan), np.ones(3))
    with pytest.raises(DataError, match="no reward to learn"):
        cross_fitted_scores(scores_by(PromptMeans()), decisions, groups=np.arange(3), n_folds=3)
    with pytest.raises(DataError, match="1 groups"):
        cross_fitted_scores(scores_by(PromptMeans()), decisions, groups=np.zeros(3, int))
