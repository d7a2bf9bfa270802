"""Traffic from a process of its own: `Traffic(...).send()` starts one, waits for it, and returns what it saw.

Each connection sends its next request when it has the whole answer to the last, as fast as it can or, with a rate, when
the request is due. Answers are not parsed beyond their status and their end. A request under way when the time is over
is waited for, so that every request that was sent is counted.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import uvloop

_SECONDS_TO_FINISH = 60.0
_TICK = 0.002


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What to send, and how."""

    url: str
    bodies: str
    """File of request bodies, JSON lines; used in turn, and again from the first."""

    concurrency: int
    seconds: float
    rate: float | None = None
    """Requests a second; None for as many as can be answered."""

    headers: dict[str, str] = field(default_factory=dict)

    def start(self) -> subprocess.Popen[str]:
        """Start to send in a new process."""
        command = [sys.executable, __file__, json.dumps(asdict(self))]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def send(self) -> Seen:
        """Send everything and return what was seen."""
        return Seen.of(self.start())

    def requests(self) -> list[bytes]:
        """Return the requests as they go over the wire."""
        parts = urlsplit(self.url)
        given = {"host": parts.netloc, "content-type": "application/json", **self.headers}
        head = f"POST {parts.path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in given.items())
        bodies = Path(self.bodies).read_bytes().splitlines()
        return [b"%bcontent-length: %d\r\n\r\n%b" % (head.encode(), len(body), body) for body in bodies]


@dataclass(frozen=True)
class Seen:
    """What came of the traffic."""

    answered: int
    """With status 200, to the end."""

    failed: dict[str, int]
    """By status, or `closed` where the server closed the connection."""

    seconds: float
    p50: float
    """Milliseconds, of the requests that were answered."""

    p99: float
    cpu_seconds: float
    """That sending took."""

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answered / self.seconds

    @classmethod
    def of(cls, process: subprocess.Popen[str]) -> Seen:
        """Wait for the process of the traffic.

        Raises:
            SystemExit: It failed.
        """
        output, _ = process.communicate()
        if process.returncode:
            sys.exit(f"the traffic failed with exit code {process.returncode}")
        return cls(**json.loads(output))


def in_turn(ways: dict[str, Traffic], *, n_rounds: int) -> dict[str, list[Seen]]:
    """Send each way's traffic in each round; who begins changes from round to round.

    Raises:
        SystemExit: A request failed.
    """
    names = list(ways)
    found: dict[str, list[Seen]] = {name: [] for name in ways}
    for number in range(n_rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            seen = ways[name].send()
            if seen.failed or not seen.answered:
                sys.exit(f"{name}: {seen.answered} requests were answered, and failed {seen.failed}")
            found[name].append(seen)
    return found


def send_together(parts: list[Traffic]) -> list[Seen]:
    """Send several at the same time.

    Raises:
        SystemExit: A request failed.
    """
    found = [Seen.of(process) for process in [part.start() for part in parts]]
    for part, seen in zip(parts, found, strict=True):
        if seen.failed or not seen.answered:
            sys.exit(f"{part.url}: {seen.answered} requests were answered, and failed {seen.failed}")
    return found


def warm_up(ways: dict[str, Traffic]) -> None:
    """Send each way's traffic once: what answers first has to import and compile."""
    in_turn(ways, n_rounds=1)


class Sender:
    """All connections of one traffic."""

    def __init__(self, traffic: Traffic) -> None:
        self.times: list[float] = []
        self.failed: Counter[str] = Counter()
        self._requests = cycle(traffic.requests())
        self._traffic = traffic
        self._idle: deque[Connection] = deque()
        self._released = 0
        self._under_way = 0
        self._finished = asyncio.Event()

    async def send(self) -> float:
        """Send for as long as wanted, wait for what is under way, and return the seconds it took."""
        loop, parts = asyncio.get_running_loop(), urlsplit(self._traffic.url)
        for _ in range(self._traffic.concurrency):
            await loop.create_connection(lambda: Connection(self), parts.hostname or "127.0.0.1", parts.port or 80)
        start = time.perf_counter()
        self._end = start + self._traffic.seconds
        if self._traffic.rate is None:
            for connection in list(self._idle):
                self.now_idle(connection)
        else:
            await self._send_when_due(start, self._traffic.rate)
        if self._under_way:
            async with asyncio.timeout(self._traffic.seconds + _SECONDS_TO_FINISH):
                await self._finished.wait()
        return time.perf_counter() - start

    async def _send_when_due(self, start: float, rate: float) -> None:
        while (now := time.perf_counter()) < self._end:
            while self._released < rate * (now - start) and self._idle:
                self._send_on(self._idle.popleft())
            await asyncio.sleep(_TICK)

    def connected(self, connection: Connection) -> None:
        self._idle.append(connection)

    def ended(self, seconds: float | None, status: str) -> None:
        """Count a request."""
        self._under_way -= 1
        if seconds is None:
            self.failed[status] += 1
        else:
            self.times.append(seconds)
        if not self._under_way and time.perf_counter() >= self._end:
            self._finished.set()

    def now_idle(self, connection: Connection) -> None:
        """Send the next request on a connection, or keep it until one is due."""
        if self._traffic.rate is not None:
            self._idle.append(connection)
        elif time.perf_counter() < self._end:
            self._send_on(connection)

    def _send_on(self, connection: Connection) -> None:
        self._released += 1
        self._under_way += 1
        self._finished.clear()
        connection.send(next(self._requests))


class Connection(asyncio.Protocol):
    """One connection: a request, its answer, the next."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._received = b""
        self._sent: float | None = None
        self._is_whole: Callable[[bytes], bool] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._sender.connected(self)

    def send(self, request: bytes) -> None:
        self._received, self._is_whole = b"", None
        self._sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._is_whole is None:
            self._is_whole = _end_of(self._received)
        if self._is_whole is None or not self._is_whole(self._received) or self._sent is None:
            return
        status = self._received[9:12].decode()
        seconds = time.perf_counter() - self._sent
        self._sent = None
        self._sender.ended(seconds if status == "200" else None, status)
        self._sender.now_idle(self)

    def connection_lost(self, _: Exception | None) -> None:
        if self._sent is not None:
            self._sender.ended(None, "closed")


def _end_of(received: bytes) -> Callable[[bytes], bool] | None:
    """Return what tells whether the answer is whole, once its head is there."""
    length_of_head = received.find(b"\r\n\r\n")
    if length_of_head < 0:
        return None
    head = received[:length_of_head].lower()
    _, found, length = head.partition(b"\r\ncontent-length:")
    if not found:
        return lambda answer: answer.endswith(b"\r\n0\r\n\r\n")
    whole = length_of_head + 4 + int(length.split(b"\r\n", 1)[0])
    return lambda answer: len(answer) >= whole


def percentile(times: Sequence[float], percent: float) -> float:
    """Return a percentile in milliseconds."""
    ordered = sorted(times)
    return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else float("nan")


def main() -> None:
    fields: dict[str, Any] = json.loads(sys.argv[1])

    async def send() -> Seen:
        sender = Sender(Traffic(**fields))
        cpu = time.process_time()
        seconds = await sender.send()
        cpu = time.process_time() - cpu
        p50, p99 = percentile(sender.times, 50), percentile(sender.times, 99)
        return Seen(len(sender.times), dict(sender.failed), seconds, p50, p99, cpu)

    print(json.dumps(asdict(uvloop.run(send()))))


if __name__ == "__main__":
    main()
