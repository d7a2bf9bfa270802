"""Boosted classifiers of rows with weights: LightGBM and XGBoost behind one small interface."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

import lightgbm
import numpy as np
from numpy.typing import NDArray

from prompt_oirl.arrays import FloatArray
from prompt_oirl.errors import ParameterError
from prompt_oirl.optional import import_optional

__all__ = ["BoostedClassifier", "Boosting", "Learner", "LightGBMClassifier", "XGBoostClassifier", "fit_classifier"]

Learner = Literal["lightgbm", "xgboost"]


@dataclass(frozen=True)
class Boosting:
    """How trees are grown and added.

    Raises:
        ParameterError: A number is outside what is allowed.
    """

    n_rounds: int
    """Trees."""

    learning_rate: float
    """What each tree adds of its fit."""

    max_depth: int
    """Levels a tree, at most 16; a tree has up to 2 to the power of that many leaves."""

    min_leaf: float
    """Rows that a leaf holds at least (LightGBM), or sum of p (1 - p) over them (XGBoost)."""

    l2: float
    """Shrinkage of leaf values."""

    feature_fraction: float
    """Share of the features that each tree may use."""

    seed: int
    n_threads: int

    def __post_init__(self) -> None:
        if self.n_rounds < 1 or not 1 <= self.max_depth <= 16 or not 0 < self.feature_fraction <= 1:
            raise ParameterError(
                f"n_rounds={self.n_rounds}, max_depth={self.max_depth}, feature_fraction={self.feature_fraction}: "
                "at least 1, 1 to 16, and above 0 up to 1 are needed"
            )
        if not self.learning_rate > 0:
            raise ParameterError(f"learning_rate={self.learning_rate}: a positive number is needed")


class BoostedClassifier(Protocol):
    """A fitted classifier."""

    def probabilities(self, X: FloatArray) -> FloatArray:
        """Return (n_rows,) P(label = 1)."""
        ...


@dataclass(frozen=True, eq=False)
class LightGBMClassifier:
    """A LightGBM model, held as its text."""

    text: str
    """What `lightgbm.Booster.model_to_string` gives."""

    def probabilities(self, X: FloatArray) -> FloatArray:
        """Return (n_rows,) P(label = 1)."""
        # One thread: on a busy machine several are slower, for few rows by far.
        return np.asarray(self._booster.predict(X, num_threads=1), dtype=np.float64)

    @cached_property
    def _booster(self) -> lightgbm.Booster:
        return lightgbm.Booster(model_str=self.text)


@dataclass(frozen=True, eq=False)
class XGBoostClassifier:
    """An XGBoost model, held as its bytes."""

    raw: NDArray[np.uint8]
    """(n_bytes,) what `xgboost.Booster.save_raw` gives, in universal binary JSON."""

    def probabilities(self, X: FloatArray) -> FloatArray:
        """Return (n_rows,) P(label = 1)."""
        return np.asarray(self._booster.inplace_predict(X), dtype=np.float64)

    @cached_property
    def _booster(self) -> Any:
        booster = import_optional("xgboost", extra="xgboost").Booster({"nthread": 1})
        booster.load_model(bytearray(self.raw.tobytes()))
        return booster


def fit_classifier(
    learner: Learner, X: FloatArray, labels: FloatArray, *, weights: FloatArray, boosting: Boosting
) -> BoostedClassifier:
    """Fit by binary cross-entropy.

    Args:
        learner: The library.
        X: (n_rows, n_features) finite features.
        labels: (n_rows,) 0 or 1.
        weights: (n_rows,) what each row counts.
        boosting: How trees are grown.

    Raises:
        MissingDependencyError: The learner is xgboost, which is an extra, and it is not installed.
        ParameterError: There is no learner of that name.
    """
    if learner == "lightgbm":
        return _fit_lightgbm(X, labels, weights, boosting)
    if learner == "xgboost":
        return _fit_xgboost(X, labels, weights, boosting)
    raise ParameterError(f"learner={learner!r}: use 'lightgbm' or 'xgboost'")


def _fit_lightgbm(X: FloatArray, labels: FloatArray, weights: FloatArray, boosting: Boosting) -> BoostedClassifier:
    parameters = {
        "objective": "binary",
        "learning_rate": boosting.learning_rate,
        "max_depth": boosting.max_depth,
        "num_leaves": 2**boosting.max_depth,
        "min_data_in_leaf": max(1, round(boosting.min_leaf)),
        "min_sum_hessian_in_leaf": 0.0,
        "lambda_l2": boosting.l2,
        "feature_fraction": boosting.feature_fraction,
        "seed": boosting.seed,
        "num_threads": boosting.n_threads,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    data = lightgbm.Dataset(X, labels, weight=weights, params=parameters)
    return LightGBMClassifier(lightgbm.train(parameters, data, boosting.n_rounds).model_to_string())


def _fit_xgboost(X: FloatArray, labels: FloatArray, weights: FloatArray, boosting: Boosting) -> BoostedClassifier:
    xgboost = import_optional("xgboost", extra="xgboost")
    parameters = {
        "objective": "binary:logistic",
        "eta": boosting.learning_rate,
        "max_depth": boosting.max_depth,
        "min_child_weight": boosting.min_leaf,
        "lambda": boosting.l2,
        "colsample_bytree": boosting.feature_fraction,
        "seed": boosting.seed,
        "nthread": boosting.n_threads,
        "verbosity": 0,
    }
    data = xgboost.QuantileDMatrix(X, label=labels, weight=weights, nthread=boosting.n_threads)
    booster = xgboost.train(parameters, data, boosting.n_rounds)
    return XGBoostClassifier(np.frombuffer(booster.save_raw("ubj"), dtype=np.uint8))
