"""Who may ask: those who give the token; without one, those on this machine that no web page sent."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from prompt_oirl.serve.api.errors import error_answer
from prompt_oirl.serve.settings import ServeSettings

__all__ = ["Access"]

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITE = frozenset({b"same-origin", b"none"})
"""Values of Sec-Fetch-Site: of the service's own page, and of no page at all. Older browsers do not send it."""

_POLICY_VIOLATION = 1008


class Access:
    """Refuses requests without the token, for another host, or of another site's page.

    A service without a token trusts whoever reaches its loopback address. A web page in a browser on this machine can
    do that too: by a name of its own that leads to loopback (DNS rebinding), which the Host header shows, or by
    sending what needs no leave (cross-site request forgery), which the Origin and Sec-Fetch-Site headers show.

    Args:
        app: What is asked otherwise.
        settings: With the token that has to be given as `Authorization: Bearer …`, or none.
        open_paths: That everybody may ask for.
        own_paths: That check the token by themselves.
        own_prefix: Of more of them.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: ServeSettings,
        *,
        open_paths: frozenset[str] = frozenset(),
        own_paths: frozenset[str] = frozenset(),
        own_prefix: str | None = None,
    ) -> None:
        self.app = app
        self._token = settings.token.encode() if settings.token else None
        self._open_paths = open_paths
        self._own_paths = own_paths
        self._own_prefix = own_prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        refusal = self._refusal(scope) if scope["type"] in ("http", "websocket") else None
        if refusal is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await refusal(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})

    def _refusal(self, scope: Scope) -> Response | None:
        path = scope["path"]
        if path in self._open_paths:
            return None
        if sum(name == b"host" for name, _ in scope["headers"]) > 1:  # RFC 9112, section 3.2
            return error_answer(HTTPStatus.BAD_REQUEST, "the request names more than one host; send one Host header")
        headers = dict(scope["headers"])
        if self._token is None:
            return self._refusal_of_stranger(scope.get("method"), headers)
        if self._has_token(headers) or self._checks_itself(path):
            return None
        return error_answer(
            HTTPStatus.UNAUTHORIZED,
            "the token is missing or wrong; send the header Authorization: Bearer followed by the service's token",
            headers={"www-authenticate": "Bearer"},
        )

    def _refusal_of_stranger(self, method: str | None, headers: Mapping[bytes, bytes]) -> Response | None:
        host = headers.get(b"host", b"")
        if not _is_loopback(host):
            return error_answer(
                HTTPStatus.FORBIDDEN,
                f"the request is for the host {_name(host)[:100]!r}; without a token only names of this machine's "
                "loopback address are answered: ask 127.0.0.1, have a proxy pass that on as the host, or set a token",
            )
        if method not in _SAFE_METHODS and _is_of_another_site(headers):
            return error_answer(
                HTTPStatus.FORBIDDEN, "the request was sent by a page of another site, which may not use this service"
            )
        return None

    def _has_token(self, headers: Mapping[bytes, bytes]) -> bool:
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), self._token or b"")

    def _checks_itself(self, path: str) -> bool:
        return path in self._own_paths or (self._own_prefix is not None and path.startswith(self._own_prefix))


@lru_cache(maxsize=64)  # nearly every request names the same one
def _is_loopback(host: bytes) -> bool:
    """Return whether a Host header names this machine's loopback address."""
    name = _name(host)
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _name(host: bytes) -> str:
    """Return the name in a Host header without its port."""
    try:
        name = urlsplit("//" + host.decode("latin-1")).hostname
    except ValueError:
        return ""
    return (name or "").rstrip(".")


def _is_of_another_site(headers: Mapping[bytes, bytes]) -> bool:
    if headers.get(b"sec-fetch-site", b"none").lower() not in _OWN_SITE:
        return True
    origin = headers.get(b"origin")
    return origin is not None and origin.lower().partition(b"://")[2] != headers.get(b"host", b"").lower()
