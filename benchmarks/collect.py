"""How much a durable store costs a collection: `python benchmarks/collect.py [--queries N] [--pairs N]`.

Asks a simulated LLM, in a process of its own on loopback, for a whole grid with 64 calls in flight: once by a bare loop
that keeps the answers in memory, once as `prompt-oirl collect` does it, with plan, claims, ledger and durable writes in
a new SQLite store. Both use the same client. The two take turns, each first every other time; the ratio is that of
calls a second, pair by pair. Prints one line of JSON for a server that answers at once and one for 50 ms of latency.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from prompt_oirl.collect.client.concurrency import AdaptiveConcurrency
from prompt_oirl.collect.client.openai_client import OpenAIClient
from prompt_oirl.collect.order import Order
from prompt_oirl.records import Message, Question
from prompt_oirl.runs.configuration import RunConfiguration, SamplingParameters
from prompt_oirl.runs.outcomes import Completion
from prompt_oirl.runs.run import Run
from prompt_oirl.testing import SyntheticWorld
from prompt_oirl.testing.llm_process import llm_process

CONCURRENCY = 64
LATENCIES = (0.0, 0.05)
MODEL = "simulated-llm"

Ask = Callable[[], Coroutine[Any, Any, int]]
"""Asks everything, and gives how many calls were answered."""


def conversations(world: SyntheticWorld) -> Iterator[tuple[Message, ...]]:
    """Yield what is asked, each conversation made when it is asked for."""
    for query in world.queries:
        for prompt in world.prompts:
            yield prompt.messages(query)


async def ask_bare(base_url: str, conversations: Iterable[Sequence[Message]]) -> int:
    """Ask everything with as many tasks as calls may be in flight; return how many were answered."""
    client = OpenAIClient(MODEL, base_url)
    left, outcomes = iter(conversations), []

    async def ask() -> None:
        for messages in left:
            outcomes.append(await client.complete(messages, SamplingParameters()))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(CONCURRENCY):
            tasks.create_task(ask())
    await client.close()
    return sum(isinstance(outcome, Completion) for outcome in outcomes)


async def collect(base_url: str, world: SyntheticWorld, folder: Path) -> int:
    """Collect everything into a new run; return how many were answered."""
    configuration = RunConfiguration(MODEL, base_url)
    questions = tuple(Question(query, world.golds[query]) for query in world.queries)
    order = Order(configuration=configuration, questions=questions, prompts=world.prompts)
    slots = AdaptiveConcurrency(CONCURRENCY)
    client = OpenAIClient(MODEL, base_url, concurrency=slots)
    with Run.create_or_open(folder, configuration) as run, run.lock():
        collected = await order.collect(run.store, client, concurrency=slots)
    return collected.spending.answered


def timed(ask: Ask, *, expected: int) -> tuple[float, float]:
    """Return calls a second, and the CPU seconds of this process for a thousand calls."""
    start, cpu = time.perf_counter(), time.process_time()
    n_answered = asyncio.run(ask())
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    if n_answered != expected:
        sys.exit(f"{n_answered} of {expected} calls were answered")
    return expected / seconds, 1000 * cpu / expected


def server(seed: int, n_queries: int, latency: float) -> AbstractContextManager[str]:
    """Run a simulated LLM in a process of its own, and yield its address."""
    faults = json.dumps({"latency": latency})
    return llm_process("--world", str(seed), "--queries", str(n_queries), "--faults", faults)


def measure(world: SyntheticWorld, *, latency: float, n_pairs: int) -> dict[str, object]:
    """Time both ways in turn."""
    n_calls = len(world.queries) * len(world.prompts)
    bare: list[tuple[float, float]] = []
    collected: list[tuple[float, float]] = []
    with server(world.seed, world.n_queries, latency) as base_url, tempfile.TemporaryDirectory() as folder:
        asyncio.run(ask_bare(base_url, islice(conversations(world), 200)))  # the first calls import and compile
        for number in range(n_pairs):
            run = Path(folder) / str(number)
            ways: list[tuple[list[tuple[float, float]], Ask]] = [
                (bare, partial(ask_bare, base_url, conversations(world))),
                (collected, partial(collect, base_url, world, run)),
            ]
            for seen, ask in ways if number % 2 == 0 else reversed(ways):
                seen.append(timed(ask, expected=n_calls))
    ratios = [ours / theirs for (ours, _), (theirs, _) in zip(collected, bare, strict=True)]
    return {
        "latency": latency,
        "calls": n_calls,
        "concurrency": CONCURRENCY,
        "pairs": n_pairs,
        "collect_calls_per_second": round(statistics.median(each for each, _ in collected)),
        "bare_calls_per_second": round(statistics.median(each for each, _ in bare)),
        "collect_cpu_ms_per_call": round(statistics.median(each for _, each in collected), 2),
        "bare_cpu_ms_per_call": round(statistics.median(each for _, each in bare), 2),
        "ratio": round(statistics.median(ratios), 3),
        "lowest_ratio": round(min(ratios), 3),
        "highest_ratio": round(max(ratios), 3),
        "at_least_ratio": 0.85,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=500, help="distinct queries, each with 6 prompts")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one line of JSON a latency (always so)")
    arguments = parser.parse_args()
    os.environ.pop("OPENAI_API_KEY", None)
    world = SyntheticWorld(n_queries=arguments.queries, seed=arguments.seed)
    for latency in LATENCIES:
        print(json.dumps(measure(world, latency=latency, n_pairs=arguments.pairs)), flush=True)


if __name__ == "__main__":
    main()
