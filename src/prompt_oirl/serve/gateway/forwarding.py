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
from prompt_oirl.serve.gateway.headers import answer_headers
from prompt_oirl.serve.gateway.upstream import Upstream

__all__ = ["Exchange", "Forwarding", "UpstreamMetrics", "read_body"]

_logger = logging.getLogger(__name__)

_WRONG_KEY = "the upstream refuses the key that this service has for it; the service's operator has to set another"
"""Instead of the upstream's own words, because some servers repeat a key that they refuse."""


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

    async def refuse(self, status: HTTPStatus, message: str) -> None:
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
        if answer.status == HTTPStatus.UNAUTHORIZED and self.upstream.has_key:
            await exchange.refuse(HTTPStatus.UNAUTHORIZED, _WRONG_KEY)
            return
        headers = [*answer_headers(answer.raw_headers), *exchange.headers]
        await exchange.send({"type": "http.response.start", "status": answer.status, "headers": headers})
        is_over = False
        while not is_over:
            # The library has such a limit too, but forgets it after what is no HTTP, and waits for ever.
            async with asyncio.timeout(self.upstream.seconds):
                part = await answer.content.readany()
            is_over = answer.content.at_eof()
            await exchange.send({"type": "http.response.body", "body": part, "more_body": not is_over})


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
