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
from prompt_oirl.collect.cell_store import CellStore
from prompt_oirl.collect.client.concurrency import AdaptiveConcurrency
from prompt_oirl.collect.client.protocol import LLMClient
from prompt_oirl.collect.outage import OutageWatch
from prompt_oirl.collect.plan.budget import Ledger, Reservation
from prompt_oirl.collect.saver import Saver, saving_to
from prompt_oirl.errors import StoreError
from prompt_oirl.records import Message
from prompt_oirl.runs.configuration import SamplingParameters
from prompt_oirl.runs.outcomes import Outcome
from prompt_oirl.runs.rows import StoredOutcome

__all__ = ["Collection", "Ending"]

Ending = Literal["done", "budget", "interrupted"]

_SHARE_OF_TIME_IN_SUMS = 0.1
_PARTS = 4
"""Slots wait for their outcomes to be durable. If no more than a fourth of them does together, the others go on."""


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

    outage: OutageWatch = field(default_factory=OutageWatch)
    """Ends it where nothing but failures comes back."""

    on_outcome: Callable[[Outcome], None] | None = None
    """Called after an outcome is durable."""

    worker: str = field(default_factory=_worker_name)
    """Name that cells are claimed under."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    """Set it to launch no further call; those in flight are waited for and saved."""

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
        saving = saving_to(self.store, enough=max(1, self.concurrency.most // _PARTS))
        async with self._holding_claims(), saving as saver, asyncio.TaskGroup() as in_flight:
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
            for call in await self._held(batch):
                yield call

    async def _held(self, batch: list[Call]) -> list[Call]:
        """Return those calls whose cells are this worker's; all of them where it is the only one."""
        if self.store.is_local:
            self.store.make_room()
            return batch
        cells = [call.cell for call in batch]
        claim = partial(
            self.store.claim, cells, worker=self.worker, seconds=self.lease_seconds, retry_failed=self.retry_failed
        )
        held = {cell.key for cell in await asyncio.to_thread(claim)}
        await self._observe()
        return [call for call in batch if call.cell.key in held]

    async def _observe(self) -> None:
        """Take in what other workers have spent, unless summing the whole store would take too much of the time."""
        started = time.monotonic()
        if started >= self._next_sum_at:
            self.ledger.observe(await asyncio.to_thread(self.store.spending))
            self._next_sum_at = started + (time.monotonic() - started) / _SHARE_OF_TIME_IN_SUMS

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
        has_worked = self.retry_failed or self.ledger.spending.answered > 0
        error = self.outage.error_after(outcome, has_worked=has_worked)
        if error is not None:
            self._fail(error)

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


def _batches(calls: Iterable[Call], *, size: int) -> Iterator[list[Call]]:
    iterator = iter(calls)
    while batch := list(islice(iterator, size)):
        yield batch
