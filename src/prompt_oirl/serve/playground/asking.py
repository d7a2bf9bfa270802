"""Asks the upstream what a query with its prompt is answered, and which models it has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from prompt_oirl.records import Message
from prompt_oirl.serve.gateway.upstream import WRONG_KEY, Upstream

__all__ = ["Answer", "ask", "models"]

_MOST_BYTES = 4 * 2**20
_MOST_MODELS = 500
_MOST_OF_ERROR = 2_000
_HEADERS = ((b"content-type", b"application/json"), (b"accept", b"application/json"), (b"accept-encoding", b"identity"))


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    text: str
    """The answer, or what went wrong."""

    is_error: bool = False


async def ask(upstream: Upstream, messages: Iterable[Message], *, model: str) -> Answer:
    """Send a conversation, and return the first answer to it; whatever goes wrong is an answer too."""
    asked = {"model": model, "messages": [{"role": each.role, "content": each.content} for each in messages]}
    status, body = await _send(upstream, "POST", "/chat/completions", orjson.dumps(asked))
    if status != 200:
        return Answer(_problem(status, body), is_error=True)
    try:
        text = orjson.loads(body)["choices"][0]["message"]["content"]
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return Answer("The upstream's answer is no chat completion.", is_error=True)
    return Answer(text) if isinstance(text, str) else Answer("The upstream answered without a text.", is_error=True)


async def models(upstream: Upstream) -> tuple[str, ...]:
    """Return the names of the upstream's models; none where it does not tell."""
    status, body = await _send(upstream, "GET", "/models")
    if status != 200:
        return ()
    try:
        names: list[Any] = [each["id"] for each in orjson.loads(body)["data"]]
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return ()
    return tuple(name for name in names if isinstance(name, str))[:_MOST_MODELS]


async def _send(upstream: Upstream, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    """Return status and body; status 0 and a sentence where there was no answer."""
    try:
        async with upstream.ask(method, path, _HEADERS, body=body) as response:
            parts, n_bytes = [], 0
            async for part in response.content.iter_any():
                parts.append(part)
                n_bytes += len(part)
                if n_bytes > _MOST_BYTES:
                    return 0, b"The upstream's answer is too long to be shown."
            return _without_key(upstream, response.status, b"".join(parts))
    except TimeoutError:
        return 0, b"The upstream did not answer in time."
    except aiohttp.ClientError:
        return 0, b"The upstream could not be reached, or broke off."


def _without_key(upstream: Upstream, status: int, body: bytes) -> tuple[int, bytes]:
    """Return status and body, or a sentence where the body may show the service's key for the upstream."""
    if status == 401 and upstream.has_key:
        return 0, f"{WRONG_KEY[0].upper()}{WRONG_KEY[1:]}.".encode()
    if upstream.reveals(body):
        return 0, f"The upstream answered with status {status}, and repeats the key that it was sent.".encode()
    return status, body


def _problem(status: int, body: bytes) -> str:
    if not status:
        return body.decode()
    try:
        message = orjson.loads(body)["error"]["message"]
    except (orjson.JSONDecodeError, LookupError, TypeError):
        message = body.decode(errors="replace")
    return f"The upstream answered with status {status}: {str(message)[:_MOST_OF_ERROR]}"
