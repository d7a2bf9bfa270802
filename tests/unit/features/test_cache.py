from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_oirl.errors import DataError, FileFormatError
from prompt_oirl.features.cache import CachedEmbedder, EmbeddingCache


class Counting:
    """Embeds a text as its length and its number of a's, and remembers what it was asked."""

    def __init__(self, name: str = "counting") -> None:
        self.name = name
        self.asked: list[str] = []

    def embed(self, texts):
        self.asked.extend(texts)
        return np.array([[len(text), text.count("a")] for text in texts], dtype=np.float32).reshape(-1, 2)


def test_texts_are_embedded_once_even_by_another_process(tmp_path: Path) -> None:
    first, second = Counting(), Counting()
    np.testing.assert_array_equal(
        CachedEmbedder(first, EmbeddingCache(tmp_path)).embed(["a", "bab", "a"]), [[1, 1], [3, 1], [1, 1]]
    )
    np.testing.assert_array_equal(
        CachedEmbedder(second, EmbeddingCache(tmp_path)).embed(["bab", "new"]), [[3, 1], [3, 0]]
    )
    assert first.asked == ["a", "bab"]
    assert second.asked == ["new"]


def test_an_open_cache_sees_what_others_add(tmp_path: Path) -> None:
    reader, embedder = EmbeddingCache(tmp_path), Counting()
    assert reader.lookup("counting", ["a"]) == {}
    CachedEmbedder(embedder, EmbeddingCache(tmp_path)).embed(["a"])
    assert reader.lookup("counting", ["a"])["a"].tolist() == [1, 1]


def test_embedders_do_not_share_vectors(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path)
    CachedEmbedder(Counting("one"), cache).embed(["a"])
    assert cache.lookup("two", ["a"]) == {}


def test_many_writers_leave_only_whole_files(tmp_path: Path) -> None:
    texts = [f"text {i}" for i in range(50)]

    def write(worker: int) -> None:
        CachedEmbedder(Counting(), EmbeddingCache(tmp_path)).embed(texts[worker:] + texts[:worker])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(16)))
    assert all(path.suffix == ".npz" and not path.name.startswith(".") for path in tmp_path.glob("*/*"))
    assert len(EmbeddingCache(tmp_path).lookup("counting", texts)) == 50


def test_what_was_done_before_a_failure_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prompt_oirl.features.cache._BATCH", 2)

    class Failing(Counting):
        def embed(self, texts):
            if "c" in texts:
                raise RuntimeError("server gone")
            return super().embed(texts)

    with pytest.raises(RuntimeError, match="server gone"):
        CachedEmbedder(Failing(), EmbeddingCache(tmp_path)).embed(["a", "b", "c"])
    assert set(EmbeddingCache(tmp_path).lookup("counting", ["a", "b", "c"])) == {"a", "b"}


def test_damaged_files_are_named(tmp_path: Path) -> None:
    CachedEmbedder(Counting(), EmbeddingCache(tmp_path)).embed(["a"])
    (file,) = tmp_path.glob("*/*.npz")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileFormatError, match="delete the file") as caught:
        EmbeddingCache(tmp_path).lookup("counting", ["a"])
    assert caught.value.path == file
    np.savez(file, keys=np.zeros((1, 32), np.uint8), vectors=np.zeros((2, 3), np.float32))
    with pytest.raises(FileFormatError, match="expected"):
        EmbeddingCache(tmp_path).lookup("counting", ["a"])
    np.savez(file, keys=np.array([{"an": "object"}]), vectors=np.zeros((1, 3), np.float32))
    with pytest.raises(FileFormatError, match="not a batch"):
        EmbeddingCache(tmp_path).lookup("counting", ["a"])


def test_bad_vectors_are_not_kept(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path)
    with pytest.raises(DataError, match="NaN or an infinity for 'b'"):
        cache.store("x", ["a", "b"], np.array([[1.0], [np.inf]]))
    with pytest.raises(DataError, match="expected \\(2, n_dimensions\\)"):
        cache.store("x", ["a", "b"], np.ones((1, 3)))
    cache.store("x", ["a"], np.ones((1, 3)))
    cache.store("x", ["b"], np.ones((1, 2)))
    with pytest.raises(DataError, match="lengths \\[2, 3\\]"):
        CachedEmbedder(Counting("x"), cache).embed(["a", "b"])
    assert CachedEmbedder(Counting(), cache).embed([]).shape == (0, 2)


@given(texts=st.lists(st.text(max_size=20), min_size=1, max_size=8))
def test_round_trip(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("cache")
    written = CachedEmbedder(Counting(), EmbeddingCache(folder)).embed(texts)
    again = Counting()
    np.testing.assert_array_equal(CachedEmbedder(again, EmbeddingCache(folder)).embed(texts), written)
    assert again.asked == []
