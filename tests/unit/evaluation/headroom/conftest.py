from __future__ import annotations

import numpy as np
import pytest

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.records import Prompt, Query

LETTERS = "abcdefghij"


class Drawn:
    """Logs drawn from known success probabilities, on queries that share no template."""

    def __call__(self, probabilities: FloatArray, trials: int | IntArray = 4, *, seed: int = 0) -> Demonstrations:
        counts = np.broadcast_to(np.asarray(trials), probabilities.shape).copy()
        successes = np.random.default_rng(seed).binomial(counts, probabilities)
        queries = tuple(Query("".join(LETTERS[int(digit)] for digit in str(row))) for row in range(len(counts)))
        prompts = tuple(Prompt.from_text(f"Wording {column}.", id=f"p{column}") for column in range(counts.shape[1]))
        return Demonstrations(queries, prompts, counts, successes, np.zeros_like(counts))


@pytest.fixture
def draw() -> Drawn:
    return Drawn()


@pytest.fixture
def crossed() -> FloatArray:
    """(600, 3) success probabilities: each half of the queries has its own best prompt, the third is always worst."""
    is_first = np.arange(600)[:, None] % 2 == 0
    return np.where(is_first, [0.8, 0.4, 0.3], [0.4, 0.7, 0.3])


@pytest.fixture
def alike() -> FloatArray:
    """(600, 3) success probabilities of queries of different difficulty, the first prompt always a little better."""
    ease = np.random.default_rng(5).uniform(0.1, 0.9, 600)[:, None]
    return np.asarray(ease * [1.0, 0.9, 0.8])
