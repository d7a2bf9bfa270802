"""The limits on the head of a request and on its trailers, byte by byte as a connection brings them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from prompt_oirl.serve import request_head
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


def connected(app: ASGIApp) -> tuple[LimitedHeadProtocol, Connection]:
    config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none")
    protocol, transport = LimitedHeadProtocol(config, ServerState(), {}), Connection()
    protocol.connection_made(transport)
    return protocol, transport


@pytest.fixture
async def connection() -> tuple[LimitedHeadProtocol, Connection]:
    return connected(PlainTextResponse("inside"))


async def tell(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the body and then the names of the headers, as they are once the body has come."""
    body = await Request(scope, receive).body()
    names = b" ".join(name for name, _ in scope["headers"])
    await PlainTextResponse(body + b" " + names)(scope, receive, send)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr(request_head, "_SECONDS", 0.05)
    return 0.12


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


CHUNKED = b"POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"


async def test_trailers_are_dropped() -> None:
    protocol, transport = connected(tell)
    for part in (CHUNKED, b"2\r\n{}\r\n0\r\n", b"x-late: 1\r\nx-later: 2\r\n", b"\r\n"):
        protocol.data_received(part)
    await asyncio.sleep(0.01)
    assert transport.written.endswith(b"{} host transfer-encoding")
    assert not transport.is_closed
    protocol.connection_lost(None)


@pytest.mark.parametrize("part", [b"x: " + b"a" * 1_000 + b"\r\n", b"a" * 1_000])
@pytest.mark.parametrize("app", [tell, PlainTextResponse("inside")])
async def test_trailers_that_do_not_end_are_refused(app: ASGIApp, part: bytes) -> None:
    protocol, transport = connected(app)
    protocol.data_received(CHUNKED + b"2\r\n{}\r\n0\r\nx-first: ")
    await asyncio.sleep(0.01)
    n_taken = 0
    while not transport.is_closed:
        protocol.data_received(part)
        n_taken += len(part)
        assert n_taken < 200_000
    status = b"431" if app is tell else b"200"
    assert transport.written.startswith(b"HTTP/1.1 " + status)
    assert transport.written.count(b"HTTP/1.1") == 1
    protocol.connection_lost(None)
    await asyncio.sleep(0)


async def test_a_body_in_small_chunks_passes() -> None:
    protocol, transport = connected(tell)
    protocol.data_received(CHUNKED)
    for _ in range(300):
        protocol.data_received(b"1\r\nx\r\n" * 200)
    protocol.data_received(b"0\r\n\r\n")
    await asyncio.sleep(0.01)
    assert transport.written.startswith(b"HTTP/1.1 200")
    assert b"x" * 60_000 in transport.written
    protocol.connection_lost(None)


@pytest.mark.parametrize("begun", [b"", b"\r\n", b"GET / HTTP/1.1\r\nHo"])
@pytest.mark.parametrize("before", [b"", b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"])
async def test_a_connection_whose_head_does_not_come_is_ended(short, connection, begun: bytes, before: bytes) -> None:
    protocol, transport = connection
    if before:
        protocol.data_received(before)
        await asyncio.sleep(0.01)
        assert transport.written.startswith(b"HTTP/1.1 200")
        begun = begun or b"G"
    for byte in begun:  # a byte now and then does not help
        protocol.data_received(bytes([byte]))
    await asyncio.sleep(short / 2)
    protocol.data_received(b"\r\n" if begun in (b"", b"\r\n") else b"x")
    await asyncio.sleep(short / 2)
    assert transport.is_closed
    protocol.connection_lost(None)


async def test_neither_a_slow_answer_nor_a_connection_that_is_kept_is_ended(short) -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(short)
        await tell(scope, receive, send)

    protocol, transport = connected(slow)
    for n_answers in (1, 2):
        protocol.data_received(HEAD + b"content-length: 2\r\n\r\n{}")
        await asyncio.sleep(short * 2)
        assert transport.written.count(b"HTTP/1.1 200") == n_answers
    assert not transport.is_closed
    protocol.connection_lost(None)


async def test_a_request_that_goes_on_after_its_answer_is_ended(short, connection) -> None:
    protocol, transport = connection
    protocol.data_received(HEAD + b"content-length: 100\r\n\r\n{")
    for _ in range(4):
        await asyncio.sleep(short / 4)
        protocol.data_received(b"x")
    assert transport.written.startswith(b"HTTP/1.1 200")
    assert transport.is_closed
    protocol.connection_lost(None)


async def test_a_body_that_comes_after_its_answer_leaves_the_connection_to_be_kept(short, connection) -> None:
    protocol, transport = connection
    for n_answers in (1, 2):
        protocol.data_received(HEAD + b"content-length: 2\r\n\r\n")
        await asyncio.sleep(0.01)
        assert transport.written.count(b"HTTP/1.1 200") == n_answers
        protocol.data_received(b"{}")
        assert protocol.timeout_keep_alive_task is not None
        await asyncio.sleep(short)
        assert not transport.is_closed
    protocol.connection_lost(None)
