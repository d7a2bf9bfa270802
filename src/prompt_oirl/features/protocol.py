"""What a reward model needs of text features, and what a pretrained embedder offers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self, runtime_checkable

from prompt_oirl.arrays import FloatArray

__all__ = ["Embedder", "TextFeatures"]


@runtime_checkable
class Embedder(Protocol):
    """A fixed map from text to vectors: it learns nothing from the texts it is given."""

    @property
    def name(self) -> str:
        """Identify the model and its version; the key of the cache."""
        ...

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return (n_texts, n_dimensions) float32."""
        ...


@runtime_checkable
class TextFeatures(Protocol):
    """Features that may learn from the training texts (a vocabulary, a projection)."""

    def fit(self, texts: Sequence[str]) -> Self:
        """Learn from training texts and return self."""
        ...

    def transform(self, texts: Sequence[str]) -> FloatArray:
        """Return (n_texts, n_features) float64."""
        ...
