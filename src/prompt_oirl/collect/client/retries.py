"""Ask again where that may help: exponential backoff with full jitter, and no sooner than the server says."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from random import Random
from typing import cast

from tenacity import AsyncRetrying, Future, RetryCallState, retry_if_result, stop_after_attempt

from prompt_oirl.errors import ParameterError
from prompt_oirl.runs.outcomes import Completion, Outcome

__all__ = ["Attempt", "Retries", "retry_after"]

_LASTING = ("bad_request", "no_content")
"""Kinds of failures that the same request would meet again."""

_LONGEST_EXPONENT = 30


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of one request."""

    outcome: Outcome
    retry_after: float = 0.0
    """Seconds that the server wants to be left alone for."""

    @property
    def may_be_repeated(self) -> bool:
        """Whether the same request may fare better later."""
        return not isinstance(self.outcome, Completion) and self.outcome.kind not in _LASTING


@dataclass(frozen=True)
class Retries:
    """How often a request is sent, and how long to wait in between.

    The n-th wait is drawn evenly between 0 and `first_wait` × 2ⁿ⁻¹, at most `longest_wait` ("full jitter",
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), on top of what the server asks for.

    Raises:
        ParameterError: There is no attempt, or a wait is negative.
    """

    max_attempts: int = 6
    first_wait: float = 1.0
    """Seconds."""

    longest_wait: float = 60.0
    longest_retry_after: float = 300.0
    """Seconds; a server that asks for more is asked again after these."""

    random: Random = field(default_factory=Random)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def __post_init__(self) -> None:
        waits = (self.first_wait, self.longest_wait, self.longest_retry_after)
        if self.max_attempts < 1 or not all(wait >= 0 for wait in waits):
            raise ParameterError(
                f"max_attempts={self.max_attempts}, waits {waits}: at least 1 and at least 0 is needed"
            )

    async def run(self, attempt: Callable[[], Awaitable[Attempt]]) -> Outcome:
        """Make attempts until one is final, and return its outcome with the number of attempts."""

        async def once() -> Attempt:
            return await attempt()

        # One for each call: tenacity keeps the state of a call in it, which calls under way at once would mix up.
        retrying = AsyncRetrying(
            sleep=self.sleep,
            stop=stop_after_attempt(self.max_attempts),
            wait=self._wait,
            retry=retry_if_result(lambda made: made.may_be_repeated),
            retry_error_callback=_last_attempt,
        )
        last: Attempt = await retrying(once)
        return replace(last.outcome, attempts=retrying.statistics["attempt_number"])

    def _wait(self, state: RetryCallState) -> float:
        exponent = min(state.attempt_number - 1, _LONGEST_EXPONENT)
        backoff = self.random.uniform(0, min(self.longest_wait, self.first_wait * 2**exponent))
        return backoff + min(_last_attempt(state).retry_after, self.longest_retry_after)


def retry_after(headers: Mapping[str, str], *, now: float) -> float:
    """Return the seconds that `retry-after-ms` or `Retry-After` (seconds or a date) ask for; 0 where they do not.

    Args:
        headers: Of the reply, with names in lower case.
        now: Seconds since the epoch.
    """
    milliseconds = _number(headers.get("retry-after-ms", ""))
    seconds = _seconds(headers.get("retry-after", ""), now=now) if milliseconds is None else milliseconds / 1000
    return max(0.0, seconds)


def _seconds(value: str, *, now: float) -> float:
    number = _number(value)
    if number is not None:
        return number
    try:
        return parsedate_to_datetime(value).timestamp() - now
    except (ValueError, OverflowError):
        return 0.0


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return None if math.isnan(number) else number


def _last_attempt(state: RetryCallState) -> Attempt:
    made: Attempt = cast(Future, state.outcome).result()
    return made
