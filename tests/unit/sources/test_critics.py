from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prompt_oirl.errors import DataError, DataNotFoundError, FileFormatError
from prompt_oirl.sources.critics import Critics, read_critics
from prompt_oirl.sources.selection_arrays import LLMS, read_selection_arrays


def name(prompt: int, kind: str) -> str:
    return f"Processed_llama_mawps_prompt_{prompt}_{kind}.npy"


@pytest.fixture
def release(tmp_path: Path) -> Path:
    (tmp_path / "critics").mkdir()
    for prompt in range(16):
        np.save(tmp_path / "critics" / name(prompt, "critic"), (np.arange(1685) + prompt) % 2)
        np.save(tmp_path / "critics" / name(prompt, "confidence"), np.full(1685, prompt / 16))
    return tmp_path


def test_columns_are_prompts_in_the_order_of_their_numbers(release: Path) -> None:
    critics = read_critics(release, "llama-2-7b-chat", "mawps")
    assert critics.verdicts.shape == critics.confidences.shape == (1685, 16)
    assert critics.verdicts[1].tolist() == [1, 0] * 8
    assert critics.confidences[0].tolist() == [prompt / 16 for prompt in range(16)]


@pytest.mark.parametrize(
    ("kind", "array", "problem"),
    [
        ("critic", np.zeros(1684, int), r"shape \(1684,\)"),
        ("critic", np.full(1685, 2), "a verdict is 1 or 0, got 2"),
        ("critic", np.zeros(1685), "float64"),
        ("confidence", np.zeros(1685, int), "int64"),
        ("confidence", np.full(1685, 1.5), "between 0 and 1"),
        ("confidence", np.full(1685, np.nan), "between 0 and 1"),
        ("confidence", np.array([None] * 1685), "no plain"),
    ],
)
def test_bad_arrays_are_named(release: Path, kind: str, array: np.ndarray, problem: str) -> None:
    np.save(release / "critics" / name(11, kind), array, allow_pickle=True)
    with pytest.raises(FileFormatError, match=problem):
        read_critics(release, "llama-2-7b-chat", "mawps")


def test_a_missing_array_is_not_found(release: Path) -> None:
    (release / "critics" / name(15, "critic")).unlink()
    with pytest.raises(DataNotFoundError, match="prompt_15_critic"):
        read_critics(release, "llama-2-7b-chat", "mawps")


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(DataError, match="differ in shape"):
        Critics(np.zeros((2, 3), int), np.zeros((2, 2)))


@pytest.mark.real_logs
def test_the_published_success_rates_of_choosing_by_confidence(data_folder: Path) -> None:
    found = []
    for llm in LLMS:
        for dataset in ("gsm8k", "svamp", "mawps"):
            release = data_folder / "prompt-oirl"
            labels = read_selection_arrays(release, llm, dataset).test_labels  # type: ignore[arg-type]
            critics = read_critics(release, llm, dataset)  # type: ignore[arg-type]
            assert critics.verdicts.shape == (len(labels), 16)
            found.append(labels[np.arange(len(labels)), critics.confidences[:, :6].argmax(axis=1)].mean())
    assert found == pytest.approx([0.674, 0.818, 0.686, 0.228, 0.558, 0.555, 0.378, 0.608, 0.536], abs=0.001)
