"""Threads that score, which nobody waits for when the process ends."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

__all__ = ["ScoringThreads"]

_Found = TypeVar("_Found")
_Calls = SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]
"""None ends a thread."""


class ScoringThreads:
    """A few threads for what takes long.

    The standard library's executors keep a process from ending until their last call returns, which one that hangs
    never does.

    Args:
        most: Threads; each is started with a call.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._threads: list[Thread] = []
        self._calls: _Calls = SimpleQueue()
        self._under_way: set[Future[Any]] = set()

    @property
    def n_under_way(self) -> int:
        """Calls that have not returned."""
        return len(self._under_way)

    def submit(self, call: Callable[[], _Found]) -> Future[_Found]:
        """Return what the call will return or raise, as soon as a thread has come to it."""
        made: Future[_Found] = Future()
        self._under_way.add(made)
        made.add_done_callback(self._under_way.discard)
        self._calls.put((made, call))
        if len(self._threads) < self._most:
            name = f"scoring_{len(self._threads)}"
            self._threads.append(Thread(target=_make_all, args=(self._calls,), name=name, daemon=True))
            self._threads[-1].start()
        return made

    def close(self) -> None:
        """End each thread when it has made its calls; it does not wait."""
        for _ in self._threads:
            self._calls.put(None)


def _make_all(calls: _Calls) -> None:
    while _make_next(calls):
        pass


def _make_next(calls: _Calls) -> bool:
    """Return whether there was one; while the next is waited for, nothing of it is kept, such as its recommender."""
    asked = calls.get()
    if asked is None:
        return False
    made, call = asked
    if made.set_running_or_notify_cancel():
        try:
            made.set_result(call())
        except BaseException as error:  # noqa: BLE001 - it is raised where the answer is waited for
            made.set_exception(error)
    return True
