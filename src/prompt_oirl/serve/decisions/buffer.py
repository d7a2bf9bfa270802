"""Decisions that wait to be stored: a bounded number of them, in their order."""

from __future__ import annotations

from collections import deque

from prompt_oirl.serve.decision import Decision

__all__ = ["DecisionBuffer"]

_MOST_CHARACTERS = 16 * 2**20
"""Of logged queries and named candidates, so that long ones do not fill the memory."""


class DecisionBuffer:
    """Holds decisions between the thread that adds them and the one that stores them, without a lock.

    Every number is written by one of the two alone.

    Args:
        most: Decisions to hold at most.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: deque[Decision] = deque()
        self._taken: list[Decision] = []
        self._characters_added = self._characters_gone = 0
        self._n_refused = self._n_lost = 0

    def __len__(self) -> int:
        return len(self._waiting) + len(self._taken)

    @property
    def n_dropped(self) -> int:
        """Decisions that there was no place for, and those that were given up."""
        return self._n_refused + self._n_lost

    def add(self, decision: Decision) -> bool:
        """Take a decision in; False where there is no place, and it is dropped and counted."""
        added = self._characters_added + _n_characters(decision)
        if len(self._waiting) + len(self._taken) >= self._most or added - self._characters_gone > _MOST_CHARACTERS:
            self._n_refused += 1
            return False
        self._characters_added = added
        self._waiting.append(decision)
        return True

    def take(self, most: int) -> list[Decision]:
        """Return the oldest decisions, those again that were taken before and not confirmed."""
        while self._waiting and len(self._taken) < most:
            self._taken.append(self._waiting.popleft())
        return self._taken

    def confirm(self, *, n_lost: int = 0) -> None:
        """Forget the decisions that were taken, all of them stored but so many."""
        self._n_lost += n_lost
        self._characters_gone += sum(map(_n_characters, self._taken))
        self._taken = []

    def give_up(self) -> int:
        """Drop and count all that is there; return how many that were."""
        n_lost = len(self)
        self.take(n_lost)
        self.confirm(n_lost=n_lost)
        return n_lost


def _n_characters(decision: Decision) -> int:
    """Return about how many characters a decision holds that a client has chosen."""
    return len(decision.query or "") + 64 * len(decision.candidates or ())
