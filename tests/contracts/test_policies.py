from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from prompt_oirl.arrays import FloatArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.policies import (
    BestOfN,
    BestSinglePrompt,
    FallbackBestOfN,
    Oracle,
    Policy,
    RandomPrompt,
    SelfCritique,
)
from prompt_oirl.records import Prompt, Query
from prompt_oirl.testing import check_policy


@dataclass
class TextLengths:
    """A reward model that scores a prompt by how near its length is to the query's."""

    gives_probabilities: bool = True

    def fit(self, demonstrations: Demonstrations) -> TextLengths:
        return self

    def score(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> FloatArray:
        lengths = np.array([len(query.text) for query in queries])[:, None]
        return np.exp(-np.abs(lengths / 2 - [len(prompt.text) for prompt in prompts]) / 20)


def critique(logs: Demonstrations) -> SelfCritique:
    return SelfCritique.from_array(logs.queries, logs.prompts, np.random.default_rng(0).random(logs.trials.shape))


POLICIES: dict[str, Callable[[Demonstrations], Policy]] = {
    "best of n": lambda logs: BestOfN(TextLengths().fit(logs)),
    "best of n with a head start": lambda logs: BestOfN(TextLengths(), head_start=0.1, best_single="retell"),
    "best single prompt": BestSinglePrompt.chosen_on,
    "fallback": lambda logs: FallbackBestOfN(TextLengths(), fallback_prompts=logs.prompts[3:]),
    "self-critique": critique,
    "random": lambda logs: RandomPrompt(seed=1),
    "oracle": Oracle,
}


@pytest.mark.parametrize("make", POLICIES.values(), ids=POLICIES.keys())
def test_policies_keep_the_contract(make: Callable[[Demonstrations], Policy]) -> None:
    check_policy(make)
