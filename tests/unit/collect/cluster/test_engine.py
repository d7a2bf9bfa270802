"""The head of a collection over a cluster, with threads of this process as its workers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from prompt_oirl.collect.client.settings import ClientSettings
from prompt_oirl.collect.cluster.chunk import Bought, Chunk, Site, buy_chunk
from prompt_oirl.collect.cluster.engine import ClusterCollection
from prompt_oirl.collect.cluster.shards import Shards, read_shard, shard_of
from prompt_oirl.collect.order import Order
from prompt_oirl.collect.plan.budget import Budget
from prompt_oirl.collect.progress import Progress
from prompt_oirl.collect.session import Session
from prompt_oirl.errors import LLMError, StoreError
from prompt_oirl.records import Question
from prompt_oirl.runs.configuration import RunConfiguration, SamplingParameters
from prompt_oirl.runs.run import Run
from prompt_oirl.runs.store import RunStore
from prompt_oirl.testing import Faults, SimulatedLLM, SyntheticWorld, WorldAnswerer

WORLD = SyntheticWorld(n_queries=6)
N_CELLS = 6 * 6
QUESTIONS = tuple(Question(query) for query in WORLD.queries)


@pytest.fixture
def llm() -> Iterator[SimulatedLLM]:
    with SimulatedLLM([WorldAnswerer(WORLD)]) as server:
        yield server


@dataclass
class Threads:
    """A cluster of so many threads, which keeps the chunks that it was given."""

    n: int = 2
    buy_one: Callable[[Chunk], Bought] = buy_chunk
    chunks: list[Chunk] = field(default_factory=list)
    under_way: dict[str, Chunk] = field(default_factory=dict)
    most_at_once: int = 0
    most_calls_at_once: int = 0

    async def n_threads(self) -> int:
        return self.n

    async def buy(self, chunk: Chunk) -> Bought:
        self.chunks.append(chunk)
        self.under_way[chunk.name] = chunk
        self.most_at_once = max(self.most_at_once, len(self.under_way))
        self.most_calls_at_once = max(
            self.most_calls_at_once, sum(each.concurrency for each in self.under_way.values())
        )
        try:
            return await asyncio.to_thread(self.buy_one, chunk)
        finally:
            del self.under_way[chunk.name]


@dataclass
class Head:
    """A run, and what is bought for it."""

    llm: SimulatedLLM
    folder: Path
    settings: ClientSettings = field(default_factory=lambda: ClientSettings(max_attempts=1))
    concurrency: int = 4
    shown: list[Progress] = field(default_factory=list)

    def buy(self, cluster: Threads, stop_after: int | None = None, **of_order: Any) -> tuple[str, ClusterCollection]:
        parameters = SamplingParameters(max_tokens=64)
        order = Order(
            configuration=RunConfiguration(self.llm.model, self.llm.base_url, parameters),
            **{"questions": QUESTIONS, "prompts": WORLD.prompts} | of_order,
        )
        with Run.create_or_open(self.folder, order.configuration) as run, run.lock():
            return asyncio.run(self._buy(cluster, order, run.store, stop_after))

    async def _buy(
        self, cluster: Threads, order: Order, store: RunStore, stop_after: int | None
    ) -> tuple[str, ClusterCollection]:
        session = Session(store, order.questions, order.prompts, order.n_samples, retry_failed=order.retry_failed)
        stop = asyncio.Event()

        def show(progress: Progress) -> None:
            self.shown.append(progress)
            if progress.done == stop_after:
                stop.set()

        collection = ClusterCollection(
            session,
            order.ledger(store, order.counter(store)),
            cluster,
            Site(order.configuration, self.settings),
            self.concurrency,
            Shards.of(self.folder),
            stop,
            show,
        )
        return await collection.buy(), collection

    def states(self) -> list[str]:
        with Run.open(self.folder) as run:
            return sorted(run.store.states().values())


@pytest.fixture
def head(llm: SimulatedLLM, tmp_path: Path) -> Head:
    return Head(llm, tmp_path / "run")


def test_every_cell_is_bought_once_and_each_outcome_is_shown(head: Head) -> None:
    cluster = Threads()
    ending, collection = head.buy(cluster)
    assert ending == "done"
    assert set(head.llm.counts.received.values()) == {1}
    assert head.states() == ["answered"] * N_CELLS
    assert [each.done for each in head.shown] == list(range(1, N_CELLS + 1))
    assert head.shown[-1].left == 0
    assert collection.ledger.spending.requests == N_CELLS
    assert not Shards.of(head.folder).folder.exists()


@pytest.mark.parametrize(("n_threads", "concurrency"), [(1, 4), (2, 4), (3, 4), (9, 4), (2, 1), (0, 2)])
def test_the_concurrency_is_of_all_workers_together(n_threads: int, concurrency: int, head: Head) -> None:
    cluster = Threads(n_threads)
    head.concurrency = concurrency
    assert head.buy(cluster)[0] == "done"
    assert cluster.most_calls_at_once <= concurrency
    assert cluster.most_at_once <= max(n_threads, 1)
    assert all(len(chunk.cells) <= 4 * chunk.concurrency for chunk in cluster.chunks)


def test_a_cluster_may_grow_and_shrink(head: Head) -> None:
    cluster = Threads(1)

    def buy(chunk: Chunk) -> Bought:
        cluster.n = {1: 4, 4: 2, 2: 1}[cluster.n]
        return buy_chunk(chunk)

    cluster.buy_one = buy
    assert head.buy(cluster)[0] == "done"
    assert cluster.most_calls_at_once <= 4
    assert head.states() == ["answered"] * N_CELLS


def test_the_limits_per_minute_are_divided_likewise(head: Head) -> None:
    cluster = Threads()
    head.settings = replace(head.settings, requests_per_minute=60_000, tokens_per_minute=9e9)
    head.buy(cluster)
    shares = {chunk.site.settings.requests_per_minute for chunk in cluster.chunks}
    assert shares == {30_000}


@pytest.mark.parametrize("n_calls", [1, 20])
def test_a_cap_on_calls_holds_exactly_and_the_rest_is_bought_with_a_higher_one(n_calls: int, head: Head) -> None:
    ending, collection = head.buy(Threads(), budget=Budget(max_calls=n_calls))
    assert (ending, head.llm.requests) == ("budget", n_calls)
    assert collection.ledger.refusal is not None
    assert head.buy(Threads(), budget=Budget(max_calls=N_CELLS))[0] == "done"
    assert head.llm.requests == N_CELLS


def test_a_cap_on_tokens_holds_though_more_is_held_for_calls_under_way(head: Head) -> None:
    ending, collection = head.buy(Threads(4), budget=Budget(max_tokens=900))
    spent = collection.ledger.spending
    assert ending == "budget"
    assert 900 - 64 - 100 < spent.tokens <= 900
    assert spent.requests == head.llm.requests


def test_an_error_in_a_chunk_ends_it_and_keeps_what_was_bought(head: Head) -> None:
    cluster = Threads()

    def buy(chunk: Chunk) -> Bought:
        bought = buy_chunk(chunk)
        if chunk is not cluster.chunks[1]:
            return bought
        configuration, results = read_shard(bought.shard)
        return Bought(shard_of(results[:3], configuration), 1, LLMError("no credit"))

    cluster.buy_one = buy
    with pytest.raises(LLMError, match="no credit"):
        head.buy(cluster)
    assert len(cluster.chunks) <= 4
    n_answered = sum(len(chunk.cells) for chunk in cluster.chunks) - len(cluster.chunks[1].cells) + 3
    assert head.states().count("answered") == n_answered
    assert "claimed" not in head.states()


def test_failures_in_a_row_are_counted_over_chunks(head: Head) -> None:
    head.llm.faults = Faults(server_error=1.0)
    head.concurrency = 2
    with pytest.raises(LLMError, match="calls in a row got no answer"):
        head.buy(Threads(), n_samples=3)
    assert 50 <= head.llm.requests < 3 * N_CELLS


def test_failures_are_asked_again_only_on_demand(head: Head) -> None:
    head.llm.faults = Faults(not_json=0.3)
    assert head.buy(Threads())[0] == "done"
    n_failed = head.states().count("failed")
    assert n_failed > 0
    assert head.buy(Threads())[0] == "done"
    assert head.llm.requests == N_CELLS
    head.llm.faults = Faults()
    assert head.buy(Threads(), retry_failed=True)[0] == "done"
    assert head.llm.requests == N_CELLS + n_failed
    assert head.states() == ["answered"] * N_CELLS


def test_chunks_under_way_are_finished_when_it_is_stopped(head: Head) -> None:
    cluster = Threads()
    ending, _ = head.buy(cluster, stop_after=1)
    assert ending == "interrupted"
    assert len(cluster.chunks) <= 3
    assert head.states().count("answered") == head.llm.requests < N_CELLS
    assert head.buy(cluster)[0] == "done"
    assert head.llm.requests == N_CELLS


def test_a_shard_that_cannot_be_saved_is_kept_and_merged_the_next_time(
    head: Head, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(RunStore, "save", fail)
        with pytest.raises(StoreError, match="the disk is full"):
            head.buy(Threads())
    n_asked = head.llm.requests
    assert "answered" not in head.states()
    with Run.open(head.folder) as run:
        assert Shards.of(head.folder).merge(run.store) == n_asked
    assert head.buy(Threads())[0] == "done"
    assert set(head.llm.counts.received.values()) == {1}


def test_what_the_server_takes_is_where_the_next_chunk_starts(head: Head) -> None:
    cluster = Threads(1)
    cluster.buy_one = lambda chunk: replace(buy_chunk(chunk), limit=2)
    head.buy(cluster)
    assert [chunk.start for chunk in cluster.chunks] == [4] + [2] * (len(cluster.chunks) - 1)
