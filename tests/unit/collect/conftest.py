"""A server on loopback that answers with the very bytes a test gives it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal

import pytest


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
