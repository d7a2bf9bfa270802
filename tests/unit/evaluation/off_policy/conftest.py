from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from prompt_oirl.evaluation.off_policy import LoggedDecisions
from prompt_oirl.records import Prompt, Query


def word(number: int) -> str:
    """A text of letters alone: texts that differ in numbers only would be one group."""
    return "".join("abcdefghij"[int(digit)] for digit in str(number))


def make_queries(n: int) -> tuple[Query, ...]:
    return tuple(Query(f"question {word(i)}") for i in range(n))


def make_prompts(n: int) -> tuple[Prompt, ...]:
    return tuple(Prompt.from_text(f"Wording {word(i)}.", id=f"p{i}") for i in range(n))


def _make(n_queries: int, n_prompts: int, rows: Any, chosen: Any, rewards: Any, *more: Any, **named: Any) -> Any:
    return LoggedDecisions(make_queries(n_queries), make_prompts(n_prompts), rows, chosen, rewards, *more, **named)


@pytest.fixture
def make_decisions() -> Callable[..., LoggedDecisions]:
    return _make


class Greedy:
    """ε-greedy logging of a world of known success probabilities."""

    def __init__(
        self, *, n_queries: int = 300, n_prompts: int = 4, n_decisions: int = 1200, explore: float = 0.4, seed: int = 0
    ) -> None:
        rng = np.random.default_rng(seed)
        shape = (n_queries, n_prompts)
        self.truth = rng.uniform(0.2, 0.9, shape)
        self.recommended = (self.truth + rng.normal(0, 0.4, shape)).argmax(axis=1)
        self.probabilities = np.full(shape, explore / n_prompts)
        self.probabilities[np.arange(n_queries), self.recommended] += 1 - explore
        self.target = (self.truth + rng.normal(0, 0.2, shape)).argmax(axis=1)
        self.baseline = np.full(n_queries, int(self.truth.mean(axis=0).argmax()))
        self.scores = np.clip(self.truth + rng.normal(-0.1, 0.1, shape), 0, 1)
        self.rows = rng.integers(n_queries, size=n_decisions)
        draws = rng.random(n_decisions)[:, None]
        self.chosen = (self.probabilities[self.rows].cumsum(axis=1) < draws).sum(axis=1).clip(0, n_prompts - 1)
        self.rewards = (rng.random(n_decisions) < self.truth[self.rows, self.chosen]).astype(float)
        self.propensities = self.probabilities[self.rows, self.chosen]
        self.queries, self.prompts = make_queries(n_queries), make_prompts(n_prompts)

    @property
    def decisions(self) -> LoggedDecisions:
        return LoggedDecisions(self.queries, self.prompts, self.rows, self.chosen, self.rewards, self.propensities)

    @property
    def with_all_probabilities(self) -> LoggedDecisions:
        return LoggedDecisions(
            self.queries,
            self.prompts,
            self.rows,
            self.chosen,
            self.rewards,
            action_probabilities=self.probabilities[self.rows],
        )


@pytest.fixture
def greedy() -> type[Greedy]:
    return Greedy
