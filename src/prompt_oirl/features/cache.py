"""Vectors kept on disk by content: each distinct text is embedded once, by whichever process comes first."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from prompt_oirl.arrays import FloatArray
from prompt_oirl.errors import DataError, FileFormatError
from prompt_oirl.features.protocol import Embedder
from prompt_oirl.files import atomic_path

__all__ = ["CachedEmbedder", "EmbeddingCache"]

_BATCH = 1024


@dataclass(frozen=True, eq=False)
class EmbeddingCache:
    """A folder of vectors: a subfolder an embedder, in it one npz file a batch, named by the keys that it holds.

    A vector's key is the sha256 of the embedder's name and the text. Files are written whole and never changed, so
    any number of processes may read and write; two that embed the same text write equal vectors.
    """

    folder: Path | str
    """Made when the first vectors are stored."""

    _vectors: dict[str, dict[bytes, FloatArray]] = field(default_factory=dict, init=False, repr=False)
    _read: set[Path] = field(default_factory=set, init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", str(self.folder))  # as text it can be saved with a model

    def lookup(self, embedder_name: str, texts: Sequence[str]) -> dict[str, FloatArray]:
        """Return the vectors, each (n_dimensions,) float32, of those texts that have one.

        Raises:
            FileFormatError: A file of the cache is damaged.
        """
        keys = {text: _key(embedder_name, text) for text in texts}
        known = self._vectors.setdefault(embedder_name, {})
        if any(key not in known for key in keys.values()):
            self._read_new_files(embedder_name)
        return {text: known[key] for text, key in keys.items() if key in known}

    def store(self, embedder_name: str, texts: Sequence[str], vectors: FloatArray) -> None:
        """Keep the vectors (n_texts, n_dimensions) of texts.

        Raises:
            DataError: Not one finite vector a text.
        """
        if vectors.ndim != 2 or len(vectors) != len(texts):
            raise DataError(
                f"embedder {embedder_name!r} gave vectors of shape {vectors.shape} for {len(texts)} texts; "
                f"expected ({len(texts)}, n_dimensions)"
            )
        not_finite = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if len(not_finite):
            raise DataError(f"embedder {embedder_name!r} gave a NaN or an infinity for {texts[not_finite[0]][:60]!r}")
        if not len(texts):
            return
        keys = [_key(embedder_name, text) for text in texts]
        vectors = np.asarray(vectors, dtype=np.float32)
        target = self._folder_of(embedder_name) / f"{hashlib.sha256(b''.join(keys)).hexdigest()[:32]}.npz"
        with atomic_path(target) as temporary:
            np.savez(temporary, keys=np.frombuffer(b"".join(keys), np.uint8).reshape(-1, 32), vectors=vectors)
        self._read.add(target)
        self._vectors.setdefault(embedder_name, {}).update(zip(keys, vectors, strict=True))

    def _folder_of(self, embedder_name: str) -> Path:
        return Path(self.folder) / hashlib.sha256(embedder_name.encode()).hexdigest()[:16]

    def _read_new_files(self, embedder_name: str) -> None:
        for path in sorted(set(self._folder_of(embedder_name).glob("[!.]*.npz")) - self._read):
            self._vectors[embedder_name].update(_read_batch(path))
            self._read.add(path)

    def __sklearn_clone__(self) -> Self:
        """Return itself: what it knows holds for every copy."""
        return self


def _key(embedder_name: str, text: str) -> bytes:
    return hashlib.sha256(f"{embedder_name}\0{text}".encode()).digest()


def _read_batch(path: Path) -> dict[bytes, FloatArray]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            keys, vectors = arrays["keys"], arrays["vectors"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise FileFormatError(path, f"not a batch of cached vectors ({error}); delete the file") from error
    if keys.dtype != np.uint8 or keys.shape != (len(vectors), 32) or vectors.dtype != np.float32 or vectors.ndim != 2:
        raise FileFormatError(
            path,
            f"keys of shape {keys.shape} ({keys.dtype}) and vectors of shape {vectors.shape} ({vectors.dtype}); "
            "expected (n, 32) uint8 and (n, d) float32; delete the file",
        )
    return {key.tobytes(): vector for key, vector in zip(keys, vectors, strict=True)}


@dataclass(frozen=True, eq=False)
class CachedEmbedder:
    """Embed what the cache does not hold, and keep it there."""

    embedder: Embedder
    """Embeds what is new, 1024 texts at a time; each batch is kept as soon as it is there."""

    cache: EmbeddingCache
    """Where vectors are kept."""

    @property
    def name(self) -> str:
        """The embedder's name."""
        return self.embedder.name

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return (n_texts, n_dimensions) float32.

        Raises:
            DataError: The embedder's vectors are not finite, or of several lengths.
        """
        if not len(texts):
            return self.embedder.embed(texts)
        vectors = self.cache.lookup(self.name, texts)
        new = [text for text in dict.fromkeys(texts) if text not in vectors]
        for start in range(0, len(new), _BATCH):
            batch = new[start : start + _BATCH]
            embedded = self.embedder.embed(batch)
            self.cache.store(self.name, batch, embedded)
            vectors.update(zip(batch, np.asarray(embedded, dtype=np.float32), strict=True))
        lengths = {len(vector) for vector in vectors.values()}
        if len(lengths) > 1:
            raise DataError(
                f"embedder {self.name!r} has vectors of lengths {sorted(lengths)} in {self.cache.folder}; "
                "two models share a name: empty the folder, or give each model its own"
            )
        return np.stack([vectors[text] for text in texts])

    def __sklearn_clone__(self) -> Self:
        """Return itself: it learns nothing."""
        return self
