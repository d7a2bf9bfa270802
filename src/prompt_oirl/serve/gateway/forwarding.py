"""Forwards one request to the upstream, and the upstream's answer, as it comes, to the client."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

import aiohttp
from starlette.types import Receive, Scope, Send

from prompt_oirl.serve.api.errors import error_answer
from prompt_oirl.serve.decision_headers import Header
from prompt_oirl.serve.gateway.error_body import decoded, read_error
from prompt_oirl.serve.gateway.upstream import WITHHELD, WRONG_KEY, Upstream

__all__ = ["Exchange", "Forwarding", "UpstreamMetrics", "read_body"]

_logger = logging.getLogger(__name__)


class UpstreamMetrics(Protocol):
    """Counts what the upstream answers."""

    def upstream_answered(self, status: int, seconds: float) -> None:
        """Count an answer of the upstream, 502 or 504 where there was none, and the seconds until it began."""
        ...


async def read_body(receive: Receive) -> bytes | None:
    """Return the body of a request; None where the client has gone before its end."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A client's request, and the way back to the client."""

    scope: Scope
    receive: Receive
    """After the request's body has been read, it tells when the client has gone."""

    send: Send
    headers: Sequence[Header] = ()
    """That the client is sent besides the upstream's."""

    async def refuse(self, status: int, message: str) -> None:
        """Answer with an error of the gateway's own."""
        answer = error_answer(status, message)
        answer.raw_headers.extend(self.headers)
        await answer(self.scope, self.receive, self.send)


@dataclass(frozen=True, slots=True)
class Forwarding:
    """Forwards requests to one upstream."""

    upstream: Upstream
    metrics: UpstreamMetrics

    async def __call__(self, path: str, exchange: Exchange, *, body: bytes | None = None) -> None:
        """Forward a request.

        Where the client goes away, the request to the upstream ends too. Where the upstream ends before its answer is
        complete, the answer to the client is left incomplete, and the server closes the connection: the client can
        tell.

        Args:
            path: Below the upstream's address.
            exchange: With a client whose request's body has been read.
            body: For the upstream.
        """
        started = time.perf_counter()
        is_begun = False
        scope = exchange.scope
        async with _while_client_stays(exchange.receive):
            try:
                async with self.upstream.ask(
                    scope["method"], path, scope["headers"], query=scope["query_string"], body=body
                ) as answer:
                    self.metrics.upstream_answered(answer.status, time.perf_counter() - started)
                    is_begun = True
                    await self._pass_on(answer, exchange)
            except (aiohttp.ClientError, TimeoutError) as error:
                _logger.warning("the upstream failed: %s", _description(error))
                if not is_begun:
                    status, message = _refusal(error)
                    self.metrics.upstream_answered(status, time.perf_counter() - started)
                    await exchange.refuse(status, message)

    async def _pass_on(self, answer: aiohttp.ClientResponse, exchange: Exchange) -> None:
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES and self.upstream.has_key:
            await self._pass_error_on(answer, exchange)
            return
        await self._begin(answer, exchange)
        is_over = False
        while not is_over:
            # The library has such a limit too, but forgets it after what is no HTTP, and waits for ever.
            async with asyncio.timeout(self.upstream.seconds):
                part = await answer.content.readany()
            is_over = answer.content.at_eof()
            await exchange.send({"type": "http.response.body", "body": part, "more_body": not is_over})

    async def _begin(self, answer: aiohttp.ClientResponse, exchange: Exchange) -> None:
        headers = [*self.upstream.answer_headers(answer.raw_headers), *exchange.headers]
        await exchange.send({"type": "http.response.start", "status": answer.status, "headers": headers})

    async def _pass_error_on(self, answer: aiohttp.ClientResponse, exchange: Exchange) -> None:
        """Pass on an error that does not show the service's key for the upstream, or its status alone."""
        if answer.status == HTTPStatus.UNAUTHORIZED:
            await exchange.refuse(answer.status, WRONG_KEY)
            return
        body = await read_error(answer, seconds=self.upstream.seconds)
        text = None if body is None else decoded(body, ",".join(answer.headers.getall("content-encoding", ())))
        if text is None or self.upstream.reveals(text):
            await exchange.refuse(answer.status, WITHHELD)
            return
        await self._begin(answer, exchange)
        await exchange.send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def _while_client_stays(receive: Receive) -> AsyncIterator[None]:
    """Run a block that ends, without an error, as soon as the client goes away."""
    task = asyncio.current_task()
    has_gone = False

    async def watch() -> None:
        nonlocal has_gone
        while (await receive())["type"] != "http.disconnect":
            pass
        has_gone = True
        if task is not None:
            task.cancel()

    watching = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if not has_gone or task is None or task.uncancel():
            raise
    finally:
        watching.cancel()


def _refusal(error: Exception) -> tuple[HTTPStatus, str]:
    if isinstance(error, TimeoutError):
        return HTTPStatus.GATEWAY_TIMEOUT, "the upstream did not answer in time"
    return HTTPStatus.BAD_GATEWAY, "the upstream could not be reached, or gave no HTTP answer"


def _description(error: Exception) -> str:
    """Return what may be logged: texts of other errors can repeat what was sent or answered, keys among it."""
    reason = error.strerror if isinstance(error, OSError) else None
    return f"{type(error).__name__} ({reason})" if reason else type(error).__name__
