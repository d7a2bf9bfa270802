"""Two workers of a Dask cluster that save into one PostgreSQL store."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from prompt_oirl.collect.client.settings import ClientSettings
from prompt_oirl.collect.cluster.engine import collect_on_dask
from prompt_oirl.collect.collected import Collected
from prompt_oirl.collect.order import Order
from prompt_oirl.collect.plan.budget import Budget
from prompt_oirl.errors import StoreError
from prompt_oirl.records import Question
from prompt_oirl.runs.configuration import RunConfiguration
from prompt_oirl.runs.run import Run
from prompt_oirl.testing import Faults, SimulatedLLM, SyntheticWorld, WorldAnswerer

dask = pytest.importorskip("dask", reason="dask is not installed: pip install 'prompt-oirl[dask]'")
distributed = pytest.importorskip("distributed", reason="distributed is not installed: pip install 'prompt-oirl[dask]'")

WORLD = SyntheticWorld(n_queries=40)
N_CELLS = 40 * 6
CONCURRENCY = 8


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with (
        # with Python 3.11 the profiler can lock workers up for good
        dask.config.set({"distributed.worker.profile.enabled": False}),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            local_directory=str(tmp_path_factory.mktemp("dask")),
            env={"OMP_NUM_THREADS": "1"},
        ) as started,
    ):
        yield started


@pytest.fixture
def llm() -> Iterator[SimulatedLLM]:
    with SimulatedLLM([WorldAnswerer(WORLD)], faults=Faults(latency=0.03)) as server:
        yield server


@pytest.fixture
def collect(
    cluster: Any, llm: SimulatedLLM, new_postgresql_store: Callable[[], str], tmp_path: Path
) -> Callable[..., tuple[Collected, list[str]]]:
    """Collects into one run, and returns how it ended and the answers."""
    url = new_postgresql_store()

    def collected(**of_order: Any) -> tuple[Collected, list[str]]:
        order = Order(
            configuration=RunConfiguration(llm.model, llm.base_url),
            questions=tuple(Question(query) for query in WORLD.queries),
            prompts=WORLD.prompts,
            **of_order,
        )
        with Run.create_or_open(tmp_path / "run", order.configuration, store_url=url) as run:
            ended = asyncio.run(
                collect_on_dask(
                    order,
                    run,
                    scheduler=cluster.scheduler_address,
                    settings=ClientSettings(),
                    concurrency=CONCURRENCY,
                )
            )
            return ended, [each.outcome.text for each in run.store.outcomes(answered_only=True)]

    return collected


def test_every_cell_is_bought_once(collect: Callable[..., Any], llm: SimulatedLLM, tmp_path: Path) -> None:
    ended, answers = collect()
    assert (ended.ending, ended.n_calls, len(answers)) == ("done", N_CELLS, N_CELLS)
    assert set(llm.counts.received.values()) == {1}
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["run.json"]
    assert collect()[0].n_calls == 0


def test_a_cap_holds_over_workers(collect: Callable[..., Any], llm: SimulatedLLM) -> None:
    ended, answers = collect(budget=Budget(max_calls=50))
    assert (ended.ending, len(answers), llm.requests) == ("budget", 50, 50)
    ended, answers = collect(budget=Budget(max_calls=N_CELLS))
    assert (ended.ending, len(answers), llm.requests) == ("done", N_CELLS, N_CELLS)


def test_what_a_killed_worker_has_saved_is_not_asked_again(
    cluster: Any, collect: Callable[..., Any], llm: SimulatedLLM
) -> None:
    def kill() -> None:
        deadline = time.monotonic() + 60
        while llm.requests < N_CELLS // 3 and time.monotonic() < deadline:
            time.sleep(0.002)
        os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)

    killing = threading.Thread(target=kill)
    killing.start()
    started = time.monotonic()
    ended, answers = collect()
    killing.join()
    assert (ended.ending, len(answers)) == ("done", N_CELLS)
    assert time.monotonic() - started < 60, "the dead worker's claims were waited for"
    received = llm.counts.received
    assert sum(n - 1 for n in received.values()) <= CONCURRENCY // 2  # what it had in flight


def test_a_store_that_workers_cannot_reach_is_found_before_a_call(
    collect: Callable[..., Any], llm: SimulatedLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "prompt_oirl.runs.store.RunStore.name", property(lambda _: "postgresql://nobody@/nothing?host=/nowhere")
    )
    with pytest.raises(StoreError, match=r"the worker tcp://127.0.0.1.*PGPASSWORD"):
        collect()
    assert llm.requests == 0
