"""How long a million logged trials take to load, and how much memory: `python benchmarks/load.py [--queries N]`.

Makes the file in a temporary folder, loads it in a fresh process for each format, and prints one line of JSON a format.
The peak is the largest resident set of the process, interpreter and libraries included; the floor is that of a process
that only imports the reader.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

N_PROMPTS = 10
_WORDS = ("apples", "buys", "cost", "dollars", "friends", "gives", "hours", "how", "makes", "many", "sells", "walks")

_LOAD = """
import resource, sys, time
from prompt_oirl.sources.tabular import read_demonstrations
floor = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
demonstrations = read_demonstrations(sys.argv[1])
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
logged = int((demonstrations.trials + demonstrations.unscored).sum())
print(logged, demonstrations.n_queries, demonstrations.n_prompts, seconds, peak / 1024, floor / 1024)
"""


def make_logs(n_queries: int, seed: int) -> pa.Table:
    """Every query with every prompt, in random order; one label in twenty is missing."""
    rng = np.random.default_rng(seed)
    words = np.array(_WORDS)[rng.integers(len(_WORDS), size=(n_queries, 30))]
    queries = pa.array([f"Problem {number}: {' '.join(row)}?" for number, row in enumerate(words)])
    prompts = pa.array([f"Wording {number}: think about it step by step, then answer." for number in range(N_PROMPTS)])
    cells = rng.permutation(n_queries * N_PROMPTS)
    correct = pa.array(rng.integers(2, size=len(cells)), mask=rng.random(len(cells)) < 0.05)
    columns = {"query": queries.take(cells // N_PROMPTS), "prompt": prompts.take(cells % N_PROMPTS), "correct": correct}
    return pa.table(columns)


def write_jsonl(table: pa.Table, path: Path) -> None:
    with path.open("w") as file:
        for batch in table.to_batches(max_chunksize=10_000):
            file.writelines(json.dumps(row) + "\n" for row in batch.to_pylist())


WRITERS = {"jsonl": write_jsonl, "csv": pyarrow.csv.write_csv, "parquet": pyarrow.parquet.write_table}


def measure(path: Path) -> dict[str, object]:
    """Load a file in a process of its own."""
    output = subprocess.run([sys.executable, "-c", _LOAD, path], check=True, capture_output=True, text=True).stdout
    logged, n_queries, n_prompts, seconds, peak, floor = map(float, output.split())
    return {
        "format": path.suffix[1:],
        "mib_on_disk": round(path.stat().st_size / 2**20),
        "trials": int(logged),
        "queries": int(n_queries),
        "prompts": int(n_prompts),
        "seconds": round(seconds, 2),
        "at_most_seconds": 10,
        "peak_mib": round(peak),
        "imports_mib": round(floor),
        "at_most_mib": 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=100_000, help="distinct queries, each with 10 prompts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one line of JSON a format (always so)")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make:
        WRITERS[arguments.make.suffix[1:]](make_logs(arguments.queries, arguments.seed), arguments.make)
        return
    with tempfile.TemporaryDirectory() as folder:
        for suffix in WRITERS:
            path = Path(folder) / f"logs.{suffix}"
            # In a process of its own: a child's peak memory counts from what its parent held.
            subprocess.run([sys.executable, __file__, *sys.argv[1:], "--make", path], check=True)
            print(json.dumps(measure(path)), flush=True)
            path.unlink()


if __name__ == "__main__":
    main()
