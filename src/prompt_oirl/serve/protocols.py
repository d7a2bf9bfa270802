"""What the service's parts ask of each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from prompt_oirl.recommender import Recommendation
from prompt_oirl.serve.decision import Decision, Feedback, Source

__all__ = ["Decided", "Decides", "DecisionLog", "LogState"]


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision, and the recommendation behind it."""

    decision: Decision
    recommendation: Recommendation


class Decides(Protocol):
    """Chooses a prompt for a query, whatever happens, and logs the decision."""

    async def decide(self, query: str, *, source: Source, candidates: Sequence[str] | None = None) -> Decided:
        """Choose among the recommender's prompts, or among some of them by their ids.

        Raises:
            UnseenPromptError: A candidate is not a prompt of the recommender.
            DataError: The query is empty.
        """
        ...

    def best_single(self, *, source: Source) -> Decided:
        """Choose the best single prompt for what is no text to choose by, such as an image."""
        ...


@dataclass(frozen=True, slots=True)
class LogState:
    """Whether a decision log can write."""

    name: Literal["writing", "failing", "ended"] = "writing"
    """`failing`: the store is down, and decisions wait. `ended`: nothing is written, and decisions will be lost."""

    failing_since: float | None = None
    """Seconds since 1970; None while it does not fail."""


class DecisionLog(Protocol):
    """Keeps decisions and feedback without making anyone wait."""

    @property
    def state(self) -> LogState:
        """Whether it can write; it never blocks."""
        ...

    @property
    def n_dropped(self) -> int:
        """Decisions that could not be kept, because the store was down for too long."""
        ...

    @property
    def n_waiting(self) -> int:
        """Decisions that are not stored yet."""
        ...

    def record(self, decision: Decision) -> None:
        """Take a decision, to be stored soon; it never blocks and never raises."""
        ...

    async def give_feedback(self, feedback: Feedback) -> bool:
        """Store feedback and return when it is durable; False where no such decision is known.

        Raises:
            StoreError: The store is down.
        """
        ...

    async def recent(self, limit: int = 50) -> Sequence[tuple[Decision, float | None]]:
        """Return the latest decisions, newest first, with the last reward given to each.

        Raises:
            StoreError: The store is down.
        """
        ...
