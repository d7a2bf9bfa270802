from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

from prompt_oirl.errors import DataError, NotFittedError, ParameterError
from prompt_oirl.features.cache import EmbeddingCache
from prompt_oirl.features.embedders import EmbedderFeatures, PrecomputedEmbedder
from prompt_oirl.features.protocol import Embedder, TextFeatures

TEXTS = ["a", "b", "c", "d"]
VECTORS = np.array([[1, 0, 2], [0, 1, 0], [3, 1, 1], [2, 2, 5]], dtype=np.float32)


@pytest.fixture
def embedder() -> PrecomputedEmbedder:
    return PrecomputedEmbedder(TEXTS, VECTORS)


def test_precomputed_vectors_are_looked_up(embedder: PrecomputedEmbedder) -> None:
    assert isinstance(embedder, Embedder)
    np.testing.assert_array_equal(embedder.embed(["c", "a", "c"]), VECTORS[[2, 0, 2]])
    assert embedder.embed([]).shape == (0, 3)


def test_name_tells_vectors_apart(embedder: PrecomputedEmbedder) -> None:
    assert embedder.name == PrecomputedEmbedder(TEXTS, VECTORS).name
    assert embedder.name != PrecomputedEmbedder(TEXTS, VECTORS + 1).name
    assert PrecomputedEmbedder(TEXTS, VECTORS, name="ada").name == "ada"


def test_precomputed_errors(embedder: PrecomputedEmbedder) -> None:
    with pytest.raises(DataError, match="1 of 2 texts have no precomputed vector, for example 'new'"):
        embedder.embed(["a", "new"])
    with pytest.raises(DataError, match="3 texts need vectors"):
        PrecomputedEmbedder(["a", "b", "c"], VECTORS)
    with pytest.raises(DataError, match="1 are distinct"):
        PrecomputedEmbedder(["a", "a"], VECTORS[:2])
    with pytest.raises(DataError, match="'b' has a NaN"):
        PrecomputedEmbedder(["a", "b"], np.array([[1.0], [np.nan]]))


def test_features_are_the_vectors(embedder: PrecomputedEmbedder) -> None:
    features = EmbedderFeatures(embedder).fit(TEXTS)
    assert isinstance(features, TextFeatures)
    found = features.transform(["d", "a", "d"])
    np.testing.assert_array_equal(found, VECTORS[[3, 0, 3]])
    assert found.dtype == np.float64


def test_projection_keeps_distances_when_nothing_is_cut_off(embedder: PrecomputedEmbedder) -> None:
    found = EmbedderFeatures(embedder, 10).fit(TEXTS).transform(TEXTS)
    distance = np.linalg.norm(VECTORS[0] - VECTORS[3])
    assert np.linalg.norm(found[0] - found[3]) == pytest.approx(distance, rel=1e-6)
    assert EmbedderFeatures(embedder, 2).fit(TEXTS).transform(TEXTS).shape == (4, 2)


def test_each_distinct_text_is_embedded_once(tmp_path) -> None:
    asked: list[str] = []

    class Counting:
        name = "counting"

        def embed(self, texts):
            asked.extend(texts)
            return np.array([[len(text)] for text in texts], dtype=np.float32)

    features = EmbedderFeatures(Counting(), cache=EmbeddingCache(tmp_path)).fit(["a", "bb", "a"])
    assert features.transform(["bb", "a", "bb"]).ravel().tolist() == [2, 1, 2]
    assert sorted(asked) == ["a", "bb"]


def test_clone_shares_the_embedder(embedder: PrecomputedEmbedder, tmp_path) -> None:
    copy = clone(EmbedderFeatures(embedder, 2, cache=EmbeddingCache(tmp_path)))
    assert copy.embedder is embedder
    assert copy.n_components == 2


def test_feature_errors(embedder: PrecomputedEmbedder) -> None:
    with pytest.raises(NotFittedError, match="call fit"):
        EmbedderFeatures(embedder).transform(["a"])
    with pytest.raises(ParameterError, match="n_components=0"):
        EmbedderFeatures(embedder, 0).fit(TEXTS)
    with pytest.raises(DataError, match="at least one text"):
        EmbedderFeatures(embedder).fit([])
