"""A small world with an interaction: what is best depends on the kind of question."""

from __future__ import annotations

import numpy as np
import pytest

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.records import Prompt, Query

SUCCESS = np.array([[0.9, 0.3, 0.5, 0.4], [0.3, 0.8, 0.5, 0.4]])
"""(2 kinds, 4 prompts) success rates; prompt 0 is the best single one."""

PROMPTS = tuple(Prompt.from_text(f"Wording number {k}.", id=f"p{k}") for k in range(4))


def make_demonstrations(n_queries: int, seed: int, *, tried: float = 1.0, n_trials: int = 3) -> Demonstrations:
    """Queries of two kinds in turn; each cell has trials with probability `tried`."""
    rng = np.random.default_rng(seed)
    kind = np.arange(n_queries) % 2
    texts = [
        f"Ann shares {a} plums among {b} friends. How many does each get?"
        if k
        else f"A train runs {a} miles an hour for {b} hours. How far does it go?"
        for k, a, b in zip(kind, rng.permutation(n_queries) + 10, rng.integers(2, 99, n_queries), strict=True)
    ]
    trials = n_trials * (rng.random((n_queries, 4)) < tried)
    successes = rng.binomial(trials, SUCCESS[kind])
    return Demonstrations(
        queries=tuple(Query(text) for text in texts),
        prompts=PROMPTS,
        trials=trials,
        successes=successes,
        unscored=np.zeros_like(trials),
    )


@pytest.fixture(scope="session")
def demonstrations() -> Demonstrations:
    return make_demonstrations(240, 0)


@pytest.fixture(scope="session")
def with_missing() -> Demonstrations:
    return make_demonstrations(300, 1, tried=0.6)


@pytest.fixture(scope="session")
def held_out() -> Demonstrations:
    return make_demonstrations(60, 2)
