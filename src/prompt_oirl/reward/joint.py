"""One model of query ⊕ prompt features: the paper's reward model, and its released recipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator

from prompt_oirl.arrays import FloatArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ParameterError
from prompt_oirl.features.protocol import TextFeatures
from prompt_oirl.features.query_prompt import QueryPromptFeatures, pair
from prompt_oirl.records import Prompt, Query
from prompt_oirl.reward.checks import check_fitted, check_learnable, prompt_columns
from prompt_oirl.reward.learners import BoostedClassifier, Boosting, Learner, fit_classifier

__all__ = ["JointModel", "PublishedRecipe"]


class JointModel(BaseEstimator):  # type: ignore[misc]
    """P(reward = 1) from query ⊕ prompt features by boosted trees and binary cross-entropy.

    Υ(x, π) of arXiv 2309.06553. A cell is one row with label 1 that weighs its successes and one with label 0 that
    weighs its failures. Much of what it learns is how hard a query is, which changes no choice.

    With `prompt_features` and without `prompt_as_category` it scores prompts that were not in training.

    Args:
        query_features: Features of the query text; `LexicalFeatures()` if None.
        prompt_features: Features of the prompt's wording; none if None.
        prompt_as_category: Whether the prompt's number in training is a feature.
        learner: "lightgbm", or "xgboost" (an extra).
        n_rounds: Trees.
        learning_rate: What each tree adds of its fit.
        max_depth: Levels a tree.
        min_leaf: Rows that a leaf holds at least (lightgbm), or sum of p (1 - p) (xgboost).
        l2: Shrinkage of leaf values.
        feature_fraction: Share of the features that each tree may use. Below 1 many a tree has no feature of the
            prompt, and learns only how hard queries are.
        fit_fraction: Share of the queries, the first ones, that is fitted on.
        seed: Of the random choice of features.
        n_threads: Threads in `fit`; `score` uses one.
    """

    prompts_: tuple[Prompt, ...]
    features_: QueryPromptFeatures
    classifier_: BoostedClassifier

    def __init__(
        self,
        query_features: TextFeatures | None = None,
        prompt_features: TextFeatures | None = None,
        *,
        prompt_as_category: bool = True,
        learner: Learner = "lightgbm",
        n_rounds: int = 300,
        learning_rate: float = 0.03,
        max_depth: int = 4,
        min_leaf: float = 40,
        l2: float = 10.0,
        feature_fraction: float = 1.0,
        fit_fraction: float = 1.0,
        seed: int = 0,
        n_threads: int = 1,
    ) -> None:
        self.query_features = query_features
        self.prompt_features = prompt_features
        self.prompt_as_category = prompt_as_category
        self.learner = learner
        self.n_rounds = n_rounds
        self.learning_rate = learning_rate
        self.max_depth = max_depth
        self.min_leaf = min_leaf
        self.l2 = l2
        self.feature_fraction = feature_fraction
        self.fit_fraction = fit_fraction
        self.seed = seed
        self.n_threads = n_threads

    @property
    def gives_probabilities(self) -> bool:
        """True."""
        return True

    @property
    def can_score_unseen(self) -> bool:
        """Whether prompts that were not in training have features: by their wording, and not by their number."""
        return self.prompt_features is not None and not self.prompt_as_category

    def fit(self, demonstrations: Demonstrations) -> Self:
        """Learn from demonstrations and return self.

        Raises:
            DataError: A prompt has no scored trial, or fewer than two queries have one.
            ParameterError: An argument is outside what is allowed.
            MissingDependencyError: The learner is not installed.
        """
        if not 0 < self.fit_fraction <= 1:
            raise ParameterError(f"fit_fraction={self.fit_fraction}: above 0 and up to 1 is needed")
        n_fitted = max(2, int(self.fit_fraction * demonstrations.n_queries))
        learnable = check_learnable(demonstrations.select_queries(np.arange(demonstrations.n_queries)[:n_fitted]))
        features = QueryPromptFeatures(
            self.query_features, self.prompt_features, prompt_as_category=self.prompt_as_category
        )
        self.features_ = features.fit(learnable.queries, learnable.prompts)
        self.classifier_ = self._fit_cells(learnable)
        self.prompts_ = learnable.prompts
        return self

    def score(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> FloatArray:
        """Return (n_queries, n_prompts) estimated success probabilities.

        Raises:
            NotFittedError: `fit` was not called.
            UnseenPromptError: A prompt was not in training, and the model was not made to score such.
        """
        check_fitted(self)
        if not self.features_.can_score_unseen:
            prompt_columns(self, self.prompts_, prompts)
        of_queries, of_prompts = self.features_.transform(queries, prompts)
        rows = np.arange(len(queries))
        scores: FloatArray = np.empty((len(queries), len(prompts)))
        for column in range(len(prompts)):
            pairs = pair(of_queries, of_prompts, rows, np.full(len(rows), column))
            scores[:, column] = self.classifier_.probabilities(pairs) if len(rows) else 0.0
        return scores

    def _fit_cells(self, demonstrations: Demonstrations) -> BoostedClassifier:
        successes, failures = demonstrations.successes, demonstrations.trials - demonstrations.successes
        of_queries, of_prompts = self.features_.transform(demonstrations.queries, demonstrations.prompts)
        rows, columns = np.nonzero(np.stack([successes, failures], axis=-1).any(axis=-1))
        counts = np.stack([successes[rows, columns], failures[rows, columns]])
        label, cell = np.nonzero(counts)
        return fit_classifier(
            self.learner,
            pair(of_queries, of_prompts, rows[cell], columns[cell]),
            1.0 - label,
            weights=counts[label, cell].astype(np.float64),
            boosting=Boosting(
                n_rounds=self.n_rounds,
                learning_rate=self.learning_rate,
                max_depth=self.max_depth,
                min_leaf=self.min_leaf,
                l2=self.l2,
                feature_fraction=self.feature_fraction,
                seed=self.seed,
                n_threads=self.n_threads,
            ),
        )


class PublishedRecipe(JointModel):
    """The reward model as the paper's authors released it: a `JointModel` with their settings as defaults.

    XGBoost of depth 10, 2000 rounds at rate .001, on the first 80 % of the queries, with the query's and the prompt's
    embedding as features (https://github.com/holarissun/Prompt-OIRL at 6455701, step 4; embeddings of 1536 dimensions,
    of which the release holds the prompts'). `PublishedRecipe(…, n_rounds=100, learning_rate=0.02)` shrinks as much
    in a twentieth of the time. Two differences: rows are cells with weights, and XGBoost from version 2 on bins
    features and starts at the mean label where the release's version did neither.

    Args:
        query_features: Embeddings of the query text, such as `EmbedderFeatures`; `LexicalFeatures()` if None.
        prompt_features: Embeddings of the prompt's wording. Needed.
        prompt_as_category: As in `JointModel`, and so on for the others.
        learner: The library.
        n_rounds: Trees.
        learning_rate: What each tree adds of its fit.
        max_depth: Levels a tree.
        min_leaf: Sum of p (1 - p) that a leaf holds at least.
        l2: Shrinkage of leaf values.
        feature_fraction: Share of the features that each tree may use.
        fit_fraction: Share of the queries, the first ones, that is fitted on.
        seed: Without effect unless `feature_fraction` is below 1.
        n_threads: Threads in `fit`.
    """

    def __init__(
        self,
        query_features: TextFeatures | None = None,
        prompt_features: TextFeatures | None = None,
        *,
        prompt_as_category: bool = False,
        learner: Learner = "xgboost",
        n_rounds: int = 2000,
        learning_rate: float = 0.001,
        max_depth: int = 10,
        min_leaf: float = 1.0,
        l2: float = 1.0,
        feature_fraction: float = 1.0,
        fit_fraction: float = 0.8,
        seed: int = 0,
        n_threads: int = 1,
    ) -> None:
        super().__init__(
            query_features,
            prompt_features,
            prompt_as_category=prompt_as_category,
            learner=learner,
            n_rounds=n_rounds,
            learning_rate=learning_rate,
            max_depth=max_depth,
            min_leaf=min_leaf,
            l2=l2,
            feature_fraction=feature_fraction,
            fit_fraction=fit_fraction,
            seed=seed,
            n_threads=n_threads,
        )
