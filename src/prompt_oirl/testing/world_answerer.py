"""A simulated LLM that answers a synthetic world's queries as often rightly as the world's truth says."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from prompt_oirl.records import SLOT
from prompt_oirl.testing.answerer import write_answer, write_unparsable_answer
from prompt_oirl.testing.chat_completions import ChatRequest, content_hash
from prompt_oirl.testing.world import SyntheticWorld

__all__ = ["UNKNOWN", "WorldAnswerer"]

UNKNOWN = "I am sorry, but that is none of the problems that I have learned."
"""The answer to a text that is not the world's: it cannot be parsed."""


@dataclass(frozen=True)
class WorldAnswerer:
    """Answers every text, so that it comes last where there are several answerers.

    An answer is one draw: unparsable with the world's share of these, else right with the success probability of the
    query and the prompt. What the draw depends on, besides the world and the messages:

    - temperature 0: nothing else. The same messages have the same answer, as with greedy decoding.
    - a seed is sent: the seed. Samples with seeds of their own are independent draws, and can be repeated.
    - neither: nothing else if `is_deterministic`, else how many times the messages have been answered before.
    """

    world: SyntheticWorld

    is_deterministic: bool = True
    """Without a seed, whether the same messages always have the same answer: a run that is stopped and resumed ends
    with the answers of an undisturbed one. Set it to False where a query is to have several independent samples
    without a seed."""

    def answer(self, request: ChatRequest, occurrence: int) -> str:
        """Answer the last message of the user."""
        cell = self._find(request.text)
        if cell is None:
            return UNKNOWN
        row, column = cell
        rng = self._rng(request, occurrence)
        if rng.random() < self.world.unparsable:
            return write_unparsable_answer(rng)
        is_right = bool(rng.random() < self.world.success_probabilities[row, column])
        return write_answer(self.world.problems[row], self.world.prompts[column], is_right=is_right, rng=rng)

    @cached_property
    def _row_of_text(self) -> dict[str, int]:
        return {query.text: row for row, query in enumerate(self.world.queries)}

    def _find(self, text: str) -> tuple[int, int] | None:
        """Return the row of the query and the column of the prompt that render to the text."""
        for column, prompt in enumerate(self.world.prompts):
            before, _, after = prompt.template.partition(SLOT)
            row = self._row_of_text.get(text.removeprefix(before).removesuffix(after))
            if row is not None and text == prompt.render(self.world.queries[row]):
                return row, column
        return None

    def _rng(self, request: ChatRequest, occurrence: int) -> np.random.Generator:
        is_greedy = request.temperature == 0
        key = content_hash(request.messages, None if is_greedy else request.seed)
        if not (is_greedy or self.is_deterministic) and request.seed is None:
            key += f" {occurrence}"
        digest = hashlib.sha256(f"{self.world.seed} {key}".encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:16]))
