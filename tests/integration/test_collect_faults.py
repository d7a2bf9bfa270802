"""A server with many faults: every cell ends answered or as a typed failure, and no error text becomes an answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from prompt_oirl.collect.client.concurrency import AdaptiveConcurrency
from prompt_oirl.collect.client.openai_client import OpenAIClient
from prompt_oirl.collect.collected import Collected
from prompt_oirl.collect.order import Order
from prompt_oirl.collect.progress import Progress, no_progress
from prompt_oirl.errors import LLMError
from prompt_oirl.records import Message
from prompt_oirl.runs.configuration import RunConfiguration
from prompt_oirl.runs.run import Run
from prompt_oirl.sources.tabular import read_demonstrations
from prompt_oirl.testing import FAULT_TEXT, Burst, ChatRequest, Faults, SimulatedLLM, WorldAnswerer

MODEL = "simulated-llm"
N_QUERIES = 200
"""With six prompts: 1,200 cells."""

AS_ASKED = Faults(rate_limited=0.2, server_error=0.05, hang=0.01, latency=0.002)
BROKEN_BODIES = Faults(
    latency=0.002, truncated=0.08, not_json=0.08, other_json=0.04, html=0.04, no_choices=0.04, unavailable=0.04
)
NO_CONTENT = Faults(no_content=0.1, truncated=0.05, latency=0.002)


def collect(
    grid,
    llm: SimulatedLLM,
    folder: Path,
    *,
    max_attempts: int = 3,
    most: int = 32,
    timeout: float = 1.0,
    on_progress: Callable[[Progress], None] = no_progress,
) -> Collected:
    """Collect the whole grid in this process, with short waits."""
    configuration = RunConfiguration(MODEL, llm.base_url)
    order = Order(configuration=configuration, questions=grid.questions, prompts=grid.world.prompts)

    async def run() -> Collected:
        slots = AdaptiveConcurrency(most)
        client = OpenAIClient(
            MODEL,
            llm.base_url,
            timeout=timeout,
            max_attempts=max_attempts,
            first_wait=0.02,
            concurrency=slots,
            seed=0,
        )
        with Run.create_or_open(folder, configuration) as run, run.lock():
            return await order.collect(run.store, client, concurrency=slots, on_progress=on_progress)

    return asyncio.run(run())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("faults", "kinds"),
    [
        (AS_ASKED, {"rate_limit", "server_error", "timeout"}),
        (BROKEN_BODIES, {"malformed", "server_error"}),
        (NO_CONTENT, {"no_content", "malformed"}),
    ],
    ids=["20 % 429s, 5 % 500s, 1 % hangs", "broken bodies", "no content"],
)
def test_every_cell_ends_and_no_fault_is_an_answer(
    faults: Faults, kinds: set[str], make_grid, read_run, cli, tmp_path: Path
) -> None:
    grid = make_grid(N_QUERIES)
    with SimulatedLLM([answerer := WorldAnswerer(grid.world)], faults=faults) as llm:
        # Where nothing hangs, a busy machine must not make the client give up requests that the server never saw.
        collected = collect(grid, llm, tmp_path / "run", timeout=3.0 if faults.hang else 60.0)
        counts = llm.counts
    assert (collected.ending, collected.n_calls, collected.to_come) == ("done", grid.n_cells, 0)
    stored = read_run(tmp_path / "run")
    assert len(stored.outcomes) == grid.n_cells
    assert set(stored.states.values()) == {"answered", "failed"}
    assert collected.spending.requests == counts.requests
    found = {failure.kind for failure in stored.failures.values()}
    assert found
    assert found <= kinds

    queries = {query.id: query for query in grid.world.queries}
    prompts = {prompt.id: prompt for prompt in grid.world.prompts}
    for key, text in stored.answers.items():
        query_id, prompt_id = stored.pairs[key]
        sent: Sequence[Message] = prompts[prompt_id].messages(queries[query_id])
        assert text == answerer.answer(ChatRequest(MODEL, tuple(sent)), 0)
        assert FAULT_TEXT not in text

    check_exports(cli, tmp_path, n_answers=len(stored.answers), n_failures=len(stored.failures))


def check_exports(cli, folder: Path, *, n_answers: int, n_failures: int) -> None:
    for suffix in ("jsonl", "parquet"):
        path = folder / f"run.{suffix}"
        assert cli("export", folder / "run", "--to", path, "--grader", "numeric").code == 0
        rows = (
            [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            if suffix == "jsonl"
            else pyarrow.parquet.read_table(path).to_pylist()
        )
        assert len(rows) == n_answers + n_failures
        failed = [row for row in rows if row["failure"]]
        assert len(failed) == n_failures
        assert all(row["answer"] is None and row["correct"] is None for row in failed)
        assert not any(FAULT_TEXT in (row["answer"] or "") for row in rows)
        demonstrations = read_demonstrations(path)
        assert demonstrations.unscored.sum() >= n_failures
        assert demonstrations.trials.sum() + demonstrations.unscored.sum() == len(rows)


def test_concurrency_halves_at_429_and_recovers(make_grid, tmp_path: Path) -> None:
    grid, seen = make_grid(150), list[Progress]()
    burst = Burst(every=10_000, length=9_970)  # the first 30 requests are answered, then none until it is over
    with SimulatedLLM([WorldAnswerer(grid.world)], faults=Faults(burst=burst, latency=0.01)) as llm:

        def note(progress: Progress) -> None:
            seen.append(progress)
            if len(seen) == 40:  # some calls have failed: the server has room again
                llm.faults = Faults(latency=0.01)

        collected = collect(grid, llm, tmp_path / "run", most=16, on_progress=note)
    limits = [progress.limit for progress in seen]
    assert limits[0] == 16
    assert min(limits) <= 2
    assert limits[-1] == 16
    assert collected.spending.failed <= 16


def test_no_more_than_the_server_takes_are_in_flight(make_grid, tmp_path: Path) -> None:
    grid, seen = make_grid(100), list[Progress]()
    with SimulatedLLM([WorldAnswerer(grid.world)], faults=Faults(max_in_flight=8, latency=0.01)) as llm:
        collected = collect(grid, llm, tmp_path / "run", max_attempts=6, on_progress=seen.append)
        assert llm.most_in_flight == 8
        refused = llm.by_status[429]
    assert collected.spending.answered == grid.n_cells
    assert 0 < refused < grid.n_cells / 4, "it goes on asking for more than the server takes"
    assert np.median([progress.limit for progress in seen[len(seen) // 2 :]]) <= 12


def test_a_server_that_has_gone_down_is_given_up(make_grid, read_run, tmp_path: Path) -> None:
    grid = make_grid(100)
    with (
        SimulatedLLM([WorldAnswerer(grid.world)], faults=Faults(server_error=1.0)) as llm,
        pytest.raises(LLMError, match=r"50 calls in a row got no answer.*--retry-failed"),
    ):
        collect(grid, llm, tmp_path / "run", most=8)
    stored = read_run(tmp_path / "run")
    assert 50 <= len(stored.failures) <= 58
    assert set(stored.states.values()) == {"failed"}
