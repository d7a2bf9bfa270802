"""A route that is documented by the framework, and answered without it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

__all__ = ["DirectRoute"]

Handler = Callable[[Request], Awaitable[Response]]


class DirectRoute(APIRoute):
    """Calls its handler with the request and sends what that returns.

    The framework would look for parameters, dependencies and models first; there are none, and looking takes as long as
    answering. Errors that the handler raises are answered as those of other routes are.

    Args:
        path: Of the route.
        handler: Answers a request.
        documentation: As for `fastapi.routing.APIRoute`.
    """

    def __init__(self, path: str, handler: Handler, **documentation: Any) -> None:
        super().__init__(path, handler, **documentation)
        self._handler = handler
        self.app = self._answer

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._handler(Request(scope, receive))
        await response(scope, receive, send)
