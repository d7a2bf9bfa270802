from __future__ import annotations

import asyncio
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_oirl.collect.client.retries import Attempt, Retries, retry_after
from prompt_oirl.errors import LLMError, ParameterError
from prompt_oirl.runs.outcomes import FAILURE_KINDS, Completion, Failure, FailureKind

ANSWER = Attempt(Completion("42", "m"))
NOW = 1_700_000_000.0


class Scripted:
    """Attempts that end as the script says, and waits that are only noted."""

    def __init__(self, *attempts: Attempt | Exception) -> None:
        self.attempts = list(attempts)
        self.waits: list[float] = []

    async def attempt(self) -> Attempt:
        made = self.attempts.pop(0)
        if isinstance(made, Exception):
            raise made
        return made

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


def failed(kind: FailureKind = "timeout", wait: float = 0.0) -> Attempt:
    return Attempt(Failure(kind, kind), wait)


async def test_attempts_are_counted() -> None:
    for n_failed in range(4):
        script = Scripted(*[failed()] * n_failed, ANSWER)
        outcome = await Retries(max_attempts=4, sleep=script.sleep).run(script.attempt)
        assert outcome == Completion("42", "m", attempts=n_failed + 1)
        assert len(script.waits) == n_failed


async def test_the_last_failure_is_returned() -> None:
    script = Scripted(failed("connection"), failed("timeout"), failed("malformed"), ANSWER)
    outcome = await Retries(max_attempts=3, sleep=script.sleep).run(script.attempt)
    assert outcome == Failure("malformed", "malformed", attempts=3)
    assert len(script.waits) == 2
    script = Scripted(failed())
    assert await Retries(max_attempts=1).run(script.attempt) == Failure("timeout", "timeout")


@pytest.mark.parametrize("kind", FAILURE_KINDS)
async def test_only_what_may_pass_is_repeated(kind: FailureKind) -> None:
    script = Scripted(failed(kind), ANSWER)
    outcome = await Retries(sleep=script.sleep).run(script.attempt)
    assert isinstance(outcome, Failure) == (kind in ("bad_request", "no_content"))


async def test_errors_are_not_repeated() -> None:
    script = Scripted(failed(), LLMError("no access"), ANSWER)
    with pytest.raises(LLMError, match="no access"):
        await Retries(sleep=script.sleep).run(script.attempt)
    assert script.attempts == [ANSWER]


async def test_waits_are_drawn_from_a_doubling_range() -> None:
    script = Scripted(*[failed()] * 2000)
    retries = Retries(max_attempts=2000, first_wait=1.0, longest_wait=60.0, random=Random(0), sleep=script.sleep)
    await retries.run(script.attempt)
    for exponent, wait in enumerate(script.waits[:10]):
        assert 0 <= wait <= min(60.0, 2.0**exponent)
    late = script.waits[10:]
    assert min(late) < 1
    assert max(late) > 59
    assert 28 < sum(late) / len(late) < 32
    again = Scripted(*[failed()] * 2000)
    await Retries(max_attempts=2000, random=Random(0), sleep=again.sleep).run(again.attempt)
    assert again.waits == script.waits


async def test_no_sooner_than_the_server_says() -> None:
    script = Scripted(failed(wait=20.0), failed(wait=1e9), failed(wait=float("inf")), ANSWER)
    await Retries(sleep=script.sleep).run(script.attempt)
    assert 20 <= script.waits[0] <= 21
    assert 300 <= script.waits[1] <= 302
    assert 300 <= script.waits[2] <= 304


async def test_a_cancelled_wait_ends_the_call() -> None:
    script = Scripted(failed(wait=100.0), ANSWER)
    task = asyncio.create_task(Retries().run(script.attempt))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert script.attempts == [ANSWER]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0.0),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:30 GMT"}, 10.0),
        ({"retry-after": "Tue, 14 Nov 2023 23:13:30 +0100"}, 10.0),
        ({"retry-after": "Mon, 13 Nov 2023 22:13:30 GMT"}, 0.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "nan"}, 0.0),
        ({"retry-after": "soon"}, 0.0),
        ({"retry-after": "1e999"}, float("inf")),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float) -> None:
    assert retry_after(headers, now=NOW) == seconds


@given(st.text(), st.text())
def test_no_header_breaks_it(seconds: str, milliseconds: str) -> None:
    assert retry_after({"retry-after": seconds, "retry-after-ms": milliseconds}, now=NOW) >= 0


@pytest.mark.parametrize("arguments", [{"max_attempts": 0}, {"first_wait": -1.0}, {"longest_wait": float("nan")}])
def test_arguments_that_cannot_be_used(arguments: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match="at least"):
        Retries(**arguments)
