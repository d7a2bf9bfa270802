"""Ctrl-C: once to drain, twice to stop, and everything as before in the end."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from prompt_oirl.collect.interrupts import attended, draining_on_interrupt

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def _handlers_are_restored() -> Iterator[None]:
    """Whatever a test does, no signal ends the tests, and the handlers of before come back."""
    before = {each: signal.getsignal(each) for each in SIGNALS}
    for each in SIGNALS:
        signal.signal(each, lambda *_: pytest.fail("a signal went past the handler"))
    mine = {each: signal.getsignal(each) for each in SIGNALS}
    yield
    after = {each: signal.getsignal(each) for each in SIGNALS}
    for each in SIGNALS:
        signal.signal(each, before[each])
    assert after == mine, "the handlers that were there before are there again"


async def interrupt(number: signal.Signals = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)
    await asyncio.sleep(0.05)


@pytest.mark.parametrize("number", SIGNALS)
async def test_the_first_signal_asks_to_stop(number: signal.Signals) -> None:
    stop, said = asyncio.Event(), []
    with draining_on_interrupt(stop, on_drain=lambda: said.append("draining")):
        await interrupt(number)
        assert stop.is_set()
    assert said == ["draining"]


@pytest.mark.parametrize("second", SIGNALS)
async def test_the_second_signal_cancels(second: signal.Signals) -> None:
    stop, said = asyncio.Event(), []

    async def work() -> None:
        with draining_on_interrupt(stop, on_drain=lambda: said.append("draining")):
            await interrupt()
            await interrupt(second)
            pytest.fail("it was not cancelled")

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(work())
    assert said == ["draining"]


async def test_a_stop_that_was_set_otherwise_is_the_first() -> None:
    stop = asyncio.Event()
    stop.set()

    async def work() -> None:
        with draining_on_interrupt(stop):
            await interrupt()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(work())


async def test_an_error_restores_the_handlers_too() -> None:
    with pytest.raises(ZeroDivisionError), draining_on_interrupt(asyncio.Event()):
        raise ZeroDivisionError


async def test_the_client_is_closed_in_the_end(scripted_client) -> None:
    client = scripted_client()
    async with attended(client, on_drain=lambda: None) as stop:
        assert not stop.is_set()
        assert not client.is_closed
        await interrupt()
        assert stop.is_set()
    assert client.is_closed
    client = scripted_client()
    with pytest.raises(ZeroDivisionError):
        async with attended(client, on_drain=lambda: None):
            raise ZeroDivisionError
    assert client.is_closed


def test_in_another_thread_there_are_no_signals_to_wait_for(scripted_client) -> None:
    client, ended = scripted_client(), []

    async def work() -> None:
        async with attended(client, on_drain=lambda: None) as stop:
            ended.append(stop.is_set())

    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    thread.join(10)
    assert ended == [False]
    assert client.is_closed
