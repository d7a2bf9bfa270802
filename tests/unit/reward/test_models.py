"""What holds for every reward model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, NotFittedError, ParameterError, UnseenPromptError
from prompt_oirl.features.lexical import LexicalFeatures
from prompt_oirl.persistence import pack, unpack
from prompt_oirl.records import Prompt, Query
from prompt_oirl.reward import saved_types
from prompt_oirl.reward.advantage import AdvantageModel
from prompt_oirl.reward.baselines import AdditiveModel, Lookup, PromptMeans
from prompt_oirl.reward.calibration import CalibratedModel
from prompt_oirl.reward.joint import JointModel, PublishedRecipe
from prompt_oirl.reward.logistic import LogisticModel
from prompt_oirl.reward.neighbours import NearestNeighbours
from prompt_oirl.reward.protocol import RewardModel

FEATURES = LexicalFeatures(10, 5)
MODELS: dict[str, Callable[[], Any]] = {
    "prompt_means": PromptMeans,
    "lookup": Lookup,
    "additive": lambda: AdditiveModel(FEATURES),
    "knn": lambda: NearestNeighbours(FEATURES, n_neighbours=20),
    "logistic": lambda: LogisticModel(FEATURES),
    "joint": lambda: JointModel(FEATURES, n_rounds=100, min_leaf=10),
    "joint_xgboost": lambda: JointModel(FEATURES, learner="xgboost", n_rounds=60, learning_rate=0.2, min_leaf=1),
    "published_recipe": lambda: PublishedRecipe(FEATURES, FEATURES, n_rounds=20, learning_rate=0.1),
    "advantage": lambda: AdvantageModel(FEATURES, n_rounds=40, learning_rate=0.1, n_seeds=2),
    "calibrated": lambda: CalibratedModel(LogisticModel(FEATURES), by="question"),
}
CONSTANT_CHOICE = {"prompt_means", "lookup", "additive"}
NEEDS = {"joint_xgboost": "xgboost", "published_recipe": "xgboost"}


@pytest.fixture(params=list(MODELS))
def model(request: pytest.FixtureRequest) -> Any:
    if request.param in NEEDS:
        pytest.importorskip(NEEDS[request.param], reason="an extra that is not installed")
    return MODELS[request.param]()


@pytest.fixture
def new_queries() -> list[Query]:
    return [Query("Bob shares 7 pears among 3 friends. How many does each get?"), Query("A car runs 5 miles. How far?")]


def test_scores_have_a_row_a_query_and_a_column_a_prompt(model, demonstrations, new_queries) -> None:
    assert isinstance(model, RewardModel)
    prompts = demonstrations.prompts
    scores = model.fit(demonstrations).score(new_queries, prompts)
    assert scores.shape == (2, 4)
    assert np.isfinite(scores).all()
    some = model.score(new_queries, [prompts[2], prompts[0]])
    np.testing.assert_allclose(some, scores[:, [2, 0]], rtol=1e-10)
    assert model.score([], prompts).shape == (0, 4)
    if model.gives_probabilities:
        assert scores.min() >= 0
        assert scores.max() <= 1


@pytest.mark.parametrize("logs", ["demonstrations", "with_missing"])
def test_learns_which_prompt_suits_which_query(request, model, logs: str, held_out) -> None:
    logged = request.getfixturevalue(logs)
    choices = model.fit(logged).score(held_out.queries, held_out.prompts).argmax(axis=1)
    if request.node.callspec.params["model"] in CONSTANT_CHOICE:
        assert set(choices) == {0}
    else:
        best = np.arange(held_out.n_queries) % 2
        assert (choices == best).mean() > 0.85


def test_same_parameters_same_scores(model, with_missing, new_queries) -> None:
    one = model.fit(with_missing).score(new_queries, with_missing.prompts)
    two = clone(model).fit(with_missing).score(new_queries, with_missing.prompts)
    np.testing.assert_array_equal(one, two)


def test_fit_only_adds_attributes_that_end_in_an_underscore(model, demonstrations) -> None:
    before = dict(vars(model))
    assert model.fit(demonstrations) is model
    assert set(vars(model)) - set(before) == {name for name in vars(model) if name.endswith("_")}
    assert all(vars(model)[name] is value for name, value in before.items())
    assert set(model.get_params(deep=False)) == set(before)


def test_queries_without_a_scored_trial_teach_nothing(model, demonstrations, new_queries) -> None:
    if isinstance(model, PublishedRecipe):
        pytest.skip("fits on a share of all queries")
    nothing = np.zeros((1, 4), dtype=int)
    more = Demonstrations(
        queries=(*demonstrations.queries, Query("never scored")),
        prompts=demonstrations.prompts,
        trials=np.vstack([demonstrations.trials, nothing]),
        successes=np.vstack([demonstrations.successes, nothing]),
        unscored=np.vstack([demonstrations.unscored, nothing + 5]),
    )
    np.testing.assert_array_equal(
        model.fit(more).score(new_queries, more.prompts),
        clone(model).fit(demonstrations).score(new_queries, more.prompts),
    )


def test_used_before_fit(model, new_queries, demonstrations) -> None:
    with pytest.raises(NotFittedError, match=r"call fit"):
        model.score(new_queries, demonstrations.prompts)


def test_unseen_prompts(model, demonstrations, new_queries) -> None:
    model.fit(demonstrations)
    new = Prompt.from_text("Another wording.", id="new")
    if isinstance(model, PublishedRecipe):
        assert model.score(new_queries, [new]).shape == (2, 1)
        return
    with pytest.raises(UnseenPromptError, match="'new' was not in training"):
        model.score(new_queries, [new])
    with pytest.raises(UnseenPromptError, match=r"'p0' was in training with another template.*JointModel"):
        model.score(new_queries, [Prompt.from_text("Another wording.", id="p0")])


def test_a_prompt_without_trials_is_named(model, demonstrations) -> None:
    columns = demonstrations.trials.copy()
    columns[:, 2] = 0
    untried = Demonstrations(
        queries=demonstrations.queries,
        prompts=demonstrations.prompts,
        trials=columns,
        successes=np.minimum(columns, demonstrations.successes),
        unscored=demonstrations.unscored,
    )
    with pytest.raises(DataError, match=r"prompt 'p2' has no scored trial in training \(1 of 4"):
        model.fit(untried)


def test_one_query_is_too_few(model, demonstrations) -> None:
    with pytest.raises(DataError, match="at least 2 are needed"):
        model.fit(demonstrations.select_queries(np.array([0])))


def test_very_few_queries(request, model, demonstrations, new_queries) -> None:
    few = demonstrations.select_queries(np.arange(6))
    scores = model.fit(few).score(new_queries, few.prompts)
    assert np.isfinite(scores).all()


def test_one_prompt(model, demonstrations, new_queries) -> None:
    one = demonstrations.select_prompts([1])
    scores = model.fit(one).score(new_queries, one.prompts)
    assert scores.shape == (2, 1)
    assert np.isfinite(scores).all()


def test_features_that_are_not_finite_are_named(model, demonstrations) -> None:
    class Broken(LexicalFeatures):
        def transform(self, texts):
            values = super().transform(texts)
            values[np.char.find(np.array(texts), "train") >= 0, 3] = np.nan
            return values

    inner = model.model if isinstance(model, CalibratedModel) else model
    name = next((name for name in inner.get_params(deep=False) if name in ("features", "query_features")), None)
    if name is None:
        pytest.skip("uses no features")
    inner.set_params(**{name: Broken(3, 2)})
    with pytest.raises(DataError, match="feature 3 of Broken is nan for the text 'A train runs"):
        model.fit(demonstrations)
    inner.set_params(**{name: FEATURES})


def test_can_be_saved_without_pickle(model, demonstrations, new_queries) -> None:
    scores = model.fit(demonstrations).score(new_queries, demonstrations.prompts)
    types = saved_types() | {"Prompt": Prompt}
    loaded = unpack(*pack(model, types), types)
    np.testing.assert_array_equal(loaded.score(new_queries, demonstrations.prompts), scores)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Lookup(prior_trials=0), "prior_trials=0"),
        (lambda: AdditiveModel(l2=0), "l2=0"),
        (lambda: LogisticModel(l2=-1), "l2=-1"),
        (lambda: NearestNeighbours(n_neighbours=0), "n_neighbours=0"),
        (lambda: AdvantageModel(n_leaves=65), "n_leaves=65"),
        (lambda: AdvantageModel(n_seeds=0), "n_seeds=0"),
        (lambda: JointModel(FEATURES, n_rounds=0), "n_rounds=0"),
        (lambda: JointModel(FEATURES, learning_rate=0), "learning_rate=0"),
        (lambda: JointModel(FEATURES, fit_fraction=0), "fit_fraction=0"),
        (lambda: JointModel(FEATURES, learner="catboost"), "learner='catboost'"),
        (lambda: JointModel(FEATURES, prompt_as_category=False), "nothing tells the prompts apart"),
        (lambda: CalibratedModel(PromptMeans(), method="beta"), "method='beta'"),
        (lambda: CalibratedModel(PromptMeans(), n_folds=1000), "1000 folds"),
    ],
)
def test_parameters_are_checked(make, message: str, demonstrations) -> None:
    with pytest.raises(ParameterError, match=message):
        make().fit(demonstrations)
