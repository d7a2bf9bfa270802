"""Buy cells: each is claimed, asked for, stored, and only then counted as done.

A slot of the concurrency is held until the outcome is durable, so a process that is killed loses no stored answer, and
at most as many calls as were in flight.
"""

from __future__ import annotations

import asyncio
import math
import os
import platform
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Literal

from prompt_oirl.collect.call import Call
from prompt_oirl.collect.cell_store import CellStore, in_store
from prompt_oirl.collect.client.concurrency import AdaptiveConcurrency
from prompt_oirl.collect.client.protocol import LLMClient
from prompt_oirl.collect.plan.budget import Ledger, Reservation
from prompt_oirl.collect.saver import Saver, saving_to
from prompt_oirl.errors import LLMError, StoreError
from prompt_oirl.records import Message
from prompt_oirl.runs.configuration import SamplingParameters
from prompt_oirl.runs.outcomes import Completion, Failure, Outcome
from prompt_oirl.runs.rows import StoredOutcome

__all__ = ["PASSING", "Collection", "Ending", "server_is_down"]

Ending = Literal["done", "budget", "interrupted"]

PASSING = ("timeout", "connection", "rate_limit", "server_error", "malformed")
"""Failures that are the server's state and not this call's fault."""

_FORBIDDEN = 403


def _worker_name() -> str:
    return f"{platform.node()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


@dataclass(eq=False)
class Collection:
    """Buys cells with one client into one store."""

    store: CellStore
    client: LLMClient
    parameters: SamplingParameters
    ledger: Ledger
    concurrency: AdaptiveConcurrency
    retry_failed: bool = False
    lease_seconds: float = 120.0
    """How long a claim of a worker that has died keeps others away. Claims are renewed while the worker lives."""

    most_failures_in_a_row: int = 50
    """After so many calls without an answer the server is taken to be down, and the rest is not tried."""

    on_outcome: Callable[[Outcome], None] | None = None
    """Called after an outcome is durable."""

    worker: str = field(default_factory=_worker_name)
    """Name that cells are claimed under."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    """Set it to launch no further call; those in flight are waited for and saved."""

    _failures_in_a_row: int = 0
    _error: Exception | None = None
    _next_sum_at: float = -math.inf
    _settled: asyncio.Event = field(default_factory=asyncio.Event)

    async def buy(self, calls: Iterable[Call]) -> Ending:
        """Make the calls, except those whose cells others hold or have bought, and return why it ended.

        Whatever is raised, the calls in flight are waited for and stored first. A cancellation waits for none of them,
        and stores those that are back.

        Raises:
            LLMError: No call can succeed any more. What was answered before is stored.
            StoreError: An outcome could not be stored. What was stored before is kept.
        """
        ending: Ending = "done"
        async with self._holding_claims(), saving_to(self.store) as saver, asyncio.TaskGroup() as in_flight:
            try:
                ending = await self._launch(calls, in_flight, saver)
            except Exception as error:  # noqa: BLE001 - raised when the calls in flight are stored
                self._fail(error)
        if self._error is not None:
            raise self._error
        return "interrupted" if self.stop.is_set() else ending

    async def _launch(self, calls: Iterable[Call], in_flight: asyncio.TaskGroup, saver: Saver) -> Ending:
        async for call in self._claimed(calls):
            reservation = await self._admitted(call)
            if reservation is None:
                return "interrupted" if self._is_stopping else "budget"
            in_flight.create_task(self._make(call, reservation, saver))
        return "done"

    @property
    def _is_stopping(self) -> bool:
        return self.stop.is_set() or self._error is not None

    def _fail(self, error: Exception) -> None:
        self._error = self._error or error

    async def _claimed(self, calls: Iterable[Call]) -> AsyncIterator[Call]:
        """Claim the calls' cells a few at a time, so that several workers share them, and their budget, evenly."""
        for batch in _batches(calls, size=2 * self.concurrency.most):
            if self._is_stopping:
                return
            by_key = {call.cell.key: call for call in batch}
            cells = [call.cell for call in batch]
            claim = partial(
                self.store.claim, cells, worker=self.worker, seconds=self.lease_seconds, retry_failed=self.retry_failed
            )
            held = await in_store(self.store, claim)
            await self._observe()
            for cell in held:
                yield by_key[cell.key]

    async def _observe(self) -> None:
        """Take in what other workers have spent; of the time, at most a tenth goes into summing the whole store."""
        started = time.monotonic()
        if not self.store.is_local and started >= self._next_sum_at:
            self.ledger.observe(await asyncio.to_thread(self.store.spending))
            self._next_sum_at = started + 10 * (time.monotonic() - started)

    async def _admitted(self, call: Call) -> Reservation | None:
        """Wait for a slot and for the budget; None where no further call may be launched."""
        await self.concurrency.acquire()
        reservation = None
        try:
            if not self._is_stopping:
                reservation = await self._reserved(call.messages)
        finally:
            if reservation is None:
                self.concurrency.release()
        return reservation

    async def _reserved(self, messages: tuple[Message, ...]) -> Reservation | None:
        """Reserve what the call may cost; where calls in flight hold the rest of the budget, wait for them."""
        while True:
            self._settled.clear()
            reservation = self.ledger.reserve(messages)
            if reservation is not None or self.ledger.reached:
                return reservation
            await self._settled.wait()
            if self._is_stopping:
                return None

    async def _make(self, call: Call, reservation: Reservation, saver: Saver) -> None:
        try:
            outcome = await self._durable_outcome(call, reservation, saver)
            self._watch(outcome)
            if self.on_outcome is not None:
                self.on_outcome(outcome)
        except Exception as error:  # noqa: BLE001 - raised when the other calls in flight are stored
            self._fail(error)
        finally:
            self._settled.set()
            self.concurrency.release()

    async def _durable_outcome(self, call: Call, reservation: Reservation, saver: Saver) -> Outcome:
        try:
            outcome = await self.client.complete(call.messages, self.parameters.for_sample(call.cell.sample))
            await saver.save(StoredOutcome(call.cell, outcome))
        except BaseException:
            self.ledger.release(reservation)
            raise
        self.ledger.settle(reservation, outcome)
        return outcome

    def _watch(self, outcome: Outcome) -> None:
        """Stop when nothing but failures comes back: the rest of a run must not become failures too."""
        if isinstance(outcome, Completion):
            self._failures_in_a_row = 0
        elif self._may_concern_all(outcome):
            self._failures_in_a_row += 1
            if self._failures_in_a_row >= self.most_failures_in_a_row:
                self._fail(server_is_down(self._failures_in_a_row, outcome))

    def _may_concern_all(self, failure: Failure) -> bool:
        """Refusals of single calls count too until there is an answer: it may be the parameters that are refused."""
        may_be_refused = not (self.retry_failed or self.ledger.spending.answered)
        return failure.kind in PASSING or failure.status == _FORBIDDEN or may_be_refused

    @asynccontextmanager
    async def _holding_claims(self) -> AsyncIterator[None]:
        """Renew claims while the block runs; in the end give back those that were not used."""
        renewing = asyncio.create_task(self._renew_forever())
        try:
            yield
        finally:
            renewing.cancel()
            with suppress(asyncio.CancelledError):
                await renewing
            try:
                await asyncio.to_thread(self.store.release, self.worker)
            except StoreError as error:
                self._fail(error)

    async def _renew_forever(self) -> None:
        try:
            while True:
                await asyncio.sleep(self.lease_seconds / 3)
                await asyncio.to_thread(self.store.renew, self.worker, self.lease_seconds)
        except StoreError as error:
            self._fail(error)  # without a lease others would buy the same cells


def server_is_down(n_failures: int, last: Failure) -> LLMError:
    """Return the error that so many failures in a row are."""
    return LLMError(
        f"{n_failures} calls in a row got no answer, the last one after {last.attempts} attempts: {last.kind}, "
        f"{last.message}; see to the server, or to what it objects to, then run the same command with --retry-failed"
    )


def _batches(calls: Iterable[Call], *, size: int) -> Iterator[list[Call]]:
    iterator = iter(calls)
    while batch := list(islice(iterator, size)):
        yield batch
