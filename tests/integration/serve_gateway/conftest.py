"""The gateway as a server, and an upstream that does as a test's script says."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
import uvloop
from fastapi import FastAPI

from prompt_oirl.recommender import Recommendation
from prompt_oirl.records import Prompt, Query
from prompt_oirl.serve.api.errors import add_error_answers
from prompt_oirl.serve.decision import Decision, Source
from prompt_oirl.serve.gateway.routes import add_gateway
from prompt_oirl.serve.protocols import Decided
from prompt_oirl.serve.settings import Limits, ServeSettings

SECONDS = 20.0
"""After which a test has failed that waits for something."""

PROMPT = Prompt.from_text("Let's think step by step.", id="think")


@dataclass
class Received:
    """A request as it arrived at the upstream."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def values(self, name: str) -> list[str]:
        return [value for each, value in self.headers if each.lower() == name]


Script = Callable[[Received, asyncio.StreamWriter, asyncio.Event], Awaitable[None]]
"""Answers one request; the event is set when the gateway has closed the connection."""


class ScriptedUpstream:
    """A server of raw HTTP, on a thread of its own; each connection is for one request."""

    def __init__(self, script: Script) -> None:
        self.received: list[Received] = []
        self.left = threading.Event()
        self.script = script
        self._started = threading.Event()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    def start(self) -> None:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._started.wait(SECONDS)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stopping.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._answer(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received = await _read(reader)
        self.received.append(received)
        left = asyncio.Event()
        watching = asyncio.create_task(self._watch(reader, left))
        try:
            await self.script(received, writer, left)
            if not writer.transport.is_closing():
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            watching.cancel()
            writer.close()

    async def _watch(self, reader: asyncio.StreamReader, left: asyncio.Event) -> None:
        with suppress(ConnectionError):
            await reader.read()
        left.set()
        self.left.set()


async def _read(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    line, *rest = head.removesuffix("\r\n\r\n").split("\r\n")
    headers = [(name, value.lstrip(" ")) for name, _, value in (each.partition(":") for each in rest)]
    length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
    return Received(line, headers, await reader.readexactly(length))


def answer(body: bytes, *headers: str, status: str = "200 OK") -> Script:
    """A script that sends one whole answer."""
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", "")

    async def send(received: Received, writer: asyncio.StreamWriter, left: asyncio.Event) -> None:
        writer.write("\r\n".join(lines).encode("latin-1") + body)

    return send


@dataclass
class Deciding:
    """Decides for one prompt."""

    prompt: Prompt = PROMPT
    fails: bool = False
    queries: list[str] = field(default_factory=list)

    async def decide(self, query: str, *, source: Source, candidates: Sequence[str] | None = None) -> Decided:
        self.queries.append(query)
        if self.fails:
            raise RuntimeError(f"a mistake with {query}")
        return self._decided(Query(query), source, 0.75)

    def best_single(self, *, source: Source) -> Decided:
        if self.fails:
            raise RuntimeError("a mistake")
        return self._decided(Query("{{query}}"), source, None)

    def _decided(self, query: Query, source: Source, score: float | None) -> Decided:
        decision = Decision(
            query_id="",
            query=None,
            prompt_id=self.prompt.id,
            score=score,
            propensity=1.0,
            choice="fallback" if score is None else "recommended",
            source=source,
            recommender="0123456789ab",
            seconds=0.0,
        )
        return Decided(decision, Recommendation(query, self.prompt, score or 0.0, runners_up=(), reason="so it is"))


@dataclass
class Counted:
    """What the upstream answered, by status."""

    statuses: Counter[int] = field(default_factory=Counter)

    def upstream_answered(self, status: int, seconds: float) -> None:
        assert seconds >= 0
        self.statuses[status] += 1


@dataclass
class Answer:
    """What a client got."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def __getitem__(self, name: str) -> str | None:
        return next((value for each, value in self.headers if each.lower() == name), None)


@dataclass
class Gateway:
    """A running gateway."""

    port: int
    decider: Deciding
    metrics: Counted
    app: FastAPI

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)

    def request(self, method: str, path: str, body: bytes | None = None, headers: Any = ()) -> Answer:
        connection = self.connect()
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            return Answer(response.status, response.getheaders(), response.read())
        finally:
            connection.close()

    def chat(self, content: object = "3+4", *, headers: Any = (), **more: object) -> Answer:
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": content}], **more}).encode()
        return self.post(body, headers=headers)

    def post(self, body: bytes, *, headers: Any = ()) -> Answer:
        path = "/v1/chat/completions"
        return self.request("POST", path, body, {"content-type": "application/json", **dict(headers)})


@contextmanager
def served(app: FastAPI) -> Iterator[int]:
    """Serve an application from a thread, as `prompt-oirl serve` does, and yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            app,
            http="httptools",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: uvloop.run(server.serve(sockets=[listener])))
        thread.start()
        try:
            deadline = threading.Event()
            while not server.started:
                assert thread.is_alive(), "the gateway did not start"
                deadline.wait(0.002)
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def upstream() -> Iterator[Callable[[Script], ScriptedUpstream]]:
    """Starts an upstream with a script."""
    started: list[ScriptedUpstream] = []

    def start(script: Script) -> ScriptedUpstream:
        started.append(ScriptedUpstream(script))
        started[-1].start()
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def gateway() -> Iterator[Callable[..., Gateway]]:
    """Starts a gateway in front of an address."""
    running: list[Any] = []

    def start(base_url: str, *, decider: Deciding | None = None, limits: Limits | None = None, **more: Any) -> Gateway:
        settings = ServeSettings(upstream=base_url, limits=limits or Limits(), **more)
        deciding, metrics = decider or Deciding(), Counted()

        @asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncIterator[None]:
            async with forwarded:
                yield

        app = FastAPI(lifespan=lifespan)
        add_error_answers(app)
        forwarded = add_gateway(app, deciding, settings, metrics)
        context = served(app)
        port = context.__enter__()
        running.append(context)
        return Gateway(port, deciding, metrics, app)

    yield start
    for each in running:
        each.__exit__(None, None, None)


@pytest.fixture(scope="session")
def whole() -> Callable[..., Script]:
    """Makes a script that sends one whole answer."""
    return answer


@pytest.fixture(scope="session")
def deciding() -> type[Deciding]:
    return Deciding


@pytest.fixture(scope="session")
def serve() -> Callable[[FastAPI], Any]:
    return served
