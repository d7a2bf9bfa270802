"""How far a collection is, how fast it goes, what it has cost and what it will."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from prompt_oirl.collect.plan.budget import Ledger
from prompt_oirl.runs.outcomes import Completion, Outcome

__all__ = ["Progress", "ProgressMeter", "no_progress"]


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of a collection at one moment. Answers, failures and seconds are of this session alone."""

    answered: int
    failed: int
    left: int
    """Calls still to come."""

    seconds: float
    tokens: int
    """Of the whole run, earlier sessions included, by the server's counts, or estimated where it gave none."""

    usd: float | None
    """Spent by the whole run; None where the model is unpriced."""

    projected_usd: float | None
    """What the whole run will have cost, if the calls to come cost as much as those since this session began."""

    limit: int
    """Calls that may be in flight at once, as it has adapted."""

    @property
    def done(self) -> int:
        """Calls that have ended, either way."""
        return self.answered + self.failed

    @property
    def per_second(self) -> float:
        """Calls that have ended per second."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self)


class ProgressMeter:
    """Counts outcomes as they become durable.

    Args:
        ledger: Of the run's spending.
        limit: Returns how many calls may be in flight.
        on_progress: Called after each outcome.
        clock: Seconds; only differences count.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        limit: Callable[[], int],
        on_progress: Callable[[Progress], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._left = 0
        self._on_progress = on_progress
        self._ledger = ledger
        self._limit = limit
        self._clock = clock
        self._started = clock()
        self._usd_before, self._calls_before = ledger.usd or 0.0, _calls_of(ledger)
        self._answered = 0
        self._failed = 0

    def expect(self, n_calls: int) -> None:
        """Say how many calls are still to come, as far as is known."""
        self._left = n_calls

    def count(self, outcome: Outcome) -> None:
        """Take note of one outcome."""
        self._left = max(0, self._left - 1)
        if isinstance(outcome, Completion):
            self._answered += 1
        else:
            self._failed += 1
        self._on_progress(self.now())

    def now(self) -> Progress:
        """Return the state at this moment."""
        return Progress(
            answered=self._answered,
            failed=self._failed,
            left=self._left,
            seconds=self._clock() - self._started,
            tokens=self._ledger.tokens,
            usd=self._ledger.usd,
            projected_usd=self._projected_usd(),
            limit=self._limit(),
        )

    def _projected_usd(self) -> float | None:
        """Earlier calls of a run may have been of another kind: answers before critiques."""
        usd, calls = self._ledger.usd, _calls_of(self._ledger)
        if usd is None or not calls:
            return None
        since = calls - self._calls_before
        per_call = (usd - self._usd_before) / since if since else usd / calls
        return usd + per_call * self._left


def _calls_of(ledger: Ledger) -> int:
    return ledger.spending.answered + ledger.spending.failed


def no_progress(_: Progress) -> None:
    """Show nothing."""
