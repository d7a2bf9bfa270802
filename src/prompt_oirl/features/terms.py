"""TF-IDF of words and word pairs, projected on its leading directions: latent semantic analysis on plain arrays."""

from __future__ import annotations

from typing import Self

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator
from sklearn.utils.extmath import randomized_svd

from prompt_oirl.arrays import FloatArray
from prompt_oirl.features.ngrams import NGramWeights
from prompt_oirl.features.threads import one_blas_thread
from prompt_oirl.features.tokens import Tokens

__all__ = ["TermProjection"]


class TermProjection(BaseEstimator):  # type: ignore[misc]
    """Project the TF-IDF of words and adjacent word pairs, numbers folded into one word, on its leading directions.

    A truncated singular value decomposition of `NGramWeights`. A text without a known term is all zeros.

    Args:
        n_components: Number of directions; fewer where the texts or the terms are fewer.
        min_df: Terms in fewer training texts are left out, unless that would leave none.
        seed: Of the randomised decomposition.
    """

    weights_: NGramWeights
    components_: FloatArray
    """(n_terms, n_components) directions."""

    def __init__(self, n_components: int = 100, *, min_df: int = 2, seed: int = 0) -> None:
        self.n_components = n_components
        self.min_df = min_df
        self.seed = seed

    def fit(self, tokens: Tokens) -> Self:
        """Learn the terms, their frequencies and the directions."""
        self.weights_ = NGramWeights(2, min_df=self.min_df, sublinear=False, marks="").fit(tokens)
        self.components_ = self._directions(self.weights_.transform(tokens))
        return self

    def transform(self, tokens: Tokens) -> FloatArray:
        """Return (n_texts, n_components) the texts' coordinates."""
        coordinates: FloatArray = self.weights_.transform(tokens) @ self.components_
        return coordinates

    def _directions(self, weights: csr_matrix) -> FloatArray:
        rank = min(self.n_components, *weights.shape)
        if rank < 1:
            return np.zeros((weights.shape[1], 0))
        with one_blas_thread():
            *_, components = randomized_svd(weights, rank, n_iter=4, random_state=self.seed)
        return np.ascontiguousarray(components.T, dtype=np.float64)
