"""A run that the worker processes of a Dask cluster on loopback collect."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prompt_oirl.testing import Faults, SimulatedLLM, WorldAnswerer

dask = pytest.importorskip("dask", reason="dask is not installed: pip install 'prompt-oirl[dask]'")
distributed = pytest.importorskip("distributed", reason="distributed is not installed: pip install 'prompt-oirl[dask]'")

WORKERS_KEY = "planted-in-the-workers-0123456789"
HEADS_KEY = "planted-in-the-head-0123456789"
CONCURRENCY = 8
CHUNK = 4 * CONCURRENCY // 2
"""Calls of one of two workers."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two workers of one thread each; without compression, so that what is sent can be searched."""
    folder = tmp_path_factory.mktemp("dask")
    with (
        dask.config.set(
            {
                "distributed.comm.compression": None,
                "distributed.worker.profile.enabled": False,  # with Python 3.11 it can lock workers up for good
                "temporary-directory": str(folder),
            }
        ),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            env={"OPENAI_API_KEY": WORKERS_KEY, "OMP_NUM_THREADS": "1"},
        ) as started,
    ):
        yield started


def on(cluster: Any, *more: object) -> tuple[object, ...]:
    return ("--engine", "dask", "--scheduler", cluster.scheduler_address, "--concurrency", CONCURRENCY, *more)


def test_the_store_is_that_of_a_run_in_one_process(cluster: Any, make_grid, cli, read_run, tmp_path: Path) -> None:
    grid, run = make_grid(40), tmp_path / "run"
    with SimulatedLLM([WorldAnswerer(grid.world)], faults=Faults(latency=0.02), key=WORKERS_KEY) as llm:
        command = grid.collect(llm.base_url, run, *on(cluster, "--json"))
        ended = cli(*command)
        assert ended.code == 0, ended.err
        assert ended.json["n_calls"] == grid.n_cells
        assert set(llm.counts.received.values()) == {1}
        assert CONCURRENCY // 2 < llm.most_in_flight <= CONCURRENCY
        again = cli(*command)
        assert again.json["n_calls"] == 0
        assert llm.requests == grid.n_cells
    assert not (run / "shards").exists()
    with SimulatedLLM([WorldAnswerer(grid.world)], port=llm.port) as llm:
        assert cli(*grid.collect(llm.base_url, tmp_path / "alone")).code == 0
    assert read_run(run).answers == read_run(tmp_path / "alone").answers


def test_strategies_draw_round_after_round(cluster: Any, make_grid, cli, read_run, tmp_path: Path) -> None:
    grid = make_grid(60)
    drawing = ("--strategy", "uncertain", "--grader", "numeric", "--fraction", "0.3")
    with SimulatedLLM([WorldAnswerer(grid.world)]) as llm:
        ended = cli(*grid.collect(llm.base_url, tmp_path / "run", *on(cluster), *drawing))
        assert ended.code == 0, ended.err
        assert set(llm.counts.received.values()) == {1}
        assert cli(*grid.collect(llm.base_url, tmp_path / "alone", *drawing)).code == 0
    assert read_run(tmp_path / "run").answers == read_run(tmp_path / "alone").answers


def test_a_killed_workers_chunk_is_bought_by_another(
    cluster: Any, make_grid, cli, read_run, wait_until, tmp_path: Path
) -> None:
    grid, run = make_grid(60), tmp_path / "run"
    with SimulatedLLM([WorldAnswerer(grid.world)], faults=Faults(latency=0.2)) as llm:

        def kill() -> None:
            wait_until(lambda: llm.requests > grid.n_cells // 3)
            os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)

        killing = threading.Thread(target=kill)
        killing.start()
        ended = cli(*grid.collect(llm.base_url, run, *on(cluster)))
        killing.join()
        received = llm.counts.received
    assert ended.code == 0, ended.err
    stored = read_run(run)
    assert len(stored.answers) == grid.n_cells
    assert stored.contents(grid) == set(received)
    assert max(received.values()) == 2
    assert sum(n - 1 for n in received.values()) <= CHUNK


def test_a_head_that_is_killed_leaves_a_shard_that_is_merged(
    cluster: Any, make_grid, cli, spawn, read_run, tmp_path: Path
) -> None:
    """Killed when the shard of a chunk is written and nothing of it is in the store."""
    code = """
import os
from prompt_oirl.cli import main
from prompt_oirl.collect.cluster.shards import Shards
keep = Shards.keep
def keep_and_die(*arguments):
    keep(*arguments)
    os._exit(9)
Shards.keep = keep_and_die
main()
"""
    grid, run = make_grid(40), tmp_path / "run"
    with SimulatedLLM([WorldAnswerer(grid.world)], faults=Faults(latency=0.02)) as llm:
        process = spawn(*grid.collect(llm.base_url, run, *on(cluster)), code=code)
        assert process.wait(60) == 9
        assert len(list((run / "shards").iterdir())) == 1
        assert not read_run(run).answers
        assert llm.requests <= 2 * CHUNK
        assert cli(*grid.collect(llm.base_url, run)).code == 0
        received = llm.counts.received
    assert len(read_run(run).answers) == len(received) == grid.n_cells
    assert not (run / "shards").exists()
    assert sum(n - 1 for n in received.values()) <= CHUNK  # the other worker's, and none of the shard's


def test_ctrl_c_finishes_the_chunks_under_way_and_twice_calls_them_off(
    cluster: Any, make_grid, spawn, read_run, wait_until, tmp_path: Path
) -> None:
    grid, run = make_grid(60), tmp_path / "run"
    with SimulatedLLM([WorldAnswerer(grid.world)], faults=Faults(latency=0.1)) as llm:
        command = grid.collect(llm.base_url, run, *on(cluster))
        process = spawn(*command)
        wait_until(lambda: llm.requests > 2 * CHUNK)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 130, err
        assert "Run the same command to go on." in out
        assert read_run(run).contents(grid) == set(llm.counts.received)
        llm.faults = Faults(latency=1.0)
        n_before = llm.requests
        process = spawn(*command)
        wait_until(lambda: llm.requests > n_before)
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
        assert process.returncode == 130, err
        assert "Traceback" not in err
        wait_until(lambda: not llm.counts.in_flight)
        time.sleep(0.2)
        assert not llm.counts.in_flight
        assert llm.requests - n_before < 2 * CHUNK  # a worker looks twice a second whether it is still wanted
    assert "claimed" not in read_run(run).states.values()


def test_keys_stay_where_they_are(
    cluster: Any, make_grid, cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The workers' is used, and neither is sent to the scheduler or from it."""
    tcp = pytest.importorskip("distributed.comm.tcp")
    sent, to_frames = bytearray(), tcp.to_frames

    async def recording(*arguments: Any, **more: Any) -> Any:
        frames = await to_frames(*arguments, **more)
        for frame in frames:
            sent.extend(bytes(frame))
        return frames

    grid, run = make_grid(5), tmp_path / "run"
    with SimulatedLLM([WorldAnswerer(grid.world)], key=WORKERS_KEY) as llm:
        command = grid.collect(llm.base_url, run, *on(cluster))
        monkeypatch.setattr(tcp, "to_frames", recording)
        monkeypatch.setenv("OPENAI_API_KEY", HEADS_KEY)
        ended = cli(*command)
    assert ended.code == 0, ended.err
    assert grid.world.queries[0].text.encode() in sent
    files = b"".join(path.read_bytes() for path in run.rglob("*"))
    for key in (WORKERS_KEY, HEADS_KEY):
        assert key.encode() not in sent + files + ended.out.encode() + ended.err.encode()


def test_a_worker_without_access_is_found_before_a_call(cluster: Any, make_grid, cli, tmp_path: Path) -> None:
    grid = make_grid(5)
    with SimulatedLLM([WorldAnswerer(grid.world)], key="another-0123456789") as llm:
        ended = cli(*grid.collect(llm.base_url, tmp_path / "run", *on(cluster)))
        assert llm.requests == 0
    assert ended.code == 1
    assert "the worker tcp://127.0.0.1" in ended.err
    assert "401" in ended.err
    assert WORKERS_KEY not in ended.err


def test_a_scheduler_without_workers_is_named(make_grid, cli, tmp_path: Path) -> None:
    with distributed.LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0") as empty:
        ended = cli(*make_grid(5).collect("http://127.0.0.1:1/v1", tmp_path / "run", *on(empty)))
    assert ended.code == 1
    assert "has no workers" in ended.err


def test_a_scheduler_that_is_not_there_is_named(
    make_grid, cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("prompt_oirl.collect.cluster.dask_cluster._SECONDS_TO_CONNECT", 1)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
        command = make_grid(5).collect("http://127.0.0.1:1/v1", tmp_path / "run", "--engine", "dask", "--scheduler")
        for wrong in (address, "nowhere://127.0.0.1:1"):
            ended = cli(*command, wrong)
            assert ended.code == 1
            assert wrong in ended.err
            assert "dask scheduler" in " ".join(ended.err.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--engine", "spark"), "there is no engine 'spark'"),
        (("--engine", "dask"), "go together"),
        (("--scheduler", "tcp://127.0.0.1:1"), "go together"),
    ],
)
def test_the_options_are_checked(options: tuple[str, ...], message: str, make_grid, cli, tmp_path: Path) -> None:
    ended = cli(*make_grid(5).collect("http://127.0.0.1:1/v1", tmp_path / "run", *options))
    assert ended.code == 1
    assert message in ended.err
    assert not (tmp_path / "run").exists()
