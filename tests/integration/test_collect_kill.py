"""A run that is killed at fifty random moments loses no stored answer and buys none of them again."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from prompt_oirl.testing import Faults, SimulatedLLM, WorldAnswerer

N_KILLS = 50
N_AT_THE_START = 10
"""Kills of processes that may not have asked anything yet: they come within half a second of the start."""

N_QUERIES = 320
CONCURRENCY = 8
LATENCY = 0.06
"""Seconds of an answer, so that calls are in flight at a kill."""

LONGEST_DELAY = 0.3
"""Seconds from the first answer that a process gets to its end: 50 such lives do not buy the whole grid."""


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0])
def test_a_run_killed_fifty_times_loses_nothing(
    seed: int, make_grid, spawn, read_run, wait_until, tmp_path: Path
) -> None:
    grid, moments = make_grid(N_QUERIES), random.Random(seed)
    at_the_start = set(moments.sample(range(N_KILLS), N_AT_THE_START))
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"

    def settled() -> bool:
        before = llm.requests
        time.sleep(0.05)
        return not llm.counts.in_flight and llm.requests == before

    with SimulatedLLM([WorldAnswerer(grid.world)], faults=Faults(latency=LATENCY, jitter=LATENCY / 2)) as llm:
        llm_answers = lambda: llm.by_status[200]  # noqa: E731
        collect = grid.collect(llm.base_url, killed, "--concurrency", CONCURRENCY)
        before, received, requests_when_stored = read_run(killed), Counter[str](), dict[str, int]()
        most_lost = 0
        for number in range(N_KILLS):
            n_answered = llm_answers()
            process = spawn(*collect)
            if number in at_the_start:
                time.sleep(moments.uniform(0, 0.5))
            else:
                wait_until(lambda: llm_answers() > n_answered or process.poll() is not None)  # noqa: B023
                time.sleep(moments.uniform(0, LONGEST_DELAY))
            process.kill()
            assert process.wait() == -signal.SIGKILL, f"it ended before it was killed: {process.stderr.read()}"
            wait_until(settled)

            stored = read_run(killed)
            assert before.answers.items() <= stored.answers.items()
            assert not stored.failures
            lost = llm.counts.received - received
            lost.subtract(stored.contents(grid, stored.answers.keys() - before.answers.keys()))
            assert min(lost.values(), default=0) >= 0, "an answer was stored that this process did not ask for"
            assert lost.total() <= CONCURRENCY
            most_lost = max(most_lost, lost.total())
            before, received = stored, llm.counts.received
            for content in stored.contents(grid):
                requests_when_stored.setdefault(content, received[content])

        assert 0 < len(before.answers) < grid.n_cells
        assert most_lost > 1, "no kill met calls in flight"
        process = spawn(*collect)
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        counts = llm.counts
        assert {content: counts.received[content] for content in requests_when_stored} == requests_when_stored
        assert len(counts.received) == grid.n_cells
        assert counts.requests - grid.n_cells <= N_KILLS * CONCURRENCY

        process = spawn(*grid.collect(llm.base_url, undisturbed, "--concurrency", 64))
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        assert llm.requests == counts.requests + grid.n_cells
    after, expected = read_run(killed), read_run(undisturbed)
    assert after.answers == expected.answers
    assert len(after.answers) == grid.n_cells
    assert after.states == expected.states
    assert after.pairs == expected.pairs
