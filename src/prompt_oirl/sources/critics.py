"""The LLMs' self-critique as the release stores it: a verdict and a confidence for each answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.errors import DataError, FileFormatError
from prompt_oirl.sources.questions import Dataset
from prompt_oirl.sources.release_prompts import N_PROMPTS
from prompt_oirl.sources.restricted_npy import read_array
from prompt_oirl.sources.selection_arrays import LLM, find_cell

__all__ = ["Critics", "read_critics"]

_NAMES: Mapping[LLM, str] = {"gpt-3.5-turbo": "gpt", "llama-2-7b-chat": "llama", "tigerbot-13b-chat": "tiger"}


@dataclass(frozen=True, eq=False)
class Critics:
    """What an LLM thinks of its own answers to the test questions, in the order of the selection arrays.

    Raises:
        DataError: Shapes disagree, a verdict is neither 0 nor 1, or a confidence is not between 0 and 1.
    """

    verdicts: IntArray
    """(n_test, 16) 1 where it calls its answer correct, 0 where wrong."""

    confidences: FloatArray
    """(n_test, 16) the probability that it states."""

    def __post_init__(self) -> None:
        if self.verdicts.shape != self.confidences.shape or self.verdicts.ndim != 2:
            raise DataError(f"verdicts {self.verdicts.shape} and confidences {self.confidences.shape} differ in shape")
        if not np.isin(self.verdicts, (0, 1)).all():
            raise DataError(f"a verdict is 1 or 0, got {np.setdiff1d(self.verdicts, (0, 1))[0]}")
        if not ((self.confidences >= 0) & (self.confidences <= 1)).all():
            raise DataError("a confidence is a probability between 0 and 1, and not all are")


def read_critics(release: Path | str, llm: LLM, dataset: Dataset) -> Critics:
    """Read the self-critique of one LLM on the test questions of one data set, for all sixteen prompts.

    Args:
        release: The root of the release.
        llm: Which LLM.
        dataset: Which data set.

    Raises:
        DataNotFoundError: A file is missing.
        FileFormatError: A file is damaged, or has another length, type or range than it should.
        ParameterError: The release has no such LLM or data set.
    """
    n_test = find_cell(llm, dataset).n_test
    folder = Path(release) / "critics"

    def read(kind: str, types: str) -> NDArray[np.generic]:
        names = [f"Processed_{_NAMES[llm]}_{dataset}_prompt_{prompt}_{kind}.npy" for prompt in range(N_PROMPTS)]
        return np.stack([_read_column(folder / name, n_test, types) for name in names], axis=1)

    verdicts: IntArray = read("critic", "biu").astype(np.int64)
    confidences: FloatArray = read("confidence", "f").astype(np.float64)
    try:
        return Critics(verdicts, confidences)
    except DataError as error:
        raise FileFormatError(folder, f"{llm} on {dataset}: {error}") from error


def _read_column(path: Path, n_test: int, types: str) -> NDArray[np.generic]:
    column = read_array(path, shape=(n_test,))
    if column.dtype.kind not in types:
        raise FileFormatError(path, f"the array is of {column.dtype}, expected one of the kinds {types!r}")
    return column
