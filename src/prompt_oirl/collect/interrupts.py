"""Ctrl-C: once to finish what is under way and stop, twice to stop at once."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from prompt_oirl.collect.client.protocol import LLMClient

__all__ = ["attended", "draining_on_interrupt"]


@contextmanager
def draining_on_interrupt(stop: asyncio.Event, *, on_drain: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Set `stop` at the first SIGINT or SIGTERM, cancel the current task at the second.

    Signals reach the main thread only; in another one this does nothing.

    Args:
        stop: What the work looks at before it begins something new.
        on_drain: Called at the first signal, to say what is waited for.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def interrupt() -> None:
        if stop.is_set() and task is not None:
            task.cancel()
        elif not stop.is_set():
            stop.set()
            on_drain()

    signals = (signal.SIGINT, signal.SIGTERM)
    before = {each: signal.getsignal(each) for each in signals}
    for each in signals:
        loop.add_signal_handler(each, interrupt)
    try:
        yield
    finally:
        for each in signals:
            loop.remove_signal_handler(each)
            signal.signal(each, before[each])


@asynccontextmanager
async def attended(client: LLMClient, *, on_drain: Callable[[], None]) -> AsyncIterator[asyncio.Event]:
    """Yield what Ctrl-C sets while the block runs, and close the client in the end."""
    stop = asyncio.Event()
    try:
        with draining_on_interrupt(stop, on_drain=on_drain):
            yield stop
    finally:
        await client.close()
