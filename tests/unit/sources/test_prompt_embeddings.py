from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prompt_oirl.errors import DataNotFoundError, FileFormatError
from prompt_oirl.sources.prompt_embeddings import read_prompt_embeddings

FILES = {"prompt_embeddings.npy": 6, "gpt4_prompt_embeddings.npy": 10, "prompt_list_embeddings.npy": 100}


@pytest.fixture
def release(tmp_path: Path) -> Path:
    (tmp_path / "embeddings").mkdir()
    for name, n_prompts in FILES.items():
        np.save(tmp_path / "embeddings" / name, np.full((n_prompts, 1536), float(n_prompts)))
    return tmp_path


def test_three_arrays(release: Path) -> None:
    embeddings = read_prompt_embeddings(release)
    for array, n_prompts in ((embeddings.training, 6), (embeddings.held_out, 10), (embeddings.candidates, 100)):
        assert array.shape == (n_prompts, 1536)
        assert (array == n_prompts).all()


@pytest.mark.parametrize(
    ("array", "problem"),
    [
        (np.zeros((6, 1535)), r"shape \(6, 1535\)"),
        (np.zeros((6, 1536), int), "int64"),
        (np.full((6, 1536), np.inf), "finite"),
    ],
)
def test_bad_arrays_are_named(release: Path, array: np.ndarray, problem: str) -> None:
    np.save(release / "embeddings" / "prompt_embeddings.npy", array)
    with pytest.raises(FileFormatError, match=problem):
        read_prompt_embeddings(release)


def test_missing_arrays_are_not_found(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="prompt_embeddings"):
        read_prompt_embeddings(tmp_path)


@pytest.mark.real_logs
def test_real_embeddings_are_of_length_one(data_folder: Path) -> None:
    embeddings = read_prompt_embeddings(data_folder / "prompt-oirl")
    for array in (embeddings.training, embeddings.held_out, embeddings.candidates):
        np.testing.assert_allclose(np.linalg.norm(array, axis=1), 1, atol=1e-3)
