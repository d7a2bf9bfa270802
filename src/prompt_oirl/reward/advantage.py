"""Regress the advantage of each prompt, not the reward: only differences between prompts can change a choice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import lightgbm
import numpy as np
from sklearn.base import BaseEstimator

from prompt_oirl.arrays import FloatArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.features.protocol import TextFeatures
from prompt_oirl.records import Prompt, Query
from prompt_oirl.reward.checks import check_fitted, check_learnable, fit_features, prompt_columns, query_features
from prompt_oirl.reward.targets import advantage_weights, advantages
from prompt_oirl.reward.trees import SmallTrees

__all__ = ["AdvantageModel"]


class AdvantageModel(BaseEstimator):  # type: ignore[misc]
    """One gradient-boosted regression a prompt of `prompt_oirl.reward.targets.advantages` on query features.

    Small trees, a low rate, many queries a leaf and strong shrinkage: differences between prompts are small beside
    the noise of single trials. Scores are advantages, success rate less the mean prompt's, not probabilities.

    Args:
        features: Features of the query text; `LexicalFeatures()` if None.
        n_rounds: Trees a prompt and seed.
        learning_rate: What each tree adds of its fit.
        n_leaves: Leaves a tree, at most 64; up to 8 predict fastest.
        min_leaf: Queries a leaf holds at least.
        l2: Shrinkage of leaf values, in trials.
        feature_fraction: Share of the features that each tree may use.
        n_bins: Bins a feature is cut into at most; 63 fit twice as fast as 255, and choose no worse.
        n_seeds: Fits averaged, each with its own random choice of features.
        seed: Of the first fit; the others count on from it.
        n_threads: Threads of LightGBM in `fit`; `score` uses one.
    """

    prompts_: tuple[Prompt, ...]
    features_: TextFeatures
    trees_: SmallTrees
    """The trees, an output a prompt."""

    def __init__(
        self,
        features: TextFeatures | None = None,
        *,
        n_rounds: int = 300,
        learning_rate: float = 0.01,
        n_leaves: int = 8,
        min_leaf: int = 40,
        l2: float = 10.0,
        feature_fraction: float = 0.3,
        n_bins: int = 63,
        n_seeds: int = 3,
        seed: int = 0,
        n_threads: int = 1,
    ) -> None:
        self.features = features
        self.n_rounds = n_rounds
        self.learning_rate = learning_rate
        self.n_leaves = n_leaves
        self.min_leaf = min_leaf
        self.l2 = l2
        self.feature_fraction = feature_fraction
        self.n_bins = n_bins
        self.n_seeds = n_seeds
        self.seed = seed
        self.n_threads = n_threads

    @property
    def gives_probabilities(self) -> bool:
        """False: scores are advantages."""
        return False

    def fit(self, demonstrations: Demonstrations) -> Self:
        """Learn from demonstrations and return self.

        Raises:
            DataError: A prompt has no scored trial, or none on a query that another prompt was tried on too.
            ParameterError: `n_seeds` or `n_rounds` is below 1, or `n_leaves` outside 2 … 64.
        """
        if min(self.n_seeds, self.n_rounds) < 1 or not 2 <= self.n_leaves <= 64:
            raise ParameterError(
                f"n_seeds={self.n_seeds}, n_rounds={self.n_rounds}, n_leaves={self.n_leaves}: "
                "at least 1, at least 1, and 2 to 64 are needed"
            )
        learnable = check_learnable(demonstrations)
        self.features_ = fit_features(self.features, learnable.queries)
        X = query_features(self.features_, learnable.queries)
        boosters = self._boost(X, learnable)
        self.trees_ = SmallTrees.from_boosters(boosters, n_features=X.shape[1])
        self.prompts_ = learnable.prompts
        return self

    def score(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> FloatArray:
        """Return (n_queries, n_prompts) estimated advantages.

        Raises:
            NotFittedError: `fit` was not called.
            UnseenPromptError: A prompt was not in training.
        """
        check_fitted(self)
        columns = prompt_columns(self, self.prompts_, prompts)
        return self.trees_.predict(query_features(self.features_, queries))[:, columns]

    def _boost(self, X: FloatArray, demonstrations: Demonstrations) -> list[list[lightgbm.Booster]]:
        """Return the boosters of each prompt, one a seed; features are binned once for all of them."""
        targets, weights = advantages(demonstrations), advantage_weights(demonstrations)
        binned = lightgbm.Dataset(X, free_raw_data=False, params=self._parameters(self.seed)).construct()
        boosters = []
        for k, prompt in enumerate(demonstrations.prompts):
            rows = np.flatnonzero(weights[:, k])
            if not len(rows):
                raise DataError(
                    f"prompt {prompt.id!r} was never tried on a query that another prompt was tried on too, so they "
                    "cannot be compared within a query; log both on some queries, or use JointModel or LogisticModel"
                )
            data = binned if len(rows) == len(X) else binned.subset(rows.tolist())
            data.construct().set_label(targets[rows, k]).set_weight(weights[rows, k])
            seeds = range(self.seed, self.seed + self.n_seeds)
            boosters.append([lightgbm.train(self._parameters(seed), data, self.n_rounds) for seed in seeds])
        return boosters

    def _parameters(self, seed: int) -> dict[str, Any]:
        return {
            "objective": "regression",
            "learning_rate": self.learning_rate,
            "num_leaves": self.n_leaves,
            "min_data_in_leaf": self.min_leaf,
            "min_sum_hessian_in_leaf": 0.0,
            "lambda_l2": self.l2,
            "feature_fraction": self.feature_fraction,
            "max_bin": self.n_bins,
            "seed": seed,
            "num_threads": self.n_threads,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
