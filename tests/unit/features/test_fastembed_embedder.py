from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from prompt_oirl.errors import MissingDependencyError
from prompt_oirl.features.fastembed_embedder import FastEmbedEmbedder
from prompt_oirl.features.protocol import Embedder


def test_model_is_loaded_once_from_the_folder_given(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[object, ...]] = []

    class TextEmbedding:
        def __init__(self, model_name, specific_model_path, threads):
            made.append((model_name, specific_model_path, threads))

        def embed(self, documents):
            return (np.array([len(text), 0.5]) for text in documents)

    monkeypatch.setitem(sys.modules, "fastembed", SimpleNamespace(TextEmbedding=TextEmbedding))
    embedder = FastEmbedEmbedder("small", "models/small")
    assert isinstance(embedder, Embedder)
    assert embedder.name == "fastembed:small"
    found = embedder.embed(["a", "bbb"])
    assert found.tolist() == [[1, 0.5], [3, 0.5]]
    assert found.dtype == np.float32
    embedder.embed(["c"])
    assert made == [("small", "models/small", 1)]


def test_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastembed", None)
    with pytest.raises(MissingDependencyError, match=r"prompt-oirl\[embeddings\]"):
        FastEmbedEmbedder().embed(["a"])
