"""A connection for each call in flight, without a pool that looks through all of them at every request.

httpcore's pool polls the socket of each idle connection whenever a request begins or ends. With 64 calls in flight, of
which many wait until they are stored, that took a third of a collection's time.
"""

from __future__ import annotations

import ssl

import httpx2

__all__ = ["Lanes"]

_ONE = httpx2.Limits(max_connections=1, max_keepalive_connections=1)


class Lanes(httpx2.AsyncBaseTransport):
    """Sends each request over a connection that is free, else over a new one; reads replies whole.

    Args:
        trust: The certificates that are trusted.
    """

    def __init__(self, trust: ssl.SSLContext) -> None:
        self._trust = trust
        self._free: list[httpx2.AsyncHTTPTransport] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; its connection is free again when the whole reply is there, and closed after an error."""
        lane = self._free.pop() if self._free else httpx2.AsyncHTTPTransport(verify=self._trust, limits=_ONE)
        try:
            reply = await lane.handle_async_request(request)
            await reply.aread()
        except BaseException:
            await lane.aclose()
            raise
        self._free.append(lane)
        return reply

    async def aclose(self) -> None:
        """Close all connections that are free."""
        while self._free:
            await self._free.pop().aclose()
