"""What a recommender answers: one prompt, how it compares with the others, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prompt_oirl.records import Message, Prompt, Query

__all__ = ["Recommendation", "ScoredPrompt"]


@dataclass(frozen=True, slots=True)
class ScoredPrompt:
    """A prompt and its score for one query."""

    prompt: Prompt
    score: float
    """In the units of the reward model; the training success rate where one prompt serves all queries."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The prompt to use for one query."""

    query: Query
    prompt: Prompt
    score: float
    runners_up: tuple[ScoredPrompt, ...]
    """The other prompts, best first."""

    reason: str
    """One sentence: why this prompt."""

    @property
    def message(self) -> str:
        """The query in the recommended prompt: the last message, and the only one where the prompt has no context."""
        return self.prompt.render(self.query)

    @property
    def messages(self) -> tuple[Message, ...]:
        """The whole conversation that asks the query, ready to be sent."""
        return self.prompt.messages(self.query)

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold; `prompt_context` is there only for a prompt that has one."""
        context = [{"role": each.role, "content": each.content} for each in self.prompt.context]
        return {
            "query": self.query.text,
            "prompt_id": self.prompt.id,
            "prompt": self.prompt.template,
            **({"prompt_context": context} if context else {}),
            "score": self.score,
            "reason": self.reason,
            "runners_up": [{"prompt_id": other.prompt.id, "score": other.score} for other in self.runners_up],
        }
