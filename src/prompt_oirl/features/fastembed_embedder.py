"""Sentence embeddings computed on this machine, by ONNX: the extra `embeddings`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from prompt_oirl.arrays import FloatArray
from prompt_oirl.optional import import_optional

__all__ = ["FastEmbedEmbedder"]


@dataclass(frozen=True, eq=False)
class FastEmbedEmbedder:
    """Embed with a model of the fastembed package, loaded at first use."""

    model: str = "sentence-transformers/all-MiniLM-L6-v2"
    """Name of a model that fastembed knows."""

    specific_model_path: str | None = None
    """Folder of the model's ONNX graph and tokenizer; if None, fastembed fetches the model over the network."""

    n_threads: int = 1
    """Threads of the ONNX runtime; one is fastest for single queries."""

    @property
    def name(self) -> str:
        """The model's name, marked as fastembed's version of it."""
        return f"fastembed:{self.model}"

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return (n_texts, n_dimensions) float32.

        Raises:
            MissingDependencyError: fastembed is not installed.
        """
        return np.array(list(self._loaded.embed(list(texts))), dtype=np.float32)

    @cached_property
    def _loaded(self) -> Any:
        fastembed = import_optional("fastembed", extra="embeddings")
        return fastembed.TextEmbedding(self.model, specific_model_path=self.specific_model_path, threads=self.n_threads)

    def __sklearn_clone__(self) -> Self:
        """Return itself: it learns nothing, and its model is large."""
        return self
