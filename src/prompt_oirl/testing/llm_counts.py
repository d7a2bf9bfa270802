"""What a simulated LLM was asked: the server's side of the account, to hold a client's against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

__all__ = ["NO_STATUS", "Counts"]

NO_STATUS = 0
"""Stands for the status where none was sent: the client gave up before its answer was ready."""


@dataclass
class Counts:
    """Counts of requests for chat completions since the server was made; its other addresses are not counted."""

    requests: int = 0
    """All that arrived, the refused and the malformed ones included."""

    by_status: Counter[int] = field(default_factory=Counter)
    """By the status that was sent. A request under way has none yet."""

    received: Counter[str] = field(default_factory=Counter)
    """Well-formed requests by their `content_hash`."""

    answered: Counter[str] = field(default_factory=Counter)
    """Of these, the ones that were sent an answer; a fault with status 200 is none."""

    in_flight: int = 0
    """Requests that are being answered now; one that is refused with 429 never is."""

    most_in_flight: int = 0
    """Most of them at once. Without a latency there is never more than one."""

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Count a request as being answered."""
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            yield
        finally:
            self.in_flight -= 1

    def copy(self) -> Counts:
        """Return the counts as they are now; these go on."""
        return replace(
            self,
            by_status=Counter(self.by_status),
            received=Counter(self.received),
            answered=Counter(self.answered),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in vars(self).items()}
