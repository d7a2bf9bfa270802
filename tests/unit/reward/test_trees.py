from __future__ import annotations

import lightgbm
import numpy as np
import pytest

from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.reward.trees import SmallTrees


def boost(X, y, *, n_leaves: int, n_rounds: int = 30, seed: int = 0, **parameters) -> lightgbm.Booster:
    parameters = {"objective": "regression", "num_leaves": n_leaves, "min_data_in_leaf": 3, "seed": seed} | parameters
    parameters |= {"num_threads": 1, "verbosity": -1, "feature_fraction": 0.7}
    return lightgbm.train(parameters, lightgbm.Dataset(X, y), n_rounds)


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(700, 9))
    X[:, 4:] = X[:, 4:].round()
    return X, X[:, 0] * (X[:, 4] > 0) + 0.3 * rng.normal(size=700)


@pytest.mark.parametrize("n_leaves", [2, 8, 9, 16, 17, 32, 33, 64])
def test_equals_lightgbm(data, n_leaves: int) -> None:
    X, y = data
    one, two, three = (boost(X, y * sign, n_leaves=n_leaves, seed=seed) for seed, sign in ((0, 1), (1, 1), (2, -1)))
    trees = SmallTrees.from_boosters([[one, two], [three]], n_features=9)
    new = np.vstack([X, np.random.default_rng(1).normal(size=(5000, 9)).round(1)])
    expected = np.column_stack([(one.predict(new) + two.predict(new)) / 2, three.predict(new)])
    np.testing.assert_allclose(trees.predict(new), expected, atol=1e-12)
    for rows in (1, 2, 50):
        np.testing.assert_allclose(trees.predict(new[:rows]), expected[:rows], atol=1e-12)


def test_values_on_a_threshold_go_left(data) -> None:
    X, y = data
    booster = boost(X, y, n_leaves=8)
    trees = SmallTrees.from_boosters([[booster]], n_features=9)
    thresholds = np.unique(trees.thresholds[np.isfinite(trees.thresholds)])
    new = np.repeat(thresholds[:, None], 9, axis=1)
    np.testing.assert_allclose(trees.predict(new)[:, 0], booster.predict(new), atol=1e-12)
    above = np.nextafter(new, np.inf)
    np.testing.assert_allclose(trees.predict(above)[:, 0], booster.predict(above), atol=1e-12)


def test_more_than_255_thresholds_of_one_feature() -> None:
    X = np.random.default_rng(2).normal(size=(4000, 1))
    y = np.sin(5 * X[:, 0])
    boosters = [boost(X[i::8], y[i::8], n_leaves=8, n_rounds=40) for i in range(8)]
    trees = SmallTrees.from_boosters([boosters], n_features=1)
    assert len(np.unique(trees.thresholds)) > 256
    expected = np.mean([booster.predict(X) for booster in boosters], axis=0)
    np.testing.assert_allclose(trees.predict(X)[:, 0], expected, atol=1e-12)


def test_trees_without_a_split(data) -> None:
    X, _ = data
    constant = boost(X, np.full(700, 0.25), n_leaves=8)
    trees = SmallTrees.from_boosters([[constant], [constant]], n_features=9)
    np.testing.assert_allclose(trees.predict(X), 0.25)
    assert trees.predict(np.zeros((0, 9))).shape == (0, 2)


def test_errors(data) -> None:
    X, y = data
    with pytest.raises(ParameterError, match="70 leaves; at most 64"):
        SmallTrees.from_boosters([[boost(X, y, n_leaves=70, n_rounds=1)]], n_features=9)
    category = lightgbm.train(
        {"objective": "regression", "verbosity": -1, "min_data_per_group": 5, "num_threads": 1},
        lightgbm.Dataset(np.abs(X[:, 4:]), y, categorical_feature=[0]),
        20,
    )
    with pytest.raises(ParameterError, match="category"):
        SmallTrees.from_boosters([[category]], n_features=5)
    with pytest.raises(DataError, match="rows of 9 features"):
        SmallTrees.from_boosters([[boost(X, y, n_leaves=4)]], n_features=9).predict(X[:, :3])
