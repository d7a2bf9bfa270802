"""Limits on every request: how large its body may be, and how many there may be at once."""

from __future__ import annotations

from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from prompt_oirl.serve.api.errors import Refused, error_answer

__all__ = ["BodyLimit", "ConcurrencyLimit"]


class BodyLimit:
    """Refuses bodies that are too large: at once where they say so, else when they have become so.

    Args:
        app: What is asked otherwise.
        most_bytes: Of a body.
    """

    def __init__(self, app: ASGIApp, *, most_bytes: int) -> None:
        self.app = app
        self._most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with a body that is watched."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length")
        if length is None:
            await self.app(scope, self._watched(receive), send)
        elif length.isdigit() and int(length[:20]) <= self._most_bytes:
            await self.app(scope, receive, send)  # the server lets no more through than the header says
        else:
            refused = self._refused()
            await error_answer(refused.status_code, refused.detail, headers=refused.headers)(scope, receive, send)

    def _watched(self, receive: Receive) -> Receive:
        n_bytes = 0

        async def watched() -> Message:
            nonlocal n_bytes
            message = await receive()
            n_bytes += len(message.get("body", b""))
            if n_bytes > self._most_bytes:
                raise self._refused()
            return message

        return watched

    def _refused(self) -> Refused:
        """Return the refusal; it ends the connection, or the rest of the body would have to be read."""
        return Refused(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the body has more than {self._most_bytes} bytes, which is the most that is taken",
            headers={"connection": "close"},
        )


class ConcurrencyLimit:
    """Refuses requests above a number at once, so that those under way are answered in time.

    Args:
        app: What is asked otherwise.
        most: Requests at once.
        exempt: Paths that are always answered, such as those that say how the service is.
    """

    def __init__(self, app: ASGIApp, *, most: int, exempt: frozenset[str]) -> None:
        self.app = app
        self._most = most
        self._exempt = exempt
        self._n_under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http" or scope["path"] in self._exempt:
            await self.app(scope, receive, send)
            return
        if self._n_under_way >= self._most:
            message = f"{self._most} requests are under way, which is the most at once; try again"
            await error_answer(HTTPStatus.SERVICE_UNAVAILABLE, message)(scope, receive, send)
            return
        self._n_under_way += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._n_under_way -= 1
