from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from prompt_oirl.arrays import FloatArray
from prompt_oirl.features.cache import CachedEmbedder, EmbeddingCache
from prompt_oirl.features.embedders import EmbedderFeatures, PrecomputedEmbedder
from prompt_oirl.features.lexical import LexicalFeatures
from prompt_oirl.testing import check_embedder, check_text_features


class HashEmbedder:
    """A vector from the hash of a text."""

    @property
    def name(self) -> str:
        return "hash"

    def embed(self, texts: Sequence[str]) -> FloatArray:
        digests = [hashlib.sha256(text.encode()).digest() for text in texts]
        return np.frombuffer(b"".join(digests), np.uint8).reshape(len(texts), 32).astype(np.float32)


TEXTS = ("one", "two", "three", "four")


def test_lexical_features_keep_the_contract() -> None:
    check_text_features(LexicalFeatures)


def test_embedder_features_keep_the_contract() -> None:
    check_text_features(lambda: EmbedderFeatures(HashEmbedder()))


def test_a_cached_embedder_keeps_the_contract(tmp_path: Path) -> None:
    check_embedder(lambda: CachedEmbedder(HashEmbedder(), EmbeddingCache(tmp_path)))


def test_precomputed_vectors_keep_the_contract() -> None:
    check_embedder(lambda: PrecomputedEmbedder(TEXTS, HashEmbedder().embed(TEXTS)), texts=TEXTS)
