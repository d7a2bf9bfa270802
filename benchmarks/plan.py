"""How long a million cells take to plan and to resume, and how much memory: `python benchmarks/plan.py [--queries N]`.

Makes a store in which every other cell is answered in a temporary folder, then plans the whole grid against it in a
fresh process: makes the grid with its keys, reads the states of what is stored, estimates tokens and money, and goes
through the calls to come. Prints one line of JSON: CPU seconds of the parts, the wall clock of all, and the largest
resident set of the process, interpreter and libraries included, before it began and in the end.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from prompt_oirl.collect.plan.grid import Grid
from prompt_oirl.collect.plan.plan import Plan, requests_answered
from prompt_oirl.collect.plan.prices import Price
from prompt_oirl.collect.plan.tokens import counter_for
from prompt_oirl.records import Prompt, Query, Question
from prompt_oirl.runs.configuration import RunConfiguration, SamplingParameters
from prompt_oirl.runs.outcomes import Completion
from prompt_oirl.runs.store import RunStore, StoredOutcome

N_PROMPTS = 10
CONFIGURATION = RunConfiguration("some-model", "http://localhost/v1", SamplingParameters(temperature=0, max_tokens=512))
PROMPTS = tuple(Prompt.from_text(f"Wording {i}: think about it step by step, then answer.") for i in range(N_PROMPTS))
_BATCH = 10_000
_WORDS = ("apples", "buys", "cost", "dollars", "friends", "gives", "hours", "how", "makes", "many", "sells", "walks")


def make_queries(n_queries: int, seed: int) -> tuple[Question, ...]:
    rng = random.Random(seed)
    texts = (f"Problem {i}: {' '.join(rng.choices(_WORDS, k=30))}?" for i in range(n_queries))
    return tuple(Question(Query(text), gold=str(i)) for i, text in enumerate(texts))


def make_store(url: str, queries: tuple[Question, ...]) -> None:
    """Answer every other cell of the grid."""
    grid = Grid(queries, PROMPTS, 1, CONFIGURATION)
    answer = Completion("She buys 3 apples and 4 pears. " * 8 + "#### 7", "some-model", "stop", 70, 60, 0.5)
    with RunStore.open(url, configuration=CONFIGURATION) as store:
        store.register(queries, PROMPTS)
        cells = (grid.cell(number) for number in range(0, len(grid), 2))
        while batch := [StoredOutcome(cell, answer) for cell in islice(cells, _BATCH)]:
            store.save(batch)


def plan(url: str, queries: tuple[Question, ...]) -> dict[str, object]:
    """Plan the whole grid against what is stored, and time the parts."""
    seconds: dict[str, float] = {}
    before = peak_mib()
    start = time.perf_counter()
    with RunStore.open(url) as store:
        with timed(seconds, "grid"):
            grid = Grid(queries, PROMPTS, 1, CONFIGURATION)
        with timed(seconds, "states"):
            states = store.states()
        with timed(seconds, "plan"):
            plan = Plan.of(grid, states)
            counts = plan.counts
        with timed(seconds, "estimate"):
            answered = requests_answered(queries, PROMPTS, store.outcomes(answered_only=True))
            estimate = plan.estimate(
                counter_for(None, answered), spent=store.spending("answer"), price=Price(0.15, 0.6)
            )
        with timed(seconds, "calls"):
            n_calls = sum(1 for _ in plan.calls())
    return {
        "cells": counts.cells,
        "answered": counts.answered,
        "calls_to_come": n_calls,
        "tokens": estimate.prompt_basis,
        **{f"{name}_cpu_seconds": round(value, 2) for name, value in seconds.items()},
        "cpu_seconds": round(sum(seconds.values()), 2),
        "seconds": round(time.perf_counter() - start, 2),
        "at_most_seconds": 20,
        "peak_mib": round(peak_mib()),
        "before_mib": round(before),
        "at_most_mib": 500,
    }


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    start = time.process_time()
    yield
    seconds[name] = time.process_time() - start


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=100_000, help="distinct queries, each with 10 prompts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one line of JSON (always so)")
    parser.add_argument("--step", choices=("make", "plan"), help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step == "make":
        make_store(arguments.url, make_queries(arguments.queries, arguments.seed))
    elif arguments.step == "plan":
        print(json.dumps(plan(arguments.url, make_queries(arguments.queries, arguments.seed))), flush=True)
    else:
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{Path(folder) / 'store.sqlite'}"
            for step in ("make", "plan"):
                # Each in a process of its own: a child's peak memory counts from what its parent held.
                command = [sys.executable, __file__, *sys.argv[1:], "--step", step, "--url", url]
                subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
