"""What the service costs: `python benchmarks/serve.py [--rounds N]`; `benchmarks/soak.py` is the long load.

Serves a recommender among 16 prompts by `prompt-oirl serve`, with a decision log in a SQLite file, and sends traffic
from a process of its own, each way in turn with its yardstick:

- `/v1/recommend` against a FastAPI endpoint that reads JSON and does nothing, on the same kind of server;
- the gateway against the same upstream asked directly: what it adds to an answer that takes no time, and its share of
  the requests a second where one takes 20 ms; whole answers and streams of four events; the same with two replicas on
  one decision log, which is how more than one core is used;
- the time from start to ready, and the memory after all this.

Prints one line of JSON a measurement. Ratios and differences are those of one round; medians over rounds are shown,
and the CPU time of the service's process, which tells more than rates where other work is done on the machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Self

from served import train, write_requests
from servers import Server, empty_endpoint, service, upstream
from traffic import Seen, Traffic, in_turn, send_together, warm_up

OURS, YARDSTICK = "ours", "yardstick"
ANSWERS = {"chat": "whole", "stream": "stream"}


@dataclass(frozen=True)
class Pairs:
    """What was seen of ours and of its yardstick, round by round."""

    ours: list[Seen]
    yardstick: list[Seen]
    cpu_ms: float
    """Of the service's process, a request."""

    @classmethod
    def of(cls, server: Server, urls: dict[str, str], bodies: Path, *, concurrency: int, turns: Turns) -> Self:
        """Send the same to both addresses in turn."""
        traffic = {
            name: Traffic(url=url, bodies=str(bodies), concurrency=concurrency, seconds=turns.seconds)
            for name, url in urls.items()
        }
        warm_up(traffic)
        cpu = server.cpu_seconds
        found = in_turn(traffic, n_rounds=turns.n_rounds)
        n_answered = sum(seen.answered for seen in found[OURS])
        return cls(found[OURS], found[YARDSTICK], 1000 * (server.cpu_seconds - cpu) / n_answered)

    def rates(self) -> dict[str, float]:
        """Summarize requests a second, and ours as a share of the yardstick's."""
        return {
            "rounds": len(self.ours),
            "requests_per_second": round(statistics.median(seen.rate for seen in self.ours)),
            "yardstick_requests_per_second": round(statistics.median(seen.rate for seen in self.yardstick)),
            **spread([ours.rate / theirs.rate for ours, theirs in self], "ratio"),
        }

    def added(self) -> dict[str, float]:
        """Summarize median times, and what ours has more than the yardstick."""
        return {
            "rounds": len(self.ours),
            "p50_ms": round(statistics.median(seen.p50 for seen in self.ours), 3),
            "yardstick_p50_ms": round(statistics.median(seen.p50 for seen in self.yardstick), 3),
            **spread([ours.p50 - theirs.p50 for ours, theirs in self], "added_p50_ms"),
        }

    def __iter__(self) -> Iterator[tuple[Seen, Seen]]:
        return zip(self.ours, self.yardstick, strict=True)


class Turns(NamedTuple):
    n_rounds: int
    seconds: float
    """Of each way in a round."""


def row(what: str, yardstick: str, **measured: object) -> dict[str, object]:
    return {"what": what, "yardstick": yardstick, **measured}


def spread(values: list[float], name: str, digits: int = 3) -> dict[str, float]:
    """Return the median under a name, the lowest and the highest."""
    summary = {name: statistics.median(values), "lowest": min(values), "highest": max(values)}
    return {key: round(value, digits) for key, value in summary.items()}


def recommending(server: Server, folder: Path, turns: Turns) -> dict[str, object]:
    """Compare `/v1/recommend` with an endpoint that does nothing."""
    with empty_endpoint() as empty:
        urls = {OURS: f"{server.url}/v1/recommend", YARDSTICK: f"{empty.url}/v1/recommend"}
        pairs = Pairs.of(server, urls, folder / "recommend.jsonl", concurrency=32, turns=turns)
    return row(
        "/v1/recommend, 32 at once",
        "empty endpoint",
        **pairs.rates(),
        at_least_ratio=0.25,
        p99_ms=round(statistics.median(seen.p99 for seen in pairs.ours), 2),
        at_most_p99_ms=50,
        cpu_ms=round(pairs.cpu_ms, 3),
    )


def forwarding(
    server: Server, base_url: str, folder: Path, *, concurrency: int, turns: Turns
) -> Iterator[tuple[str, Pairs]]:
    """Compare the gateway with its upstream, for whole answers and for streams."""
    urls = {OURS: f"{server.url}/v1/chat/completions", YARDSTICK: f"{base_url}/chat/completions"}
    for file, answer in ANSWERS.items():
        yield answer, Pairs.of(server, urls, folder / f"{file}.jsonl", concurrency=concurrency, turns=turns)


def adding(server: Server, base_url: str, folder: Path, turns: Turns) -> Iterator[dict[str, object]]:
    """Measure what the gateway adds to an upstream that answers at once, one request at a time."""
    for answer, pairs in forwarding(server, base_url, folder, concurrency=1, turns=turns):
        what = f"gateway, {answer} answer after 0 ms, one at a time"
        measured = {**pairs.added(), "at_most_added_ms": 1.5, "cpu_ms": round(pairs.cpu_ms, 3)}
        yield row(what, "the upstream directly", **measured)


def sharing(server: Server, base_url: str, folder: Path, turns: Turns) -> Iterator[dict[str, object]]:
    """Measure the gateway's share of the direct requests a second where an answer takes 20 ms."""
    for answer, pairs in forwarding(server, base_url, folder, concurrency=64, turns=turns):
        what = f"gateway, {answer} answer after 20 ms, 64 at once"
        measured = {**pairs.rates(), "at_least_ratio": 0.6, "cpu_ms": round(pairs.cpu_ms, 3)}
        yield row(what, "the upstream directly", **measured)


def sharing_as_replicas(
    replicas: tuple[Server, Server], base_url: str, folder: Path, turns: Turns
) -> Iterator[dict[str, object]]:
    """Measure the same with half of the connections at each of two replicas."""
    for file, answer in ANSWERS.items():
        direct = Traffic(
            url=f"{base_url}/chat/completions", bodies=str(folder / f"{file}.jsonl"), concurrency=64,
            seconds=turns.seconds,
        )  # fmt: skip
        halves = [replace(direct, url=f"{server.url}/v1/chat/completions", concurrency=32) for server in replicas]
        rates: list[tuple[float, float]] = []
        for _ in range(1 + turns.n_rounds):
            yardstick = direct.send().rate
            rates.append((sum(seen.rate for seen in send_together(halves)), yardstick))
        warmed_up = rates[1:]
        yield row(
            f"gateway as two replicas, {answer} answer after 20 ms, 64 at once",
            "the upstream directly",
            rounds=len(warmed_up),
            requests_per_second=round(statistics.median(ours for ours, _ in warmed_up)),
            yardstick_requests_per_second=round(statistics.median(theirs for _, theirs in warmed_up)),
            **spread([ours / theirs for ours, theirs in warmed_up], "ratio"),
            at_least_ratio=0.6,
        )


def starting(recommender: Path, folder: Path, *, n_starts: int = 5) -> dict[str, object]:
    """Time starts, from the command to the first answer that it is ready."""
    seconds, mib = [], []
    for _ in range(n_starts):
        with service(recommender, store=folder / "starts.sqlite") as server:
            seconds.append(server.seconds_to_ready)
            mib.append(server.mib)
    return row(
        "start to ready", "", rounds=n_starts, **spread(seconds, "seconds", 2), at_most_seconds=3,
        mib=round(statistics.median(mib)), at_most_mib=400,
    )  # fmt: skip


def loaded(server: Server) -> dict[str, object]:
    return row("memory after the load", "", mib=round(server.mib), at_most_mib=400)


def measure(folder: Path, turns: Turns) -> Iterator[dict[str, object]]:
    """Measure one thing after the other."""
    write_requests(folder)
    recommender = train(folder)
    yield starting(recommender, folder)
    with upstream() as base_url, service(recommender, store=folder / "a.sqlite", upstream=base_url) as server:
        yield recommending(server, folder, turns)
        yield from adding(server, base_url, folder, turns)
        yield loaded(server)
    with upstream(latency=0.02) as slow, service(recommender, store=folder / "b.sqlite", upstream=slow) as server:
        yield from sharing(server, slow, folder, turns)
        yield loaded(server)
        with service(recommender, store=folder / "b.sqlite", upstream=slow) as second:
            yield from sharing_as_replicas((server, second), slow, folder, turns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each way in a round")
    parser.add_argument("--json", action="store_true", help="one line of JSON a measurement (always so)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for measured in measure(Path(folder), Turns(arguments.rounds, arguments.seconds)):
            print(json.dumps(measured), flush=True)


if __name__ == "__main__":
    main()
