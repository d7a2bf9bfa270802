"""The log that the service writes to: decisions are taken at once and stored soon, feedback is stored at once."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Self

from prompt_oirl.errors import ParameterError, StoreError
from prompt_oirl.serve.decision import Decision, Feedback
from prompt_oirl.serve.decisions.buffer import DecisionBuffer
from prompt_oirl.serve.decisions.store import DecisionStore
from prompt_oirl.serve.protocols import LogState

__all__ = ["StoredDecisionLog"]

_BATCH = 1_000
"""Of decisions in one transaction."""

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
"""Seconds between attempts while the store is down."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Order:
    """To store what waits, then perhaps feedback, without delay."""

    feedback: Feedback | None
    done: Future[bool] = field(default_factory=Future)
    """Whether the feedback's decision is known; True without feedback."""

    def fail(self, problem: str) -> None:
        self.done.set_exception(StoreError(problem))


class StoredDecisionLog:
    """Keeps decisions and feedback in a store: a `DecisionLog`, and an asynchronous context manager.

    One thread writes. It lets decisions gather for a moment and stores them in one transaction, with the feedback that
    has come meanwhile. Feedback does not wait for others to gather. What was stored is durable; a process that is
    killed loses the decisions of the last moment.

    While the store is down decisions wait in memory, up to a bound; beyond it they are dropped and counted. Feedback
    fails then. The store is tried again and again, at growing intervals, and at once when the log is entered.

    Decisions may be recorded before the log is entered, and are stored once it is. Leaving it stores what waits, and
    drops and counts what cannot be stored in time. The store stays open.

    Args:
        store: Where to.
        most_waiting: Decisions in memory at most.
        gather_seconds: For which decisions gather before they are stored.
        answer_seconds: For which feedback waits for the store.
        close_seconds: That leaving may take.

    Raises:
        ParameterError: An argument is not positive.
    """

    def __init__(
        self,
        store: DecisionStore,
        *,
        most_waiting: int = 10_000,
        gather_seconds: float = 0.05,
        answer_seconds: float = 10.0,
        close_seconds: float = 5.0,
    ) -> None:
        if min(most_waiting, gather_seconds, answer_seconds, close_seconds) <= 0:
            raise ParameterError(
                f"most_waiting={most_waiting}, gather_seconds={gather_seconds}, answer_seconds={answer_seconds}, "
                f"close_seconds={close_seconds}: positive numbers are needed"
            )
        self._store = store
        self._gather_seconds = gather_seconds
        self._answer_seconds = answer_seconds
        self._close_seconds = close_seconds
        self._buffer = DecisionBuffer(most_waiting)
        self._orders: deque[_Order] = deque()
        self._problem: str | None = None
        """Why the store is down, until it is tried again."""
        self._said: str | None = None
        """The last problem that was logged; None while the store works."""
        self._failing_since: float | None = None
        self._writing_since: float | None = None
        """When the transaction under way began."""
        self._has_work = threading.Event()
        self._is_urgent = threading.Event()
        self._is_closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def state(self) -> LogState:
        """Whether it can write; a transaction that takes longer than feedback waits for it counts as failing."""
        thread, since, began = self._thread, self._failing_since, self._writing_since
        if thread is None or not thread.is_alive():
            return LogState("ended")
        if since is None and began is not None and time.time() - began > self._answer_seconds:
            since = began
        return LogState() if since is None else LogState("failing", since)

    @property
    def n_dropped(self) -> int:
        """Decisions that could not be kept, because the store was down for too long."""
        return self._buffer.n_dropped

    @property
    def n_waiting(self) -> int:
        """Decisions that are not stored yet."""
        return len(self._buffer)

    async def __aenter__(self) -> Self:
        self._is_closing.clear()
        self._has_work.set()
        # A daemon: where it hangs in a database it does not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="decision-log", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._is_closing.set()
        self._hurry()
        await asyncio.to_thread(thread.join, self._close_seconds)
        if n_lost := self._buffer.give_up():
            _logger.error("%s could not be written in time: %d decisions are lost", self._store.name, n_lost)

    def record(self, decision: Decision) -> None:
        """Take a decision, to be stored soon; it never blocks and never raises."""
        if self._buffer.add(decision) and not self._has_work.is_set():
            self._has_work.set()

    async def give_feedback(self, feedback: Feedback) -> bool:
        """Store feedback and return when it is durable; False where no such decision is known.

        Where several processes share a store, one knows the decisions of another as soon as these are stored: an
        unknown one is looked for again after a moment.

        Raises:
            StoreError: The store is down.
        """
        if await self._order(feedback):
            return True
        await asyncio.sleep(2 * self._gather_seconds)
        return await self._order(feedback)

    async def flush(self) -> None:
        """Return when all that was recorded is durable.

        Raises:
            StoreError: The store is down; decisions go on waiting for it.
        """
        await self._order(None)

    async def recent(self, limit: int = 50) -> Sequence[tuple[Decision, float | None]]:
        """Return the latest decisions, newest first, with the last reward given to each.

        Raises:
            StoreError: The store is down.
        """
        await self.flush()
        return await asyncio.to_thread(self._store.recent, limit)

    async def _order(self, feedback: Feedback | None) -> bool:
        if self._thread is None:
            raise StoreError(f"{self._store.name}: the decision log is closed; enter it (async with) first")
        if self._problem is not None:
            raise StoreError(self._problem)
        order = _Order(feedback)
        self._orders.append(order)
        self._hurry()
        try:
            return await asyncio.wait_for(asyncio.wrap_future(order.done), self._answer_seconds)
        except TimeoutError:
            raise StoreError(
                f"{self._store.name}: no answer within {self._answer_seconds:g} s; see what holds it"
            ) from None

    def _hurry(self) -> None:
        self._is_urgent.set()
        self._has_work.set()

    def _run(self) -> None:
        """Write until the log is closed, whatever happens: the thread's work."""
        while True:
            try:
                self._write_what_comes()
                return
            except Exception as error:  # noqa: BLE001 - nobody else would write; its text may hold a query
                _logger.error("the decision log was ended by %s; it begins again", type(error).__name__)
                self._failing_since = self._failing_since or time.time()
            if self._is_closing.wait(_LONGEST_PAUSE):
                return
            self._has_work.set()

    def _write_what_comes(self) -> None:
        """Write until the log is closed."""
        pause = _SHORTEST_PAUSE
        while not self._is_closing.is_set() or self._buffer or self._orders:
            self._has_work.wait()
            self._is_urgent.wait(self._gather_seconds)
            self._has_work.clear()
            self._is_urgent.clear()
            problem = self._write()
            if problem is None:
                self._go_on()
                pause = _SHORTEST_PAUSE
            elif self._is_closing.is_set():
                return
            else:
                pause = self._pause(pause, problem)

    def _go_on(self) -> None:
        """Say that the store works, if it did not."""
        if self._failing_since is not None:
            self._failing_since = self._said = None
            _logger.warning("%s works again; %d decisions were dropped", self._store.name, self._buffer.n_dropped)

    def _pause(self, pause: float, problem: str) -> float:
        """Try nothing for a while, and return how long the next pause is to be."""
        self._failing_since = self._failing_since or time.time()
        if problem != self._said:
            self._said = problem
            _logger.warning("%s; decisions wait in memory until the store works", problem)
        self._problem = problem
        self._is_closing.wait(pause)
        self._problem = None
        self._has_work.set()
        return min(2 * pause, _LONGEST_PAUSE)

    def _write(self) -> str | None:
        """Store what waits, then the feedback that was there before; return what went wrong."""
        orders = [self._orders.popleft() for _ in range(len(self._orders))]
        orders = [order for order in orders if order.done.set_running_or_notify_cancel()]
        try:
            for _ in range(len(self._buffer) // _BATCH):
                self._save()
            known = iter(self._save([order.feedback for order in orders if order.feedback is not None]))
            answers = [order.feedback is None or next(known) for order in orders]
        except StoreError as error:
            for order in orders:
                order.fail(str(error))
            return str(error)
        except Exception as error:  # noqa: BLE001 - the thread must live; the text of an unknown error may hold a query
            problem = f"{self._store.name}: {type(error).__name__} while it was written"
            for order in orders:
                order.fail(problem)
            return problem
        for order, answer in zip(orders, answers, strict=True):
            order.done.set_result(answer)
        return None

    def _save(self, given: Sequence[Feedback] = ()) -> Sequence[bool]:
        """Store the oldest decisions, and feedback."""
        taken, n_refused = self._buffer.take(_BATCH), 0
        self._writing_since = time.time()
        try:
            known = self._store.save(taken, given)
        except ParameterError:
            n_refused = sum(not self._is_saved(decision) for decision in taken)
            known = self._store.save((), given)
        finally:
            self._writing_since = None
        self._buffer.confirm(n_lost=n_refused)
        return known

    def _is_saved(self, decision: Decision) -> bool:
        """Store one decision; False where the database refuses it, so that others are not refused with it."""
        try:
            self._store.save((decision,))
        except ParameterError as error:
            _logger.error("a decision is lost: %s", error)
            return False
        return True
