"""Contract suite of clients of an LLM: outcomes are typed, no error is an answer, calls may be many and may be dropped.

```python
def test_my_client() -> None:
    check_llm_client(MyClient)
```
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from prompt_oirl.collect.client.protocol import LLMClient
from prompt_oirl.errors import LLMError
from prompt_oirl.records import Message
from prompt_oirl.runs.configuration import SamplingParameters
from prompt_oirl.runs.outcomes import Completion, Failure, Outcome

__all__ = ["check_llm_client", "check_llm_failures"]

_PARAMETERS = SamplingParameters(max_tokens=16)
_PATIENCE = 60.0
"""Seconds after which a call hangs."""

_N_CALLS = 8

_T = TypeVar("_T")


def check_llm_client(make: Callable[[], LLMClient], *, parameters: SamplingParameters = _PARAMETERS) -> None:
    """Check a client of an LLM that can be reached and answers every chat.

    Args:
        make: Makes a client; called in a running event loop.
        parameters: Of all calls.

    Raises:
        AssertionError: With what is broken.
    """
    for check in (_answers, _answers_many_at_once, _forgets_what_is_cancelled, _closes):
        asyncio.run(_in_time(check(make, parameters), check.__name__))


def check_llm_failures(
    make: Callable[[], LLMClient], *, forbidden: Sequence[str], parameters: SamplingParameters = _PARAMETERS
) -> None:
    """Check a client whose LLM refuses or breaks off every call.

    Args:
        make: Makes a client; called in a running event loop.
        forbidden: What the refusals say, or what else no answer may be.
        parameters: Of all calls.

    Raises:
        AssertionError: With what is broken.
    """
    asyncio.run(_in_time(_fails(make, parameters, forbidden), "failures"))


async def _in_time(work: Awaitable[_T], name: str) -> _T:
    try:
        return await asyncio.wait_for(work, 3 * _PATIENCE)
    except TimeoutError:
        raise AssertionError(f"a client answers or fails in {3 * _PATIENCE:g} s; this one hangs in {name}") from None


def _asking(number: int) -> tuple[Message, ...]:
    return Message("system", "Be brief."), Message("user", f"What is {number} plus {number}?")


async def _answers(make: Callable[[], LLMClient], parameters: SamplingParameters) -> None:
    client = make()
    _require(isinstance(client, LLMClient), "a client has check, complete and close")
    await client.check()
    await client.check()
    messages = _asking(1)
    outcome = await client.complete(messages, parameters)
    _require_completion(outcome)
    _require(messages == _asking(1), "messages stay as they are")
    _require_completion(await client.complete(list(messages), parameters))
    await client.close()


async def _answers_many_at_once(make: Callable[[], LLMClient], parameters: SamplingParameters) -> None:
    client = make()
    one_by_one = [await client.complete(_asking(number), parameters) for number in range(_N_CALLS)]
    at_once = await asyncio.gather(*(client.complete(_asking(number), parameters) for number in range(_N_CALLS)))
    for outcome in (*one_by_one, *at_once):
        _require_completion(outcome)
    await client.close()


async def _forgets_what_is_cancelled(make: Callable[[], LLMClient], parameters: SamplingParameters) -> None:
    client = make()
    calls = [asyncio.create_task(client.complete(_asking(number), parameters)) for number in range(_N_CALLS)]
    await asyncio.sleep(0)
    for dropped in calls[::2]:
        dropped.cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    for number, result in enumerate(results):
        if isinstance(result, BaseException):
            _require(
                number % 2 == 0 and isinstance(result, asyncio.CancelledError),
                f"only what is cancelled is cancelled, got {result!r}",
            )
        else:
            _require_completion(result)
    _require_completion(await client.complete(_asking(99), parameters))
    await client.close()


async def _closes(make: Callable[[], LLMClient], parameters: SamplingParameters) -> None:
    """It may be closed unused, and with a call under way, which then ends in one of the ways that calls end."""
    await make().close()
    client = make()
    call = asyncio.create_task(client.complete(_asking(1), parameters))
    await asyncio.sleep(0)
    await client.close()
    try:
        outcome = await asyncio.wait_for(call, _PATIENCE)
    except LLMError:
        return
    except TimeoutError:
        raise AssertionError("a call under way ends when its client is closed") from None
    _require(isinstance(outcome, Completion | Failure), f"a call ends with an outcome, got {outcome!r}")


async def _fails(make: Callable[[], LLMClient], parameters: SamplingParameters, forbidden: Sequence[str]) -> None:
    client = make()
    calls = (client.complete(_asking(number), parameters) for number in range(_N_CALLS))
    for result in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(result, BaseException):
            _require(isinstance(result, LLMError), f"what no call survives is an LLMError, got {result!r}")
            continue
        if isinstance(result, Completion):
            _require(
                not any(text in result.text for text in forbidden), f"no error is an answer, got {result.text[:80]!r}"
            )
        _require(isinstance(result, Failure), f"a call that was refused is a Failure, got {result!r}")
    await client.close()


def _require_completion(outcome: Outcome) -> None:
    _require(isinstance(outcome, Completion), f"a call that is answered is a Completion, got {outcome}")


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(f"broken: {what}")
