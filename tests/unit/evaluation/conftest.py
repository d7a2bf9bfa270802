from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.records import Prompt, Query


def _make(successes: Any, trials: Any = None) -> Demonstrations:
    """Demonstrations of queries that share no template; one trial a cell if not given."""
    successes = np.array(successes, dtype=int)
    trials = np.ones_like(successes) if trials is None else np.array(trials, dtype=int)
    letters = "abcdefghij"
    queries = tuple(Query("".join(letters[int(digit)] for digit in str(i))) for i in range(len(successes)))
    prompts = tuple(Prompt.from_text(f"Wording {j}.", id=f"p{j}") for j in range(successes.shape[1]))
    return Demonstrations(queries, prompts, trials, successes, np.zeros_like(trials))


@pytest.fixture
def make_demonstrations() -> Callable[..., Demonstrations]:
    return _make
