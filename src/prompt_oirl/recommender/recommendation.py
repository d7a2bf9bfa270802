"""What a recommender answers: one prompt, how it compares with the others, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prompt_oirl.records import Prompt, Query

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
        """The query in the recommended prompt, ready to be sent."""
        return self.prompt.render(self.query)

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            "query": self.query.text,
            "prompt_id": self.prompt.id,
            "prompt": self.prompt.template,
            "score": self.score,
            "reason": self.reason,
            "runners_up": [{"prompt_id": other.prompt.id, "score": other.score} for other in self.runners_up],
        }
