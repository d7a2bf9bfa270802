"""Limits of a server that are known beforehand: requests and tokens a minute."""

from __future__ import annotations

import asyncio
import math

from aiolimiter import AsyncLimiter

from prompt_oirl.errors import ParameterError

__all__ = ["RateLimits"]


class RateLimits:
    """Spreads requests and tokens evenly over a minute, first come first served, with a second's worth of burst.

    Raises:
        ParameterError: A limit is not above 0.
    """

    def __init__(self, *, requests_per_minute: float | None = None, tokens_per_minute: float | None = None) -> None:
        for name, value in (("requests_per_minute", requests_per_minute), ("tokens_per_minute", tokens_per_minute)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ParameterError(f"{name}={value}: a finite number above 0 is needed, or None for no limit")
        self.requests_per_minute = requests_per_minute
        self.tokens_per_minute = tokens_per_minute
        self._requests = _limiter(requests_per_minute)
        self._tokens = _limiter(tokens_per_minute)
        # The limiter alone serves small amounts first, so that large ones would starve.
        self._queue = asyncio.Lock()

    async def wait(self, tokens: int) -> None:
        """Return when one more request with so many tokens may be sent."""
        async with self._queue:
            await _take(self._requests, 1)
            await _take(self._tokens, tokens)


def _limiter(per_minute: float | None) -> AsyncLimiter | None:
    if per_minute is None:
        return None
    burst = max(per_minute / 60, 1.0)
    return AsyncLimiter(burst, time_period=burst * 60 / per_minute)


async def _take(limiter: AsyncLimiter | None, amount: float) -> None:
    """Wait for an amount, part by part, since a limiter gives no more than its burst at once."""
    while limiter is not None and amount > 0:
        part = min(amount, limiter.max_rate)
        await limiter.acquire(part)
        amount -= part
