"""Embeddings from a server that speaks OpenAI's `/v1/embeddings`: the extra `openai`.

This is the one module below `collect` that reaches the network, and only where a user makes the embedder. Nothing in
the package imports it, so an import-linter contract can forbid it everywhere else. With `EmbeddingCache` each text is
sent once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from prompt_oirl.arrays import FloatArray
from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.optional import import_optional

__all__ = ["OpenAIEmbedder"]


@dataclass(frozen=True, eq=False)
class OpenAIEmbedder:
    """Embed with a remote model; the paper's is text-embedding-ada-002 (1536 dimensions).

    The client reads the key from `OPENAI_API_KEY`. It is never an argument here, and no error repeats what the server
    or the client said, since that may hold a part of it.

    Raises:
        ParameterError: `n_dimensions` or `batch_size` is below 1.
    """

    model: str = "text-embedding-ada-002"
    """The server's name for the model."""

    base_url: str | None = None
    """The server, if not OpenAI's, such as "http://127.0.0.1:8000/v1"."""

    n_dimensions: int | None = None
    """What every vector's length must be; any one length if None."""

    batch_size: int = 256
    """Texts a request."""

    timeout: float = 60.0
    """Seconds a request may take."""

    max_retries: int = 5
    """How often the client asks again after a failure that may pass."""

    def __post_init__(self) -> None:
        if self.batch_size < 1 or (self.n_dimensions is not None and self.n_dimensions < 1):
            raise ParameterError(
                f"batch_size={self.batch_size}, n_dimensions={self.n_dimensions}: at least 1 each (or None) is needed"
            )

    @property
    def name(self) -> str:
        """The model's name and the server's address."""
        return f"openai:{self.model}" if self.base_url is None else f"openai:{self.model}@{self.base_url}"

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return (n_texts, n_dimensions) float32.

        Raises:
            MissingDependencyError: openai is not installed.
            ParameterError: There is no key in the environment.
            DataError: The server refused, or its vectors are too few, too many, or of another length.
        """
        batches = [list(texts[start : start + self.batch_size]) for start in range(0, len(texts), self.batch_size)]
        vectors = [vector for batch in batches for vector in self._request(batch)]
        lengths = {len(vector) for vector in vectors} | ({self.n_dimensions} if self.n_dimensions else set())
        if len(lengths) > 1:
            raise DataError(
                f"model {self.model!r} gave vectors of length {sorted({len(vector) for vector in vectors})}, "
                f"expected {self.n_dimensions or 'one length'}; check the model's name and n_dimensions"
            )
        return np.array(vectors, dtype=np.float32).reshape(len(texts), max(lengths, default=0))

    def _request(self, batch: list[str]) -> list[list[float]]:
        openai = import_optional("openai", extra="openai")
        try:
            reply = self._client.embeddings.create(model=self.model, input=batch, encoding_format="float")
        except openai.OpenAIError as error:
            status = getattr(error, "status_code", None)
            raise DataError(
                f"model {self.model!r} at {self.base_url or 'the default server'} gave no embeddings: "
                f"{type(error).__name__}{'' if status is None else f', HTTP status {status}'}; "
                "check the address, the model's name and the key"
            ) from None
        if sorted(item.index for item in reply.data) != list(range(len(batch))):
            raise DataError(f"model {self.model!r} gave {len(reply.data)} vectors for {len(batch)} texts")
        return [item.embedding for item in sorted(reply.data, key=lambda item: item.index)]

    @cached_property
    def _client(self) -> Any:
        openai = import_optional("openai", extra="openai")
        try:
            return openai.OpenAI(base_url=self.base_url, timeout=self.timeout, max_retries=self.max_retries)
        except openai.OpenAIError:
            raise ParameterError("no key for the embedding server; set OPENAI_API_KEY in the environment") from None

    def __sklearn_clone__(self) -> Self:
        """Return itself: it learns nothing, and holds connections."""
        return self
