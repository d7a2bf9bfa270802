"""Limits on every request: how large and how slow its body may be, and how many there may be at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from prompt_oirl.serve.api.errors import Refused, error_answer

__all__ = ["BodyLimit", "ConcurrencyLimit"]


class BodyLimit:
    """Refuses bodies that are too large, at once where they say so, and those that do not come to an end.

    A request that is still sending holds its place among those that may be under way at once.

    Args:
        app: What is asked otherwise.
        most_bytes: Of a body.
        seconds: For the whole body to arrive.
        most_bytes_of: Of a body for one of these paths, where that is less.
    """

    def __init__(
        self, app: ASGIApp, *, most_bytes: int, seconds: float, most_bytes_of: Mapping[str, int] | None = None
    ) -> None:
        self.app = app
        self._most_bytes = most_bytes
        self._most_bytes_of = dict(most_bytes_of or {})
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with a body that is watched."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length")
        most = min(self._most_bytes, self._most_bytes_of.get(scope["path"], self._most_bytes))
        if length is None or (length.isdigit() and int(length[:20]) <= most):
            await self.app(scope, self._watched(receive, most), send)
        else:
            refused = _too_large(most)
            await error_answer(refused.status_code, refused.detail, headers=refused.headers)(scope, receive, send)

    def _watched(self, receive: Receive, most_bytes: int) -> Receive:
        n_bytes = 0
        is_whole = False
        deadline = asyncio.get_running_loop().time() + self._seconds

        async def watched() -> Message:
            nonlocal n_bytes, is_whole
            if is_whole:  # what comes next is that the client goes away, sooner or later
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise self._too_slow() from None
            n_bytes += len(message.get("body", b""))
            is_whole = not message.get("more_body", False)
            if n_bytes > most_bytes:
                raise _too_large(most_bytes)
            return message

        return watched

    def _too_slow(self) -> Refused:
        return _ending(
            HTTPStatus.REQUEST_TIMEOUT,
            f"the body has not arrived within {self._seconds:g} seconds; send it at once, or a smaller one",
        )


def _too_large(most_bytes: int) -> Refused:
    return _ending(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body has more than {most_bytes} bytes, which is the most that is taken",
    )


def _ending(status: HTTPStatus, message: str) -> Refused:
    """Return a refusal that ends the connection, or the rest of the body would have to be read."""
    return Refused(status, message, headers={"connection": "close"})


class ConcurrencyLimit:
    """Refuses requests above a number at once, so that those under way are answered in time.

    Args:
        app: What is asked otherwise.
        most: Requests at once.
        exempt: Paths that are always answered, such as those that say how the service is.
        apart: What the paths begin with that are counted by themselves, because anybody may send them a body; they
            cannot take the others' places.
        most_apart: Of those, requests at once.
    """

    def __init__(
        self, app: ASGIApp, *, most: int, exempt: frozenset[str], apart: str | None = None, most_apart: int = 64
    ) -> None:
        self.app = app
        self._most = {False: most, True: min(most, most_apart)}
        self._exempt = exempt
        self._apart = apart
        self._n_under_way = {False: 0, True: 0}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http" or scope["path"] in self._exempt:
            await self.app(scope, receive, send)
            return
        is_apart = self._apart is not None and scope["path"].startswith(self._apart)
        if self._n_under_way[is_apart] >= self._most[is_apart]:
            message = f"{self._most[is_apart]} requests are under way, which is the most at once; try again"
            await error_answer(HTTPStatus.SERVICE_UNAVAILABLE, message)(scope, receive, send)
            return
        self._n_under_way[is_apart] += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._n_under_way[is_apart] -= 1
