from __future__ import annotations

from typing import Self

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.features.lexical import LexicalFeatures
from prompt_oirl.reward.advantage import AdvantageModel
from prompt_oirl.reward.calibration import CalibratedModel, Calibration
from prompt_oirl.reward.logistic import LogisticModel

FEATURES = LexicalFeatures(10, 5)
METHODS = [Calibration.isotonic, Calibration.platt]


@pytest.mark.parametrize("fit", METHODS)
def test_overconfident_scores_are_put_right(fit) -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.3, 0.7, 20_000)
    overconfident = 1 / (1 + np.exp(-6 * np.log(truth / (1 - truth))))
    trials = rng.integers(1, 5, 20_000).astype(float)
    calibration = fit(np.log(overconfident / (1 - overconfident)), trials, rng.binomial(trials.astype(int), truth))
    found = calibration.apply(np.log(overconfident / (1 - overconfident)))
    assert np.sqrt(np.mean((found - truth) ** 2)) < 0.03


@settings(deadline=None, max_examples=30)
@pytest.mark.parametrize("fit", METHODS)
@given(scores=st.lists(st.floats(-100, 100), min_size=2, max_size=30), seed=st.integers(0, 1000))
def test_maps_rise_strictly_and_stay_within_0_and_1(fit, scores: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.unique(np.round(scores, 3))
    trials = rng.integers(1, 4, len(values))
    found = fit(values, trials.astype(float), rng.binomial(trials, rng.random())).apply(values)
    assert (np.diff(found) > 0).all()
    assert found.min() >= 0
    assert found.max() <= 1


@pytest.mark.parametrize("method", ["isotonic", "platt"])
def test_no_choice_changes(method, demonstrations: Demonstrations) -> None:
    model = AdvantageModel(FEATURES, n_rounds=30, n_seeds=1)
    calibrated = CalibratedModel(model, method=method, by="question").fit(demonstrations)
    raw = model.fit(demonstrations).score(demonstrations.queries, demonstrations.prompts)
    found = calibrated.score(demonstrations.queries, demonstrations.prompts)
    np.testing.assert_array_equal(np.argsort(found, axis=1), np.argsort(raw, axis=1))


def test_scores_are_held_out(demonstrations: Demonstrations) -> None:
    """A model that knows its training rewards by heart, and nothing else, gets the base rate."""

    class ByHeart(BaseEstimator):
        gives_probabilities = True

        def fit(self, demonstrations: Demonstrations) -> Self:
            self.known_ = dict(zip(demonstrations.queries, demonstrations.rewards, strict=True))
            return self

        def score(self, queries, prompts):
            guess = np.random.default_rng(len(queries)).random(len(prompts))
            return np.array([self.known_.get(query, guess) for query in queries])

    calibrated = CalibratedModel(ByHeart(), by="question").fit(demonstrations)
    found = calibrated.score(demonstrations.queries, demonstrations.prompts)
    base_rate = demonstrations.successes.sum() / demonstrations.trials.sum()
    assert np.abs(found - base_rate).mean() < 0.1


def test_a_prompt_tried_in_one_fold_only(with_missing: Demonstrations) -> None:
    trials = with_missing.trials.copy()
    trials[1:, 3] = 0
    trials[0] = 1
    logs = Demonstrations(
        queries=with_missing.queries,
        prompts=with_missing.prompts,
        trials=trials,
        successes=np.minimum(trials, with_missing.successes),
        unscored=with_missing.unscored,
    )
    found = CalibratedModel(LogisticModel(FEATURES), by="question").fit(logs).score(logs.queries, logs.prompts)
    assert np.isfinite(found).all()
