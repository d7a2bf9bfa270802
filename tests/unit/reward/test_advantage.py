from __future__ import annotations

import numpy as np
import pytest

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError
from prompt_oirl.features.lexical import LexicalFeatures
from prompt_oirl.reward.advantage import AdvantageModel

FEATURES = LexicalFeatures(10, 5)


def test_scores_are_advantages(demonstrations: Demonstrations) -> None:
    model = AdvantageModel(FEATURES, n_rounds=100, learning_rate=0.1, l2=1.0, feature_fraction=0.5)
    scores = model.fit(demonstrations).score(demonstrations.queries, demonstrations.prompts)
    rewards = np.array([[0.9, 0.3, 0.5, 0.4], [0.3, 0.8, 0.5, 0.4]])
    truth = rewards - rewards.mean(axis=1, keepdims=True)
    for kind in range(2):
        np.testing.assert_allclose(scores[kind::2].mean(axis=0), truth[kind], atol=0.1)


def test_without_splits_the_choice_is_the_best_single_prompt(demonstrations: Demonstrations) -> None:
    scores = (
        AdvantageModel(FEATURES, min_leaf=1000)
        .fit(demonstrations)
        .score(demonstrations.queries, demonstrations.prompts)
    )
    rates = demonstrations.success_rates
    np.testing.assert_allclose(scores, np.tile(rates - rates.mean(), (240, 1)), atol=1e-6)


def test_more_seeds_are_averaged(demonstrations: Demonstrations) -> None:
    def scores(**parameters: int) -> np.ndarray:
        model = AdvantageModel(FEATURES, n_rounds=20, learning_rate=0.1, **parameters).fit(demonstrations)
        return model.score(demonstrations.queries, demonstrations.prompts)

    both = (scores(seed=3, n_seeds=1) + scores(seed=4, n_seeds=1)) / 2
    np.testing.assert_allclose(scores(seed=3, n_seeds=2), both, atol=1e-12)
    assert not np.array_equal(scores(seed=3, n_seeds=1), scores(seed=4, n_seeds=1))


def test_trials_weigh(demonstrations: Demonstrations) -> None:
    """Cells of more trials count more: turned around but tried once, half of the queries change little."""
    trials = np.where(np.arange(240)[:, None] < 120, 50, 1) * np.ones((1, 4), dtype=int)
    rate = np.array([[0.9, 0.3, 0.5, 0.4], [0.3, 0.8, 0.5, 0.4]])[np.arange(240) % 2]
    successes = np.rint(trials * np.where(np.arange(240)[:, None] < 120, rate, 1 - rate)).astype(int)
    logs = Demonstrations(
        queries=demonstrations.queries,
        prompts=demonstrations.prompts,
        trials=trials,
        successes=successes,
        unscored=np.zeros_like(trials),
    )
    scores = AdvantageModel(FEATURES, n_rounds=60, learning_rate=0.1).fit(logs).score(logs.queries, logs.prompts)
    assert scores[0::2].argmax(axis=1).tolist() == [0] * 120
    assert scores[1::2].argmax(axis=1).tolist() == [1] * 120


def test_prompts_that_share_no_query_cannot_be_compared(demonstrations: Demonstrations) -> None:
    trials = demonstrations.trials.copy()
    trials[::2, 3] = 0
    trials[1::2, :3] = 0
    logs = Demonstrations(
        queries=demonstrations.queries,
        prompts=demonstrations.prompts,
        trials=trials,
        successes=np.minimum(trials, demonstrations.successes),
        unscored=demonstrations.unscored,
    )
    with pytest.raises(DataError, match="prompt 'p3' was never tried on a query that another prompt was tried on"):
        AdvantageModel(FEATURES).fit(logs)
