"""What tests of collecting share: a server that answers with given bytes, a client with a script, a small run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal

import pytest

from prompt_oirl.collect.call import Call
from prompt_oirl.collect.client.protocol import LLMClient
from prompt_oirl.collect.plan.budget import Budget, Ledger
from prompt_oirl.collect.plan.grid import Grid
from prompt_oirl.collect.plan.tokens import CharacterCounter
from prompt_oirl.collect.session import ledger_of
from prompt_oirl.records import Message, Prompt, Query, Question
from prompt_oirl.runs.configuration import RunConfiguration, SamplingParameters
from prompt_oirl.runs.outcomes import Completion, Outcome
from prompt_oirl.runs.store import RunStore


@dataclass(frozen=True)
class RawReply:
    """Bytes to send, and what to do with the connection then."""

    content: bytes
    then: Literal["keep", "close", "hang"] = "keep"


@dataclass(frozen=True)
class RawRequest:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        return json.loads(self.body)


@dataclass
class RawServer:
    """Sends `replies` in turn, the last one for ever, and keeps what it was sent."""

    replies: list[RawReply] = field(default_factory=list)
    requests: list[RawRequest] = field(default_factory=list)
    base_url: str = ""
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    def replies_with(self, *replies: RawReply) -> None:
        self.replies = list(replies)

    @staticmethod
    def raw(content: bytes, then: Literal["keep", "close", "hang"] = "keep") -> RawReply:
        return RawReply(content, then)

    @staticmethod
    def reply(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> RawReply:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        fields = {"content-type": "application/json", "content-length": str(len(content))} | dict(headers or {})
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return RawReply(f"{head}{lines}\r\n".encode() + content)

    @classmethod
    def completion(cls, text: object = "42", **fields: object) -> RawReply:
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return cls.reply({"object": "chat.completion", "model": "m-2024", "choices": [choice]} | fields)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._answer(head.decode(), reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = head.strip().split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.requests.append(RawRequest(method, path, headers, body))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        writer.write(reply.content)
        await writer.drain()
        if reply.then == "hang":
            await reader.read()
        if reply.then != "keep":
            raise ConnectionError

    def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


@pytest.fixture
async def raw_server() -> AsyncIterator[RawServer]:
    server = RawServer()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.base_url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    yield server
    listening.close()
    server.close()
    await listening.wait_closed()
    await asyncio.sleep(0)


@dataclass(eq=False)
class ScriptedClient(LLMClient):
    """Answers with what it was asked, unless `script` says otherwise of a text and how often it was asked before."""

    script: Callable[[str, int], Outcome | BaseException | None] = lambda text, earlier: None
    latency: Callable[[], float] = lambda: 0.0
    asked: list[str] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    n_checks: int = 0
    is_closed: bool = False

    async def check(self) -> None:
        self.n_checks += 1

    async def complete(self, messages: Sequence[Message], parameters: SamplingParameters) -> Outcome:
        assert not self.is_closed
        text = f"{messages[-1].content} #{parameters.seed}" if parameters.seed is not None else messages[-1].content
        earlier = self.asked.count(text)
        self.asked.append(text)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self.latency())
        finally:
            self.in_flight -= 1
        scripted = self.script(text, earlier)
        if isinstance(scripted, BaseException):
            raise scripted
        return scripted or Completion(f"answer to {text}", "fake-1", "stop", prompt_tokens=10, completion_tokens=5)

    async def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def scripted_client() -> type[ScriptedClient]:
    """The class, for this folder's tests cannot import each other."""
    return ScriptedClient


@dataclass(frozen=True)
class SmallRun:
    """A store of its own, and a grid of queries and prompts."""

    store: RunStore
    questions: tuple[Question, ...]
    prompts: tuple[Prompt, ...]
    configuration: RunConfiguration

    def grid(self, n_samples: int = 1) -> Grid:
        return Grid(self.questions, self.prompts, n_samples, self.configuration)

    def calls(self, n_samples: int = 1) -> list[Call]:
        grid = self.grid(n_samples)
        return [Call(grid.cell(number), grid.messages(number)) for number in range(len(grid))]

    def ledger(self, **caps: float) -> Ledger:
        return ledger_of(
            self.store,
            budget=Budget(**caps),  # type: ignore[arg-type]
            price=None,
            counter=CharacterCounter(),
            max_answer_tokens=self.configuration.parameters.max_tokens,
        )


@pytest.fixture
def small_run(tmp_path: Path) -> Iterator[Callable[..., SmallRun]]:
    """Makes runs of so many queries and prompts, with nothing bought."""
    stores: list[RunStore] = []

    def make(n_queries: int = 6, n_prompts: int = 2, *, is_registered: bool = True, **parameters: Any) -> SmallRun:
        configuration = RunConfiguration("fake", "http://127.0.0.1:1/v1", SamplingParameters(**parameters))
        store = RunStore.open(f"sqlite:///{tmp_path / f'run-{len(stores)}.sqlite'}", configuration=configuration)
        stores.append(store)
        questions = tuple(Question(Query(f"What is {n} plus {n}?"), str(2 * n)) for n in range(n_queries))
        prompts = tuple(Prompt.from_text(f"Wording {n}.", id=f"p{n}") for n in range(n_prompts))
        if is_registered:
            store.register(questions, prompts)
        return SmallRun(store, questions, prompts, configuration)

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def shared_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat stores as if others collected into them too: cells are claimed, and saves, made in threads, can be held."""
    monkeypatch.setattr(RunStore, "is_local", False)
