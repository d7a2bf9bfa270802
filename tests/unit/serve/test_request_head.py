"""The limit on the head of a request, byte by byte as a connection brings it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from uvicorn.server import ServerState

from prompt_oirl.serve.request_head import LimitedHeadProtocol


class Connection(asyncio.Transport):
    """What is written to it is kept."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written = b""
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


@pytest.fixture
async def connection() -> tuple[LimitedHeadProtocol, Connection]:
    config = uvicorn.Config(PlainTextResponse("inside"), log_config=None, lifespan="off", ws="none")
    protocol, transport = LimitedHeadProtocol(config, ServerState(), {}), Connection()
    protocol.connection_made(transport)
    return protocol, transport


HEAD = b"POST / HTTP/1.1\r\nhost: localhost\r\n"


async def test_requests_within_the_limit_are_answered_one_after_the_other(connection) -> None:
    protocol, transport = connection
    for n_answers in (1, 2, 3):
        for part in (HEAD, b"x-long: " + b"a" * 100_000, b"\r\ncontent-length: 1000000\r\n\r\n", b"b" * 1_000_000):
            protocol.data_received(part)
        await asyncio.sleep(0.01)
        assert transport.written.count(b"HTTP/1.1 200") == n_answers
    assert not transport.is_closed
    protocol.connection_lost(None)


@pytest.mark.parametrize("part", [b"x: " + b"a" * 1_000 + b"\r\n", b"a" * 1_000])
async def test_a_head_that_does_not_end_is_refused_once(connection, part: bytes) -> None:
    protocol, transport = connection
    protocol.data_received(HEAD + b"x-first: ")
    for _ in range(300):
        if not transport.is_closed:
            protocol.data_received(part)
    assert transport.is_closed
    assert transport.written.startswith(b"HTTP/1.1 431 ")
    assert b"connection: close" in transport.written
    assert transport.written.count(b"HTTP/1.1") == 1
    protocol.connection_lost(None)


async def test_what_is_no_request_is_400(connection) -> None:
    protocol, transport = connection
    protocol.data_received(b"\x16\x03\x01 no HTTP" + b"\x00" * 200_000)
    assert transport.written.startswith(b"HTTP/1.1 400 ")
    assert transport.is_closed
    protocol.connection_lost(None)
