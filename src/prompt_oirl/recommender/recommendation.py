"""What a recommender answers: one prompt, how it compares with the others, and why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from prompt_oirl.records import Message, Prompt, Query

__all__ = ["Recommendation", "ScoredPrompt", "json_score"]


def json_score(score: float) -> float | None:
    """Return a score as JSON can hold it: None where there is none."""
    return score if math.isfinite(score) else None


class ScoredPrompt(NamedTuple):
    """A prompt and its score for one query."""

    prompt: Prompt
    score: float
    """In the units of the reward model; the training success rate where one prompt serves all queries. NaN for a prompt
    that could not be scored."""

    is_seen: bool = True
    """Whether the prompt was in training."""

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold; `is_seen` is there only for a prompt that was not in training."""
        if self.is_seen:
            return {"prompt_id": self.prompt.id, "score": json_score(self.score)}
        return {"prompt_id": self.prompt.id, "score": json_score(self.score), "is_seen": False}


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

    is_seen: bool = True
    """Whether the prompt was in training."""

    @property
    def message(self) -> str:
        """The query in the recommended prompt: the last message, and the only one where the prompt has no context."""
        return self.prompt.render(self.query)

    @property
    def messages(self) -> tuple[Message, ...]:
        """The whole conversation that asks the query, ready to be sent."""
        return self.prompt.messages(self.query)

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold.

        `prompt_context` is there only for a prompt that has one, `is_seen` only for one that was not in training.
        """
        context = [{"role": each.role, "content": each.content} for each in self.prompt.context]
        return {
            "query": self.query.text,
            "prompt_id": self.prompt.id,
            "prompt": self.prompt.template,
            **({"prompt_context": context} if context else {}),
            **({} if self.is_seen else {"is_seen": False}),
            "score": json_score(self.score),
            "reason": self.reason,
            "runners_up": [other.to_dict() for other in self.runners_up],
        }
