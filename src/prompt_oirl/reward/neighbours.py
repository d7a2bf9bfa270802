"""Success rates among the most similar training queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ParameterError
from prompt_oirl.features.protocol import TextFeatures
from prompt_oirl.features.scaling import Scaling
from prompt_oirl.records import Prompt, Query
from prompt_oirl.reward.checks import check_fitted, check_learnable, fit_features, prompt_columns, query_features

__all__ = ["NearestNeighbours"]

_CELLS = 1 << 23
"""Distances held at once: 64 MiB."""


class NearestNeighbours(BaseEstimator):  # type: ignore[misc]
    """Score each prompt by its success rate on the nearest training queries, weighted by trials.

    Distances are Euclidean between features, standardised unless `standardise` is False (sentence embeddings, whose
    lengths mean something, are best left as they are).

    Args:
        features: Features of the query text; `LexicalFeatures()` if None.
        n_neighbours: Training queries looked at; all of them if they are fewer.
        prior_trials: A rate is drawn to the prompt's success rate as by that many more trials.
        standardise: Whether features are brought to mean 0 and deviation 1.
    """

    prompts_: tuple[Prompt, ...]
    features_: TextFeatures
    scaling_: Scaling | None
    points_: FloatArray
    """(n_queries, n_features) of the training queries."""

    trials_: IntArray
    successes_: IntArray

    def __init__(
        self,
        features: TextFeatures | None = None,
        *,
        n_neighbours: int = 50,
        prior_trials: float = 1.0,
        standardise: bool = True,
    ) -> None:
        self.features = features
        self.n_neighbours = n_neighbours
        self.prior_trials = prior_trials
        self.standardise = standardise

    @property
    def gives_probabilities(self) -> bool:
        """True."""
        return True

    def fit(self, demonstrations: Demonstrations) -> Self:
        """Learn from demonstrations and return self.

        Raises:
            DataError: A prompt has no scored trial, or fewer than two queries have one.
            ParameterError: `n_neighbours` is below 1 or `prior_trials` not positive.
        """
        if self.n_neighbours < 1 or not self.prior_trials > 0:
            raise ParameterError(
                f"n_neighbours={self.n_neighbours}, prior_trials={self.prior_trials}: at least 1, and a positive "
                "number, are needed"
            )
        learnable = check_learnable(demonstrations)
        self.features_ = fit_features(self.features, learnable.queries)
        raw = query_features(self.features_, learnable.queries)
        self.scaling_ = Scaling.of(raw) if self.standardise else None
        self.points_ = raw if self.scaling_ is None else self.scaling_.apply(raw)
        self.trials_, self.successes_ = learnable.trials, learnable.successes
        self.prompts_ = learnable.prompts
        return self

    def score(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> FloatArray:
        """Return (n_queries, n_prompts) success rates among the neighbours.

        Raises:
            NotFittedError: `fit` was not called.
            UnseenPromptError: A prompt was not in training.
        """
        check_fitted(self)
        columns = prompt_columns(self, self.prompts_, prompts)
        raw = query_features(self.features_, queries)
        X = raw if self.scaling_ is None else self.scaling_.apply(raw)
        means = self.successes_.sum(axis=0) / self.trials_.sum(axis=0)
        step = max(1, _CELLS // len(self.points_))
        rates: FloatArray = np.empty((len(X), len(self.prompts_)))
        for start in range(0, len(X), step):
            nearest = self._nearest(X[start : start + step])
            trials, successes = self.trials_[nearest].sum(axis=1), self.successes_[nearest].sum(axis=1)
            rates[start : start + step] = (successes + self.prior_trials * means) / (trials + self.prior_trials)
        return rates[:, columns]

    def _nearest(self, X: FloatArray) -> IntArray:
        """Return (n_rows, n_neighbours) indices of the nearest training queries, in no order."""
        n_neighbours = min(self.n_neighbours, len(self.points_))
        # |x|² is the same for all neighbours of x, so it can be left out of the squared distance.
        distances = (self.points_**2).sum(axis=1) - 2 * X @ self.points_.T
        return np.argpartition(distances, n_neighbours - 1, axis=1)[:, :n_neighbours]
