"""The body of an error that the upstream answers, read as a whole so that it can be searched before it passes."""

from __future__ import annotations

import asyncio
import zlib

import aiohttp

__all__ = ["decoded", "read_error"]

_MOST_BYTES = 2**18
_AUTOMATIC = 47
"""Tells zlib to read gzip's format and its own."""


async def read_error(answer: aiohttp.ClientResponse, *, seconds: float) -> bytes | None:
    """Return the body; None where it is longer than errors are, or breaks off.

    Args:
        answer: Of the upstream.
        seconds: That the next part may take.
    """
    parts: list[bytes] = []
    n_bytes = 0
    try:
        while not answer.content.at_eof():
            async with asyncio.timeout(seconds):
                parts.append(await answer.content.readany())
            n_bytes += len(parts[-1])
            if n_bytes > _MOST_BYTES:
                return None
    except (aiohttp.ClientError, TimeoutError):
        return None
    return b"".join(parts)


def decoded(body: bytes, encoding: str) -> bytes | None:
    """Return a body without its content encoding; None where that cannot be done.

    Args:
        body: As it was sent.
        encoding: The header `content-encoding`; empty where there is none.
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        return None
    reading = zlib.decompressobj(_AUTOMATIC)
    try:
        found = reading.decompress(body, _MOST_BYTES)
    except zlib.error:
        return None
    return found if reading.eof and not reading.unused_data else None
