"""The release's embeddings of its prompts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from prompt_oirl.arrays import FloatArray
from prompt_oirl.errors import FileFormatError
from prompt_oirl.sources.restricted_npy import read_array

__all__ = ["PromptEmbeddings", "read_prompt_embeddings"]

_N_DIMENSIONS = 1536


@dataclass(frozen=True, eq=False)
class PromptEmbeddings:
    """Vectors of OpenAI's text-embedding-ada-002, as the paper fed them to its reward model."""

    training: FloatArray
    """(6, 1536) the training prompts, by their recorded texts."""

    held_out: FloatArray
    """(10, 1536) the held-out prompts."""

    candidates: FloatArray
    """(100, 1536) further candidates, whose texts the release does not give."""


def read_prompt_embeddings(release: Path | str) -> PromptEmbeddings:
    """Read the three arrays of prompt embeddings.

    Args:
        release: The root of the release.

    Raises:
        DataNotFoundError: A file is missing.
        FileFormatError: A file is damaged, of another shape, or holds values that are not finite numbers.
    """
    folder = Path(release) / "embeddings"
    return PromptEmbeddings(
        training=_read(folder / "prompt_embeddings.npy", 6),
        held_out=_read(folder / "gpt4_prompt_embeddings.npy", 10),
        candidates=_read(folder / "prompt_list_embeddings.npy", 100),
    )


def _read(path: Path, n_prompts: int) -> FloatArray:
    array = read_array(path, shape=(n_prompts, _N_DIMENSIONS))
    if array.dtype.kind != "f" or not np.isfinite(array).all():
        raise FileFormatError(
            path, f"finite floating-point numbers are expected, and not all of the {array.dtype} values are"
        )
    embeddings: FloatArray = array.astype(np.float64)
    return embeddings
