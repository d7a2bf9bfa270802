from __future__ import annotations

import sys

import numpy as np
import pytest

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import MissingDependencyError
from prompt_oirl.features.embedders import EmbedderFeatures, PrecomputedEmbedder
from prompt_oirl.features.lexical import LexicalFeatures
from prompt_oirl.records import Prompt
from prompt_oirl.reward.joint import JointModel, PublishedRecipe
from prompt_oirl.reward.learners import Boosting, fit_classifier

FEATURES = LexicalFeatures(10, 5)


@pytest.mark.parametrize("learner", ["lightgbm", "xgboost"])
def test_weighted_cells_are_as_good_as_rows(learner) -> None:
    if learner == "xgboost":
        pytest.importorskip("xgboost", reason="the extra `xgboost` is not installed")
    rng = np.random.default_rng(0)
    X = rng.integers(-2, 3, (300, 3)).astype(np.float32)
    labels = (rng.random(300) < 0.5 + 0.3 * np.sign(X[:, 0])).astype(float)
    weights = rng.integers(1, 4, 300)
    boosting = Boosting(
        n_rounds=20, learning_rate=0.1, max_depth=3, min_leaf=0, l2=1, feature_fraction=1, seed=0, n_threads=1
    )
    weighted = fit_classifier(learner, X, labels, weights=weights.astype(float), boosting=boosting)
    rows = np.repeat(np.arange(300), weights)
    repeated = fit_classifier(learner, X[rows], labels[rows], weights=np.ones(len(rows)), boosting=boosting)
    np.testing.assert_allclose(weighted.probabilities(X), repeated.probabilities(X), atol=1e-5)
    assert np.corrcoef(weighted.probabilities(X), labels)[0, 1] > 0.4


def test_a_new_prompt_scores_like_the_one_it_resembles(demonstrations: Demonstrations) -> None:
    vectors = {prompt.text: [float(k), float(k == 1)] for k, prompt in enumerate(demonstrations.prompts)}
    new = Prompt.from_text("Much like number 1.")
    vectors[new.text] = [1.1, 0.9]
    wording = EmbedderFeatures(PrecomputedEmbedder(list(vectors), np.array(list(vectors.values()))))
    model = JointModel(FEATURES, wording, prompt_as_category=False, min_leaf=10, feature_fraction=1.0)
    scores = model.fit(demonstrations).score(demonstrations.queries, [*demonstrations.prompts, new])
    distance = np.abs(scores[:, :4] - scores[:, 4:]).mean(axis=0)
    assert distance.argmin() == 1


def test_published_recipe_has_the_settings_of_the_release() -> None:
    parameters = PublishedRecipe().get_params()
    released = {"learner": "xgboost", "max_depth": 10, "learning_rate": 0.001, "n_rounds": 2000, "fit_fraction": 0.8}
    assert parameters | released == parameters
    assert set(parameters) == set(JointModel().get_params())


def test_fit_fraction_leaves_the_last_queries_out(demonstrations: Demonstrations) -> None:
    spoiled = demonstrations.successes.copy()
    spoiled[120:] = demonstrations.trials[120:] - spoiled[120:]
    logs = Demonstrations(
        queries=demonstrations.queries,
        prompts=demonstrations.prompts,
        trials=demonstrations.trials,
        successes=spoiled,
        unscored=demonstrations.unscored,
    )
    half = JointModel(FEATURES, fit_fraction=0.5, n_rounds=20).fit(logs)
    same = JointModel(FEATURES, n_rounds=20).fit(demonstrations.select_queries(np.arange(120)))
    queries, prompts = logs.queries[:9], logs.prompts
    np.testing.assert_array_equal(half.score(queries, prompts), same.score(queries, prompts))


def test_missing_xgboost_says_how_to_get_it(demonstrations: Demonstrations, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(MissingDependencyError, match=r"prompt-oirl\[xgboost\]"):
        JointModel(FEATURES, learner="xgboost").fit(demonstrations)
