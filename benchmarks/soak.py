"""Whether the service lasts: `python benchmarks/soak.py [--seconds 600]`.

Finds the highest rates of `/v1/recommend` and of the gateway, then sends a quarter of each at once for ten minutes,
which is half of what the process can do. No request may fail, the memory may not grow by more than 5 % (the last tenth
of the time against the second; before, caches fill), and every decision must be in the log: it is closed with the
service, and its rows are counted. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from served import train, write_requests
from servers import Server, service, upstream
from traffic import Seen, Traffic

from prompt_oirl.serve.decisions.store import DecisionStore

SHARE = 0.25
PATHS = {"recommend": "/v1/recommend", "chat": "/v1/chat/completions"}


def traffic(server: Server, folder: Path, name: str, *, seconds: float, rate: float | None = None) -> Traffic:
    bodies = str(folder / f"{name}.jsonl")
    return Traffic(url=server.url + PATHS[name], bodies=bodies, concurrency=32, seconds=seconds, rate=rate)


def memory_during(sending: Sequence[subprocess.Popen[str]], server: Server) -> list[float]:
    """Return the server's memory in MiB, four times a second, until all traffic has ended."""
    mib = []
    while any(each.poll() is None for each in sending):
        mib.append(server.mib)
        time.sleep(0.25)
    return mib


def grown(mib: Sequence[float]) -> tuple[float, float]:
    """Return the median memory of the second tenth of the time, and of the last."""
    tenth = max(1, len(mib) // 10)
    return statistics.median(mib[tenth : 2 * tenth]), statistics.median(mib[-tenth:])


def soak(server: Server, folder: Path, *, seconds: float) -> tuple[list[Seen], dict[str, object]]:
    """Send everything; return what was seen of all traffic, and what is measured of the long part."""
    highest = {name: traffic(server, folder, name, seconds=3).send() for name in PATHS}
    sending = [
        traffic(server, folder, name, seconds=seconds, rate=SHARE * seen.rate).start() for name, seen in highest.items()
    ]
    mib = memory_during(sending, server)
    recommended, chatted = long = [Seen.of(each) for each in sending]
    early, late = grown(mib)
    return [*highest.values(), *long], {
        "seconds": round(max(seen.seconds for seen in long)),
        "recommendations_per_second": round(recommended.rate),
        "gateway_requests_per_second": round(chatted.rate),
        "answered": sum(seen.answered for seen in long),
        "recommend_p99_ms": round(recommended.p99, 2),
        "gateway_p99_ms": round(chatted.p99, 2),
        "mib": round(late, 1),
        "memory_growth": round(late / early - 1, 4),
        "at_most_growth": 0.05,
    }


def count_decisions(store: Path) -> int:
    """Return how many decisions are in the log."""
    with DecisionStore.open(f"sqlite:///{store}") as log:
        return sum(1 for _ in log.decisions())


def measure(folder: Path, *, seconds: float) -> dict[str, object]:
    write_requests(folder)
    recommender, store = train(folder), folder / "log.sqlite"
    with upstream() as base_url, service(recommender, store=store, upstream=base_url) as server:
        seen, measured = soak(server, folder, seconds=seconds)
    failed = sum(sum(each.failed.values()) for each in seen)
    n_missing = sum(each.answered for each in seen) - count_decisions(store)
    return {**measured, "failed": failed, "missing_decisions": n_missing}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--json", action="store_true", help="one line of JSON (always so)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder), seconds=arguments.seconds)), flush=True)


if __name__ == "__main__":
    main()
