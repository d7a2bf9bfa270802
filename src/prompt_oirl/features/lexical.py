"""The default features: what a text says (TF-IDF), what it asks (TF-IDF of its last sentence), how it looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator

from prompt_oirl.arrays import FloatArray
from prompt_oirl.errors import DataError, NotFittedError, ParameterError
from prompt_oirl.features.surface import SURFACE_NAMES, token_statistics
from prompt_oirl.features.terms import TermProjection
from prompt_oirl.features.tokens import tokenize

__all__ = ["LexicalFeatures"]


class LexicalFeatures(BaseEstimator):  # type: ignore[misc]
    """TF-IDF of the text and of its last sentence, each projected, and surface statistics; no weights to download.

    Args:
        n_components: Directions kept of the whole text's TF-IDF.
        n_question_components: Directions kept of the last sentence's; 0 for none.
        min_df: Words and word pairs in fewer training texts are left out.
        seed: Of the randomised decompositions.
    """

    text_: TermProjection
    question_: TermProjection

    def __init__(
        self, n_components: int = 100, n_question_components: int = 40, *, min_df: int = 2, seed: int = 0
    ) -> None:
        self.n_components = n_components
        self.n_question_components = n_question_components
        self.min_df = min_df
        self.seed = seed

    def fit(self, texts: Sequence[str]) -> Self:
        """Learn the vocabulary and the projections.

        Raises:
            DataError: There is no text.
            ParameterError: A number of components is negative.
        """
        if not len(texts):
            raise DataError("features need at least one text to learn from, got none")
        if min(self.n_components, self.n_question_components) < 0:
            raise ParameterError(
                f"n_components={self.n_components}, n_question_components={self.n_question_components}: "
                "numbers of directions cannot be negative; use 0 for none"
            )
        tokens = tokenize(texts)
        self.text_ = TermProjection(self.n_components, min_df=self.min_df, seed=self.seed).fit(tokens)
        question = tokens.select(tokens.last_sentence())
        self.question_ = TermProjection(self.n_question_components, min_df=self.min_df, seed=self.seed).fit(question)
        return self

    def transform(self, texts: Sequence[str]) -> FloatArray:
        """Return (n_texts, n_features), columns as in `feature_names`.

        Raises:
            NotFittedError: `fit` was not called.
        """
        self._check_fitted()
        tokens = tokenize(texts)
        question = tokens.select(tokens.last_sentence())
        return np.hstack([self.text_.transform(tokens), self.question_.transform(question), token_statistics(tokens)])

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the columns: text_0 …, question_0 …, then the surface statistics."""
        self._check_fitted()
        projections = (("text", self.text_), ("question", self.question_))
        names = [f"{name}_{i}" for name, terms in projections for i in range(terms.components_.shape[1])]
        return (*names, *SURFACE_NAMES)

    def _check_fitted(self) -> None:
        if not hasattr(self, "text_"):
            raise NotFittedError("LexicalFeatures was not fitted; call fit with the training texts first")
