"""Embedders as text features, and vectors that were computed elsewhere as an embedder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator

from prompt_oirl.arrays import FloatArray
from prompt_oirl.errors import DataError, NotFittedError, ParameterError
from prompt_oirl.features.cache import CachedEmbedder, EmbeddingCache
from prompt_oirl.features.protocol import Embedder
from prompt_oirl.features.threads import one_blas_thread

__all__ = ["EmbedderFeatures", "PrecomputedEmbedder"]


class PrecomputedEmbedder:
    """Look vectors up that were computed elsewhere, such as the release's.

    Args:
        texts: (n_texts,) distinct texts.
        vectors: (n_texts, n_dimensions) their vectors.
        name: Identifies where the vectors come from; a hash of them if not given.

    Raises:
        DataError: Texts and vectors do not match, a text occurs twice, or a vector is not finite.
    """

    def __init__(self, texts: Sequence[str], vectors: FloatArray, *, name: str | None = None) -> None:
        if vectors.ndim != 2 or len(vectors) != len(texts):
            raise DataError(f"{len(texts)} texts need vectors of shape ({len(texts)}, d), got shape {vectors.shape}")
        self._vectors = np.asarray(vectors, dtype=np.float32)
        self._row = {text: row for row, text in enumerate(texts)}
        if len(self._row) != len(texts):
            raise DataError(f"{len(texts)} texts, of which {len(self._row)} are distinct; give each text one vector")
        not_finite = np.flatnonzero(~np.isfinite(self._vectors).all(axis=1))
        if len(not_finite):
            raise DataError(f"the vector of {texts[not_finite[0]][:60]!r} has a NaN or an infinity; compute it anew")
        self._name = name

    @property
    def name(self) -> str:
        """The name given, or one made of a hash of the texts and vectors."""
        if self._name is None:
            digest = hashlib.sha256("\0".join(self._row).encode())
            digest.update(self._vectors.tobytes())
            self._name = f"precomputed:{digest.hexdigest()[:16]}"
        return self._name

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return (n_texts, n_dimensions) float32.

        Raises:
            DataError: A text has no vector.
        """
        unknown = [text for text in texts if text not in self._row]
        if unknown:
            raise DataError(
                f"{len(unknown)} of {len(texts)} texts have no precomputed vector, for example {unknown[0][:60]!r}; "
                "add their vectors, or use an embedder that can compute them"
            )
        return self._vectors[[self._row[text] for text in texts]]

    def __sklearn_clone__(self) -> Self:
        """Return itself: it learns nothing, and its vectors are large."""
        return self


class EmbedderFeatures(BaseEstimator):  # type: ignore[misc]
    """Use the vectors of an embedder as features, each distinct text embedded once a call.

    Args:
        embedder: The embedder.
        n_components: Project on that many leading directions of the training texts (fewer if they span fewer);
            all dimensions as they are if None.
        cache: Where vectors are kept on disk between calls and processes; nowhere if None.
    """

    n_dimensions_: int
    """Length of the embedder's vectors."""

    mean_: FloatArray
    """(n_dimensions,) mean of the training texts' vectors; only with `n_components`."""

    components_: FloatArray
    """(n_dimensions, n_components) directions; only with `n_components`."""

    def __init__(
        self, embedder: Embedder, n_components: int | None = None, *, cache: EmbeddingCache | None = None
    ) -> None:
        self.embedder = embedder
        self.n_components = n_components
        self.cache = cache

    def fit(self, texts: Sequence[str]) -> Self:
        """Learn the directions.

        Raises:
            DataError: There is no text.
            ParameterError: `n_components` is below 1.
        """
        if not len(texts):
            raise DataError("features need at least one text to learn from, got none")
        if self.n_components is not None and self.n_components < 1:
            raise ParameterError(f"n_components={self.n_components}: at least 1, or None for all dimensions")
        vectors = self._embed(texts)
        self.n_dimensions_ = vectors.shape[1]
        if self.n_components is not None:
            self.mean_ = vectors.mean(axis=0)
            with one_blas_thread():
                _, _, directions = np.linalg.svd(vectors - self.mean_, full_matrices=False)
            self.components_ = np.ascontiguousarray(directions[: self.n_components].T)
        return self

    def transform(self, texts: Sequence[str]) -> FloatArray:
        """Return (n_texts, n_features) float64.

        Raises:
            NotFittedError: `fit` was not called.
        """
        if not hasattr(self, "n_dimensions_"):
            raise NotFittedError("EmbedderFeatures was not fitted; call fit with the training texts first")
        vectors = self._embed(texts)
        return vectors if self.n_components is None else (vectors - self.mean_) @ self.components_

    def _embed(self, texts: Sequence[str]) -> FloatArray:
        row = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        embedder = self.embedder if self.cache is None else CachedEmbedder(self.embedder, self.cache)
        vectors = embedder.embed(list(row))
        return vectors[[row[text] for text in texts]].astype(np.float64)
