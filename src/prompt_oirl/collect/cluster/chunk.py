"""A chunk: some cells that one worker of a cluster buys in one go, with all that it needs to know for that."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from prompt_oirl.collect.call import Call
from prompt_oirl.collect.client.concurrency import AdaptiveConcurrency
from prompt_oirl.collect.client.settings import ClientSettings
from prompt_oirl.collect.cluster.shards import shard_of
from prompt_oirl.collect.engine import Collection
from prompt_oirl.collect.plan.budget import Budget, Ledger
from prompt_oirl.errors import LLMError, MissingDependencyError, ParameterError, PromptOIRLError, StoreError
from prompt_oirl.records import Message, Prompt, Query
from prompt_oirl.runs.cells import Cell
from prompt_oirl.runs.configuration import RunConfiguration
from prompt_oirl.runs.rows import StoredOutcome
from prompt_oirl.runs.spending import Spending
from prompt_oirl.runs.store import RunStore

__all__ = ["Bought", "Chunk", "Site", "buy_chunk", "check_site", "portable"]

_SECONDS_BETWEEN_LOOKS = 0.5
_TRAVELLING: tuple[type[PromptOIRLError], ...] = (LLMError, StoreError, MissingDependencyError)
"""Errors that stay what they are on the way to another machine; the others become a ParameterError."""


@dataclass(frozen=True)
class Site:
    """What is the same for all chunks of a run: whom to ask, how, and where the outcomes go."""

    configuration: RunConfiguration
    settings: ClientSettings
    store_url: str | None = None
    """Of a store that workers reach themselves, without a password: that is in the environment of each worker, where
    PostgreSQL looks for it (PGPASSWORD or ~/.pgpass). None where outcomes are only given back."""


@dataclass(frozen=True)
class Chunk:
    """Some cells to buy."""

    name: str
    """What its cells are claimed under, by whichever worker buys them: one that takes the place of another that died
    has that one's claims."""

    site: Site
    cells: tuple[Cell, ...]
    tokens: tuple[int, ...]
    """Of the request of each cell, as the budget counts them."""

    queries: tuple[Query, ...]
    """Those of the cells, in any order."""

    prompts: tuple[Prompt, ...]
    concurrency: int
    """Most calls in flight."""

    start: int
    """Calls in flight at first, as others have found that the server takes them."""

    retry_failed: bool = False

    @cached_property
    def calls(self) -> tuple[Call, ...]:
        """The cells with their messages."""
        query_of = {query.id: query for query in self.queries}
        prompt_of = {prompt.id: prompt for prompt in self.prompts}
        return tuple(Call(cell, prompt_of[cell.prompt_id].messages(query_of[cell.query_id])) for cell in self.cells)


@dataclass(frozen=True)
class Bought:
    """What a worker gives back of a chunk."""

    shard: bytes
    """The outcomes, as `read_shard` reads them; those of before an error too."""

    limit: int
    """Calls in flight that the server took in the end."""

    error: PromptOIRLError | None = None
    """Why not all was bought, if no further call can succeed."""


def buy_chunk(chunk: Chunk, *, is_wanted: Callable[[], bool] = lambda: True) -> Bought:
    """Make the calls of a chunk; what others have claimed or bought is left out.

    It takes at least the time that its requests take at the chunk's rates, so that chunks one after another keep them.

    Args:
        chunk: What to buy.
        is_wanted: Asked twice a second; when it is no longer true, the calls under way are finished and no others made.
    """
    return asyncio.run(_bought(chunk, is_wanted))


async def _bought(chunk: Chunk, is_wanted: Callable[[], bool]) -> Bought:
    started = time.monotonic()
    concurrency = AdaptiveConcurrency(chunk.concurrency, start=chunk.start)
    basket, error = _Basket(), None
    try:
        with basket.opened(chunk.site):
            await _buy(chunk, basket, concurrency, is_wanted)
    except PromptOIRLError as raised:
        error = portable(raised)
    if error is None:
        await asyncio.sleep(started + _least_seconds(chunk, basket.results) - time.monotonic())
    return Bought(shard_of(basket.results, chunk.site.configuration), concurrency.limit, error)


async def _buy(chunk: Chunk, basket: _Basket, concurrency: AdaptiveConcurrency, is_wanted: Callable[[], bool]) -> None:
    site, counter, stop = chunk.site, _Counted.of(chunk), asyncio.Event()
    client = site.settings.client(site.configuration, concurrency=concurrency, count_tokens=counter.count)
    collection = Collection(
        basket,
        client,
        site.configuration.parameters,
        Ledger(Budget(), spent=Spending(), price=None, counter=counter, max_answer_tokens=None),
        concurrency,
        retry_failed=chunk.retry_failed,
        worker=chunk.name,
        stop=stop,
    )
    watching = asyncio.create_task(_stop_when_unwanted(stop, is_wanted))
    try:
        await collection.buy(chunk.calls)
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        await client.close()


async def _stop_when_unwanted(stop: asyncio.Event, is_wanted: Callable[[], bool]) -> None:
    while is_wanted():
        await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
    stop.set()


def _least_seconds(chunk: Chunk, results: Sequence[StoredOutcome]) -> float:
    """Return how long these requests take at the chunk's rates, without the burst that each new limit allows."""
    settings, answer = chunk.site.settings, chunk.site.configuration.parameters.max_tokens or 0
    tokens_of = {cell.key: tokens + answer for cell, tokens in zip(chunk.cells, chunk.tokens, strict=True)}
    requests = sum(each.outcome.attempts for each in results)
    tokens = sum(each.outcome.attempts * tokens_of[each.cell.key] for each in results)
    limits = ((requests, settings.requests_per_minute), (tokens, settings.tokens_per_minute))
    return max(60 * amount / limit if limit else 0.0 for amount, limit in limits)


async def check_site(site: Site) -> str | None:
    """Find out whether chunks can be bought where this runs: the key, the server, the store.

    Returns:
        What looks wrong, though calls may succeed.

    Raises:
        PromptOIRLError: They cannot.
    """
    client = site.settings.client(site.configuration, concurrency=AdaptiveConcurrency(1), count_tokens=len)
    try:
        await client.check()
    finally:
        await client.close()
    await asyncio.to_thread(_check_store, site)
    return client.warning


def _check_store(site: Site) -> None:
    with _Basket().opened(site):
        pass


def portable(error: PromptOIRLError) -> PromptOIRLError:
    """Return an error that says the same, to be sent elsewhere: without a cause, which may hold secrets."""
    kind = next((kind for kind in _TRAVELLING if isinstance(error, kind)), ParameterError)
    return kind(str(error))


class _Basket:
    """Keeps what a worker buys, and saves it to the run's store where the worker can reach that."""

    def __init__(self) -> None:
        self.results: list[StoredOutcome] = []
        self._store: RunStore | None = None

    @property
    def is_local(self) -> bool:
        return self._store is None

    @contextmanager
    def opened(self, site: Site) -> Iterator[None]:
        """Hold the store open, if there is one, for as long as the block runs."""
        if site.store_url is None:
            yield
            return
        with RunStore.open(site.store_url) as self._store:
            self._store.check_same(site.configuration)
            yield

    def make_room(self) -> None:
        """Nothing is written here."""

    def claim(self, cells: Sequence[Cell], *, worker: str, seconds: float, retry_failed: bool = False) -> list[Cell]:
        if self._store is None:
            return list(cells)
        return self._store.claim(cells, worker=worker, seconds=seconds, retry_failed=retry_failed)

    def renew(self, worker: str, seconds: float) -> None:
        if self._store is not None:
            self._store.renew(worker, seconds)

    def release(self, worker: str | None = None) -> int:
        return 0 if self._store is None else self._store.release(worker)

    def save(self, results: Sequence[StoredOutcome]) -> None:
        if self._store is not None:
            self._store.save(results)
        self.results.extend(results)

    def spending(self) -> Spending:
        return Spending()


class _Counted:
    """Knows the tokens of a chunk's requests, counted where the chunk was made."""

    basis = "counted before"

    def __init__(self, tokens_of: dict[tuple[Message, ...], int]) -> None:
        self._tokens_of = tokens_of

    @classmethod
    def of(cls, chunk: Chunk) -> Self:
        return cls(dict(zip((call.messages for call in chunk.calls), chunk.tokens, strict=True)))

    def count(self, messages: Sequence[Message]) -> int:
        return self._tokens_of.get(tuple(messages), 0)  # 0: an answer, whose tokens no budget needs here
