"""Collect over the workers of a Dask cluster: the head cuts chunks, workers buy them, the head takes in what they got.

The head keeps the budget as if it made the calls itself: a call is in a chunk only once it has its reservation, so the
caps hold whatever the workers do. The concurrency and the limits per minute are of all workers together, and each chunk
has its share of them.

A worker that is killed takes with it what it has bought of its chunk, unless the store is PostgreSQL, and Dask gives
the chunk to another. So at most one chunk for each of its threads is bought twice.
"""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from prompt_oirl.collect.call import Call
from prompt_oirl.collect.client.settings import ClientSettings
from prompt_oirl.collect.cluster.chunk import Bought, Chunk, Site
from prompt_oirl.collect.cluster.dask_cluster import connected
from prompt_oirl.collect.cluster.shards import Shards, read_shard
from prompt_oirl.collect.collected import Collected
from prompt_oirl.collect.engine import Ending
from prompt_oirl.collect.interrupts import draining_on_interrupt
from prompt_oirl.collect.order import Order
from prompt_oirl.collect.outage import OutageWatch
from prompt_oirl.collect.plan.budget import Ledger, Reservation
from prompt_oirl.collect.plan.plan import Plan
from prompt_oirl.collect.progress import Progress, ProgressMeter, no_progress
from prompt_oirl.collect.session import Session
from prompt_oirl.runs.outcomes import Outcome
from prompt_oirl.runs.rows import StoredOutcome
from prompt_oirl.runs.run import Run
from prompt_oirl.runs.store import RunStore

__all__ = ["ClusterCollection", "collect_on_dask"]

_CALLS_PER_SLOT = 4
"""Calls of a chunk for each that it may have in flight: few, for a chunk's calls may be lost together."""


class Cluster(Protocol):
    """What buys chunks, several at once."""

    async def n_threads(self) -> int:
        """Return how many chunks can be bought at once."""
        ...

    async def buy(self, chunk: Chunk) -> Bought:
        """Have a chunk bought."""
        ...


async def collect_on_dask(
    order: Order,
    run: Run,
    *,
    scheduler: str,
    settings: ClientSettings,
    concurrency: int,
    on_progress: Callable[[Progress], None] = no_progress,
    on_drain: Callable[[], None] = lambda: None,
    on_warning: Callable[[str], None] = lambda _: None,
) -> Collected:
    """Buy what is wanted and not there; Ctrl-C once finishes the chunks under way, twice calls them off.

    Keys and passwords are those in the environments of the workers.

    Args:
        order: What is wanted.
        run: Its run, locked.
        scheduler: Address of Dask's.
        settings: Of the clients that workers make; the limits per minute are of all of them together.
        concurrency: How many calls all workers together may have in flight.
        on_progress: Called with each outcome of a chunk that was stored.
        on_drain: Called at the first Ctrl-C.
        on_warning: Told what looks wrong to a worker, though calls may succeed.

    Raises:
        LLMError: No call can succeed. What was answered before is stored.
        StoreError: An outcome could not be stored. What was stored before is kept.
        ParameterError: The scheduler cannot be reached, or workers are missing or cannot work.
        MissingDependencyError: Dask is not installed.
    """
    store, stop = run.store, asyncio.Event()
    with draining_on_interrupt(stop, on_drain=on_drain):
        session = order.session(store)
        ledger = order.ledger(store, order.counter(store))
        ending: Ending = "done"
        if await asyncio.to_thread(session.next_plan):
            site = Site(store.configuration, settings, None if store.is_local else store.name)
            async with connected(scheduler) as cluster:
                for warning in await cluster.check(site):
                    on_warning(warning)
                collection = ClusterCollection(
                    session, ledger, cluster, site, concurrency, Shards.of(run.folder), stop, on_progress
                )
                ending = await collection.buy()
    return session.collected(ledger, ending)


@dataclass(eq=False)
class ClusterCollection:
    """Has a cluster buy what a session wants."""

    session: Session
    ledger: Ledger
    cluster: Cluster
    site: Site
    concurrency: int
    shards: Shards
    """Where outcomes are until the store has them."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    """Set it to begin no further chunk; those under way are waited for and stored."""

    on_progress: Callable[[Progress], None] = no_progress

    def __post_init__(self) -> None:
        self._store: RunStore = self.session.store
        self._name = f"prompt-oirl-{uuid.uuid4().hex}"
        self._free = self._limit = self.concurrency
        self._n_chunks = self._n_under_way = 0
        self._outage = OutageWatch()
        self._held: dict[bytes, Reservation] = {}
        self._refused: Call | None = None
        self._error: Exception | None = None
        self._changed = asyncio.Event()
        self._query_of = {each.query.id: each.query for each in self.session.grid.queries}
        self._prompt_of = {prompt.id: prompt for prompt in self.session.grid.prompts}
        self._meter = ProgressMeter(
            ledger=self.ledger,
            limit=lambda: min(self._limit * max(self._n_under_way, 1), self.concurrency),
            on_progress=self.on_progress,
        )

    async def buy(self) -> Ending:
        """Have everything bought until nothing is wanted any more, and return why it ended.

        Raises:
            LLMError: No call can succeed any more. What was answered before is stored.
            StoreError: An outcome could not be stored. What was stored before is kept.
        """
        ending: Ending = "done"
        async for plan in self.session.rounds(self._meter, self.stop):
            ending = await self._buy_round(plan)
            if ending != "done":
                break
        return "interrupted" if self.stop.is_set() else ending

    async def _buy_round(self, plan: Plan) -> Ending:
        self._refused = None
        try:
            async with asyncio.TaskGroup() as under_way:
                try:
                    await self._launch(plan.calls(), plan.counts.to_come, under_way)
                except Exception as error:  # noqa: BLE001 - raised when the chunks under way are stored
                    self._fail(error)
        finally:
            await self._give_back()
        if self._error is not None:
            raise self._error
        return "done" if self.ledger.reached is None else "budget"

    async def _launch(self, calls: Iterator[Call], to_come: int, under_way: asyncio.TaskGroup) -> None:
        """Begin chunks as workers become free for them, until there are no calls or no budget, or none may begin."""
        while not self._is_stopping:
            n_at_once, share = await self._slot()
            most = min(_CALLS_PER_SLOT * share, math.ceil(to_come / n_at_once))
            if admitted := [] if self._is_stopping else self._admit(calls, most):
                self._free -= share
                self._n_under_way += 1
                under_way.create_task(self._have_bought(admitted, share))
            elif self._refused is None or self.ledger.reached is not None or not self._n_under_way:
                return
            else:  # calls under way hold the rest of the budget
                await self._changed.wait()

    async def _slot(self) -> tuple[int, int]:
        """Wait for a worker that is free; return how many can work at once, and one's share of the concurrency."""
        while True:
            self._changed.clear()
            n_at_once = min(max(await self.cluster.n_threads(), 1), self.concurrency)
            share = min(self.concurrency // n_at_once, self._free)
            if share and self._n_under_way < n_at_once:
                return n_at_once, share
            await self._changed.wait()

    def _admit(self, calls: Iterator[Call], most: int) -> list[Call]:
        """Take calls and hold their part of the budget; the one that is refused comes first the next time."""
        admitted: list[Call] = []
        while len(admitted) < most and (call := self._refused or next(calls, None)) is not None:
            reservation = self.ledger.reserve(call.messages)
            self._refused = call if reservation is None else None
            if reservation is None:
                break
            self._held[call.cell.key] = reservation
            admitted.append(call)
        return admitted

    async def _have_bought(self, calls: Sequence[Call], share: int) -> None:
        try:
            chunk = await asyncio.to_thread(self._chunk, calls, share)
            bought = await self.cluster.buy(chunk)
            for result in await asyncio.to_thread(self._stored, bought):
                self._settle(result)
            self._limit = bought.limit if bought.limit < share else self.concurrency
            if bought.error is not None:
                self._fail(bought.error)
        except Exception as error:  # noqa: BLE001 - raised when the other chunks under way are stored
            self._fail(error)
        finally:
            self._free += share
            self._n_under_way -= 1
            self._changed.set()

    def _chunk(self, calls: Sequence[Call], share: int) -> Chunk:
        self._store.make_room()
        cells = [call.cell for call in calls]
        self._n_chunks += 1
        return Chunk(
            name=f"{self._name}-{self._n_chunks}",
            site=replace(self.site, settings=self.site.settings.share(share / self.concurrency)),
            cells=tuple(cells),
            tokens=tuple(self._held[cell.key].prompt_tokens for cell in cells),
            queries=tuple(self._query_of[id] for id in dict.fromkeys(cell.query_id for cell in cells)),
            prompts=tuple(self._prompt_of[id] for id in dict.fromkeys(cell.prompt_id for cell in cells)),
            concurrency=share,
            start=min(self._limit, share),
            retry_failed=self.session.retry_failed,
        )

    def _stored(self, bought: Bought) -> list[StoredOutcome]:
        """Return what was bought when it is durable in the store, where the worker has not seen to that."""
        _, results = read_shard(bought.shard)
        if self._store.is_local and results:
            shard = self.shards.keep(bought.shard, results)
            self._store.save(results)
            shard.unlink()
        return results

    def _settle(self, result: StoredOutcome) -> None:
        self.ledger.settle(self._held.pop(result.cell.key), result.outcome)
        self._watch(result.outcome)
        self._meter.count(result.outcome)

    def _watch(self, outcome: Outcome) -> None:
        error = self._outage.error_after(outcome, has_worked=self.ledger.spending.answered > 0)
        if error is not None:
            self._fail(error)

    async def _give_back(self) -> None:
        """Give back the budget of what was not bought."""
        for reservation in self._held.values():
            self.ledger.release(reservation)
        self._held.clear()
        self.shards.tidy()
        if not self._store.is_local:  # now that nothing is under way, what others have bought is not counted twice
            self.ledger.observe(await asyncio.to_thread(self._store.spending))

    @property
    def _is_stopping(self) -> bool:
        return self.stop.is_set() or self._error is not None

    def _fail(self, error: Exception) -> None:
        self._error = self._error or error
