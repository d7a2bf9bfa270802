"""Reward models without features of the query, or without interaction: what any other has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator

from prompt_oirl.arrays import FloatArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ParameterError
from prompt_oirl.features.protocol import TextFeatures
from prompt_oirl.features.scaling import Scaling
from prompt_oirl.features.threads import one_blas_thread
from prompt_oirl.records import Prompt, Query
from prompt_oirl.reward.checks import check_fitted, check_learnable, fit_features, prompt_columns, query_features

__all__ = ["AdditiveModel", "Lookup", "PromptMeans"]


class PromptMeans(BaseEstimator):  # type: ignore[misc]
    """Score each prompt by its training success rate, whatever the query: the best single prompt as a reward model."""

    prompts_: tuple[Prompt, ...]
    means_: FloatArray
    """(n_prompts,) training success rates."""

    @property
    def gives_probabilities(self) -> bool:
        """True."""
        return True

    def fit(self, demonstrations: Demonstrations) -> Self:
        """Learn from demonstrations and return self.

        Raises:
            DataError: A prompt has no scored trial, or fewer than two queries have one.
        """
        learnable = check_learnable(demonstrations)
        self.means_ = learnable.success_rates
        self.prompts_ = learnable.prompts
        return self

    def score(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> FloatArray:
        """Return (n_queries, n_prompts) the prompts' success rates.

        Raises:
            NotFittedError: `fit` was not called.
            UnseenPromptError: A prompt was not in training.
        """
        check_fitted(self)
        return np.tile(self.means_[prompt_columns(self, self.prompts_, prompts)], (len(queries), 1))


class Lookup(BaseEstimator):  # type: ignore[misc]
    """Look the query's own training trials up; a query or cell that has none gets the prompts' success rates.

    It learns nothing that holds for new queries: a gain of this model shows that test queries were in training.

    Args:
        prior_trials: A cell's rate is drawn to the prompt's success rate as by that many more trials.
    """

    prompts_: tuple[Prompt, ...]
    rates_: FloatArray
    """(n_queries + 1, n_prompts) rate of each training query and prompt; the last row is for any other query."""

    row_of_query_: dict[str, int]
    """Row in `rates_` of each query id."""

    def __init__(self, *, prior_trials: float = 1.0) -> None:
        self.prior_trials = prior_trials

    @property
    def gives_probabilities(self) -> bool:
        """True."""
        return True

    def fit(self, demonstrations: Demonstrations) -> Self:
        """Learn from demonstrations and return self.

        Raises:
            DataError: A prompt has no scored trial, or fewer than two queries have one.
            ParameterError: `prior_trials` is not positive.
        """
        if not self.prior_trials > 0:
            raise ParameterError(f"prior_trials={self.prior_trials}: a positive number is needed")
        learnable = check_learnable(demonstrations)
        means = learnable.success_rates
        drawn = learnable.successes + self.prior_trials * means
        self.rates_ = np.vstack([drawn / (learnable.trials + self.prior_trials), means])
        self.row_of_query_ = {query.id: row for row, query in enumerate(learnable.queries)}
        self.prompts_ = learnable.prompts
        return self

    def score(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> FloatArray:
        """Return (n_queries, n_prompts) the cells' rates.

        Raises:
            NotFittedError: `fit` was not called.
            UnseenPromptError: A prompt was not in training.
        """
        check_fitted(self)
        columns = prompt_columns(self, self.prompts_, prompts)
        rows = [self.row_of_query_.get(query.id, len(self.rates_) - 1) for query in queries]
        return self.rates_[np.array(rows, dtype=np.int64)][:, columns]


class AdditiveModel(BaseEstimator):  # type: ignore[misc]
    """Success rate of the prompt plus an effect of the query, by ridge regression on its features.

    The query's effect is the same for every prompt, so the choice is the best single prompt for every query and the
    gain is exactly 0, however well the model predicts rewards: a test of the evaluation. Scores are on the scale of
    probabilities, but are not kept within 0 and 1, since that would tie prompts; hence no `gives_probabilities`.

    Args:
        features: Features of the query text; `LexicalFeatures()` if None.
        l2: Penalty on the coefficients of the standardised features, in trials.
    """

    prompts_: tuple[Prompt, ...]
    features_: TextFeatures
    scaling_: Scaling
    coefficients_: FloatArray
    """(n_features,) of the standardised features."""

    means_: FloatArray
    """(n_prompts,) training success rates."""

    def __init__(self, features: TextFeatures | None = None, *, l2: float = 100.0) -> None:
        self.features = features
        self.l2 = l2

    @property
    def gives_probabilities(self) -> bool:
        """False: sums of effects may lie outside 0 … 1."""
        return False

    def fit(self, demonstrations: Demonstrations) -> Self:
        """Learn from demonstrations and return self.

        Raises:
            DataError: A prompt has no scored trial, or fewer than two queries have one.
            ParameterError: `l2` is not positive.
        """
        if not self.l2 > 0:
            raise ParameterError(f"l2={self.l2}: a positive number is needed")
        learnable = check_learnable(demonstrations)
        self.features_ = fit_features(self.features, learnable.queries)
        raw = query_features(self.features_, learnable.queries)
        self.scaling_ = Scaling.of(raw)
        X = self.scaling_.apply(raw)
        self.means_ = learnable.success_rates
        weights = learnable.trials.sum(axis=1)
        surplus = learnable.successes.sum(axis=1) - learnable.trials @ self.means_
        with one_blas_thread():
            gram = (X * weights[:, None]).T @ X + self.l2 * np.eye(X.shape[1])
            self.coefficients_ = np.linalg.solve(gram, X.T @ surplus)
        self.prompts_ = learnable.prompts
        return self

    def score(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> FloatArray:
        """Return (n_queries, n_prompts) query effect plus prompt success rate.

        Raises:
            NotFittedError: `fit` was not called.
            UnseenPromptError: A prompt was not in training.
        """
        check_fitted(self)
        columns = prompt_columns(self, self.prompts_, prompts)
        X = self.scaling_.apply(query_features(self.features_, queries))
        effects: FloatArray = X @ self.coefficients_
        return effects[:, None] + self.means_[columns]
