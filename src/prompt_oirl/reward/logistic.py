"""Logistic regression of the reward on query features, one a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.base import BaseEstimator

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ParameterError
from prompt_oirl.features.lexical import LexicalFeatures
from prompt_oirl.features.one_text.lexical import OneTextLexical
from prompt_oirl.features.protocol import TextFeatures
from prompt_oirl.features.scaling import Scaling
from prompt_oirl.features.threads import one_blas_thread
from prompt_oirl.records import Prompt, Query
from prompt_oirl.reward.checks import check_fitted, check_learnable, fit_features, prompt_columns, query_features
from prompt_oirl.reward.prepared import GeneralScorer
from prompt_oirl.reward.protocol import PreparedScorer

__all__ = ["LogisticModel"]

_INTERCEPT_L2 = 0.01
"""Keeps the intercept finite where every trial of a prompt had the same reward."""


class LogisticModel(BaseEstimator):  # type: ignore[misc]
    """P(reward = 1) = 1 / (1 + exp(-(b_k + w_k · x))) for each prompt k: an interaction of every feature and prompt.

    Cells count by their trials. The L2 penalty is on w_k, not on b_k. On one prompt it is a plain logistic regression;
    together the prompts' models equal one on query features, the prompt one-hot and all their products.

    Args:
        features: Features of the query text; `LexicalFeatures()` if None.
        l2: Penalty on the coefficients of the standardised features, in trials.
    """

    prompts_: tuple[Prompt, ...]
    features_: TextFeatures
    scaling_: Scaling
    coefficients_: FloatArray
    """(n_features + 1, n_prompts) of the standardised features, the intercepts in the last row."""

    def __init__(self, features: TextFeatures | None = None, *, l2: float = 1000.0) -> None:
        self.features = features
        self.l2 = l2

    @property
    def gives_probabilities(self) -> bool:
        """True."""
        return True

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
        X = _with_intercept(self.scaling_.apply(raw))
        with one_blas_thread():
            fits = [
                _fit_binomial(X, trials, successes, self.l2)
                for trials, successes in zip(learnable.trials.T, learnable.successes.T, strict=True)
            ]
        self.coefficients_ = np.column_stack(fits)
        self.prompts_ = learnable.prompts
        return self

    def score(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> FloatArray:
        """Return (n_queries, n_prompts) estimated success probabilities.

        Raises:
            NotFittedError: `fit` was not called.
            UnseenPromptError: A prompt was not in training.
        """
        check_fitted(self)
        columns = prompt_columns(self, self.prompts_, prompts)
        X = _with_intercept(self.scaling_.apply(query_features(self.features_, queries)))
        probabilities: FloatArray = expit(X @ self.coefficients_[:, columns])
        return probabilities

    def prepare(self, prompts: Sequence[Prompt]) -> PreparedScorer:
        """Return what scores these prompts for single queries faster than `score`, if the features are lexical.

        Raises:
            NotFittedError: `fit` was not called.
            UnseenPromptError: A prompt was not in training.
        """
        check_fitted(self)
        columns = prompt_columns(self, self.prompts_, prompts)
        general = GeneralScorer(self, prompts)
        if type(self.features_) is not LexicalFeatures:
            return general
        return _LexicalScorer(general, OneTextLexical(self.features_), self.scaling_, self.coefficients_[:, columns])


@dataclass(frozen=True, eq=False)
class _LexicalScorer:
    general: GeneralScorer
    features: OneTextLexical
    scaling: Scaling
    coefficients: FloatArray
    is_quick: bool = True

    def score_one(self, query: Query) -> FloatArray:
        scaled = self.scaling.apply(self.features.transform(query.text))
        probabilities: FloatArray = expit(scaled @ self.coefficients[:-1] + self.coefficients[-1])
        return probabilities

    def score_many(self, queries: Sequence[Query]) -> FloatArray:
        return self.general.score_many(queries)


def _with_intercept(X: FloatArray) -> FloatArray:
    return np.column_stack([X, np.ones(len(X))])


def _fit_binomial(X: FloatArray, trials: IntArray, successes: IntArray, l2: float) -> FloatArray:
    """Return (n_columns,) the coefficients of most penalised likelihood; the last column of X is the intercept."""
    tried = trials > 0
    X, trials, successes = X[tried], trials[tried], successes[tried]
    penalty = np.append(np.full(X.shape[1] - 1, l2), _INTERCEPT_L2)

    def loss(coefficients: FloatArray) -> tuple[float, FloatArray]:
        logits = X @ coefficients
        value = (trials * np.logaddexp(0, logits) - successes * logits).sum() + (penalty * coefficients**2).sum() / 2
        return value / len(X), (X.T @ (trials * expit(logits) - successes) + penalty * coefficients) / len(X)

    found: FloatArray = minimize(loss, np.zeros(X.shape[1]), jac=True, method="L-BFGS-B", tol=1e-10).x
    return found
