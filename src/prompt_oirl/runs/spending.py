"""What a run has cost so far, by the server's own counts."""

from __future__ import annotations

from dataclasses import asdict, dataclass

__all__ = ["Spending"]


@dataclass(frozen=True, slots=True)
class Spending:
    """Counts over everything that is stored, of all sessions of a run."""

    requests: int = 0
    """Sent, repeated attempts and failed ones included."""

    answered: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    uncounted: int = 0
    """Answers for which the server named no token counts."""

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens

    def to_dict(self) -> dict[str, int]:
        """Return the counts and the tokens together as JSON can hold them."""
        return asdict(self) | {"tokens": self.tokens}

    def __add__(self, more: Spending) -> Spending:
        """Return both together."""
        return Spending(
            self.requests + more.requests,
            self.answered + more.answered,
            self.failed + more.failed,
            self.prompt_tokens + more.prompt_tokens,
            self.completion_tokens + more.completion_tokens,
            self.uncounted + more.uncounted,
        )
