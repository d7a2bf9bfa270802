"""How long one recommendation takes in process, and how many a second a batch makes: kernel and logistic model.

One thread. Each size of training set and number of prompts is measured against the general path (the model's `score`,
then the same ranking) and against the floor of a router that encodes a text as counted words and takes the nearest of
its routes in NumPy. A model with more prompts than the logs have is a fitted one with its columns repeated: what it
recommends means nothing, what it takes is the same. Processor time is given beside the wall's where others share it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from data import logs
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from prompt_oirl import BestOfN, BestSinglePrompt, Candidate, KernelAdvantage, LogisticModel, Prompt, Query, Recommender

SIZES = (500, 2_000, 8_000)
N_ASKED = 400
N_IN_BATCH = 4_000
AT_MOST_MS = {16: {"p50": 0.5, "p99": 2.0}, 1_000: {"p50": 5.0}}
AT_LEAST_PER_SECOND_AND_CORE = 5_000


def milliseconds(work: Callable[[str], object], texts: Sequence[str], rounds: int = 3) -> dict[str, float]:
    for text in texts[:20]:
        work(text)
    wall, processor = [], []
    for text in [*texts] * rounds:
        start, start_of_work = time.perf_counter(), time.thread_time()
        work(text)
        processor.append(time.thread_time() - start_of_work)
        wall.append(time.perf_counter() - start)
    found = {
        "p50": np.median(wall),
        "p99": np.percentile(wall, 99),
        "processor_p50": np.median(processor),
        "processor_p99": np.percentile(processor, 99),
    }
    return {name: round(1000 * float(seconds), 3) for name, seconds in found.items()}


def widened(model: KernelAdvantage | LogisticModel, prompts: tuple[Prompt, ...]) -> None:
    """Repeat the columns of a fitted model, so that it has these prompts."""
    columns = list(islice(cycle(range(len(model.prompts_))), len(prompts)))
    model.prompts_ = prompts
    if isinstance(model, LogisticModel):
        model.coefficients_ = model.coefficients_[:, columns]
        return
    model.means_ = model.means_[columns]
    model.blocks_ = tuple(
        replace(block, coefficients=block.coefficients[:, columns], own_effects=block.own_effects[:, columns])
        for block in model.blocks_
    )


def recommender_of(model: KernelAdvantage | LogisticModel, like: Recommender) -> Recommender:
    """Return a recommender that chooses by the model; all else it has from one fitted on few queries."""
    recommender = Recommender()
    for name, value in vars(like).items():
        setattr(recommender, name, value)
    recommender.prompts_ = model.prompts_
    recommender.best_single_ = BestSinglePrompt(model.prompts_[0].id)
    recommender.success_rates_ = np.full(len(model.prompts_), 0.5)
    recommender.policy_ = BestOfN(model, head_start=0.01, best_single=model.prompts_[0].id)
    return recommender


def floor(n_routes: int) -> Callable[[str], object]:
    """Return a router by counted words: encode, product, argmax."""
    routes = np.random.default_rng(0).standard_normal((n_routes, 256), dtype=np.float32)

    def route(text: str) -> int:
        words = [zlib.crc32(word.encode()) & 255 for word in text.split()]
        encoded = np.bincount(words, minlength=256).astype(np.float32)
        return int((routes @ (encoded / np.linalg.norm(encoded))).argmax())

    return route


def measure(
    model: KernelAdvantage | LogisticModel, like: Recommender, asked: Sequence[str], batch: Sequence[str]
) -> Iterator[dict[str, object]]:
    for n_prompts, at_most in AT_MOST_MS.items():
        widened(model, tuple(Prompt.from_text(f"Wording {k}.", id=f"prompt-{k}") for k in range(n_prompts)))
        recommender = recommender_of(model, like)
        about = {"model": type(model).__name__, "prompts": n_prompts}
        start = time.thread_time()
        prepared = recommender.prepare()
        ready = time.thread_time() - start

        def general(text: str, recommender: Recommender = recommender) -> object:
            query = [Query(text)]
            return recommender.ranking.recommendations(query, model.score(query, model.prompts_))

        one = milliseconds(prepared.recommend, asked)
        yield {
            "what": "one query",
            **about,
            "is_quick": prepared.is_quick,
            "milliseconds": one,
            "at_most_milliseconds": at_most,
            "general_path_milliseconds": milliseconds(general, asked[:60], 1),
            "floor_milliseconds": milliseconds(floor(n_prompts), asked),
            "of_which_scoring_milliseconds": milliseconds(prepared.score, asked, 1),
            "milliseconds_to_prepare": round(1000 * ready),
        }
        if n_prompts == 16:
            yield {"what": "batch", **about, **batch_rates(recommender, batch)}
        yield {"what": "start", **about, **start_and_memory(recommender)}


def batch_rates(recommender: Recommender, texts: Sequence[str]) -> dict[str, object]:
    wall, processor = [], []
    for _ in range(4):
        start, start_of_work = time.perf_counter(), time.thread_time()
        recommender.recommend_many(texts)
        processor.append(time.thread_time() - start_of_work)
        wall.append(time.perf_counter() - start)
    return {
        "queries": len(texts),
        "queries_per_second": round(len(texts) / min(wall)),
        "queries_per_second_of_processor": round(len(texts) / float(np.median(processor))),
        "at_least_queries_per_second_and_core": AT_LEAST_PER_SECOND_AND_CORE,
    }


def start_and_memory(recommender: Recommender) -> dict[str, object]:
    """Save a recommender, and load it in a new process."""
    with tempfile.TemporaryDirectory() as folder:
        recommender.save(Path(folder) / "recommender")
        command = [sys.executable, __file__, "--load", str(Path(folder) / "recommender")]
        loaded: dict[str, object] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return {**loaded, "at_most_seconds": 3, "at_most_memory_mib": 400}


def load(folder: str) -> None:
    """Load a recommender as a service does, and say what that took; the interpreter's own start is not in it."""
    imports, start, start_of_work = most_memory_mib(), time.perf_counter(), time.process_time()
    prepared = Recommender.load(folder).prepare()
    prepared.recommend("How many apples are left?")
    row = {
        "seconds_to_load_and_prepare": round(time.perf_counter() - start, 3),
        "processor_seconds": round(time.process_time() - start_of_work, 3),
        "most_memory_mib": most_memory_mib(),
        "of_which_imports_mib": imports,
    }
    print(json.dumps(row))


def most_memory_mib() -> int:
    """Return the most memory this process had resident (Linux); what `getrusage` says counts its parent in."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) // 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one line of JSON a measurement (always so)")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of training queries")
    parser.add_argument("--load", metavar="FOLDER", help="only load a saved recommender, and say what that took")
    arguments = parser.parse_args()
    if arguments.load:
        load(arguments.load)
        return
    data, demonstrations = logs("gsm8k")
    order = np.random.default_rng(0).permutation(demonstrations.n_queries)
    texts = [demonstrations.queries[i].text for i in order]
    for size in arguments.sizes:
        if size + N_ASKED > len(order):
            continue
        training = demonstrations.select_queries(order[N_ASKED : N_ASKED + size])
        about = {"data": data, "training_queries": size}
        batch = (texts[:N_ASKED] + texts[N_ASKED + size :])[:N_IN_BATCH]
        with threadpool_limits(1):
            like = Recommender([Candidate("logistic", LogisticModel())]).fit(training.select_queries(np.arange(400)))
            for model in (KernelAdvantage(), LogisticModel()):
                for row in measure(model.fit(training), like, texts[:N_ASKED], batch):
                    print(json.dumps(about | row), flush=True)


if __name__ == "__main__":
    main()
