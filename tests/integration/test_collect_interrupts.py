"""Ctrl-C: once to save what is under way, twice to stop at once; SIGTERM is the same."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from prompt_oirl.testing import Faults, SimulatedLLM, WorldAnswerer

N_QUERIES = 100
CONCURRENCY = 8
MOST_SECONDS_TO_STOP = 20.0

both_signals = pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=lambda sent: sent.name)


@both_signals
def test_once_saves_what_is_under_way(
    sent: signal.Signals, make_grid, spawn, read_run, wait_until, tmp_path: Path
) -> None:
    grid, run = make_grid(N_QUERIES), tmp_path / "run"
    with SimulatedLLM([WorldAnswerer(grid.world)], faults=Faults(latency=0.3)) as llm:
        process = spawn(*grid.collect(llm.base_url, run, "--concurrency", CONCURRENCY))
        wait_until(lambda: llm.requests >= 4 * CONCURRENCY and llm.counts.in_flight >= CONCURRENCY)
        process.send_signal(sent)
        n_asked = llm.requests
        out, err = process.communicate(timeout=60)
        counts = llm.counts
    assert process.returncode == 130, err
    assert "stopping: waiting for the calls under way; press Ctrl-C again" in err
    assert "what was saved before is kept" in err
    assert "Traceback" not in err
    assert "Run the same command to go on." in out
    assert counts.requests <= n_asked + 1  # one may have been on its way
    stored = read_run(run)
    assert stored.contents(grid) == set(counts.answered) == set(counts.received)
    assert set(stored.states.values()) <= {"answered", "planned"}


@both_signals
def test_twice_stops_at_once(sent: signal.Signals, make_grid, spawn, read_run, wait_until, tmp_path: Path) -> None:
    """Even while every request hangs; what was answered before is kept, and the same command goes on."""
    grid, run = make_grid(N_QUERIES), tmp_path / "run"
    with SimulatedLLM([WorldAnswerer(grid.world)]) as llm:
        command = grid.collect(llm.base_url, run, "--concurrency", CONCURRENCY)
        process = spawn(*command)
        wait_until(lambda: llm.requests > 5 * CONCURRENCY)
        llm.faults = Faults(hang=1.0)
        wait_until(lambda: llm.counts.in_flight == CONCURRENCY)
        answered = set(llm.counts.answered)
        process.send_signal(sent)
        time.sleep(0.5)
        assert process.poll() is None, "it did not wait for the calls under way"
        started = time.monotonic()
        process.send_signal(sent)
        _, err = process.communicate(timeout=60)
        assert time.monotonic() - started < MOST_SECONDS_TO_STOP
        assert process.returncode == 130, err
        assert "Traceback" not in err
        assert "stopped; what was saved before is kept" in err
        stored = read_run(run)
        assert stored.contents(grid) == answered
        assert set(stored.states.values()) <= {"answered", "planned"}

        llm.faults = Faults()
        n_asked = llm.requests
        process = spawn(*command)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert llm.requests == n_asked + grid.n_cells - len(answered)


@pytest.mark.parametrize("seconds", [0.05, 0.4])
def test_before_it_has_begun(seconds: float, make_grid, spawn, read_run, tmp_path: Path) -> None:
    grid, run = make_grid(N_QUERIES), tmp_path / "run"
    with SimulatedLLM([WorldAnswerer(grid.world)]) as llm:
        command = grid.collect(llm.base_url, run)
        process = spawn(*command)
        time.sleep(seconds)
        process.kill()
        process.communicate()
        process = spawn(*command)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert len(read_run(run).answers) == grid.n_cells
