"""How many calls may be under way at once: halved when the server says that it is too many, grown slowly again."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType

from prompt_oirl.errors import ParameterError

__all__ = ["AdaptiveConcurrency"]


class AdaptiveConcurrency:
    """A gate with as many slots as the server takes, handed out in the order of asking.

    It works as TCP's congestion control does: additive increase, multiplicative decrease. It belongs to one event loop.

    Args:
        most: Slots that there are at most.
        start: Slots at first; `most` if not given.
        clock: Seconds; the same that attempts are timed with.

    Raises:
        ParameterError: Not 1 ≤ start ≤ most.
    """

    def __init__(self, most: int, *, start: int | None = None, clock: Callable[[], float] = time.perf_counter) -> None:
        self.most = most
        self.limit = most if start is None else start
        if not 1 <= self.limit <= most:
            raise ParameterError(f"most={most}, start={start}: 1 ≤ start ≤ most is needed")
        self.in_flight = 0
        self._clock = clock
        self._halved_at = -math.inf
        self._successes = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def __repr__(self) -> str:
        return f"AdaptiveConcurrency(most={self.most}, limit={self.limit}, in_flight={self.in_flight})"

    async def acquire(self) -> None:
        """Wait for a slot and take it."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._hand_out()
        if turn.done():
            return
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # handed out and cancelled in the same moment
                self.release()
            raise

    def release(self) -> None:
        """Give a slot back.

        Raises:
            ParameterError: None is taken.
        """
        if not self.in_flight:
            raise ParameterError("release() without an acquire(): no slot is taken; give each slot back once")
        self.in_flight -= 1
        self._hand_out()

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def rate_limited(self, started_at: float) -> None:
        """Halve the limit, but only once for all attempts that were under way when it was last halved.

        Args:
            started_at: When the attempt that was answered with 429 was sent, by the clock.
        """
        if started_at <= self._halved_at:
            return
        self._halved_at = self._clock()
        self.limit = max(1, self.limit // 2)
        self._successes = 0

    def succeeded(self) -> None:
        """Count a success; as many as there are slots add one slot."""
        self._successes += 1
        if self._successes >= self.limit and self.limit < self.most:
            self.limit += 1
            self._successes = 0
            self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting and self.in_flight < self.limit:
            turn = self._waiting.popleft()
            if not turn.done():  # else its task was cancelled
                self.in_flight += 1
                turn.set_result(None)
