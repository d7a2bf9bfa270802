"""The one server that the gateway forwards to."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self
from urllib.parse import unquote

import aiohttp
from yarl import URL

from prompt_oirl.errors import ParameterError
from prompt_oirl.serve.decision_headers import Header
from prompt_oirl.serve.gateway.headers import answer_headers, request_headers
from prompt_oirl.serve.settings import ServeSettings

__all__ = ["WITHHELD", "WRONG_KEY", "Upstream"]

WRONG_KEY = "the upstream refuses the key that this service has for it; the service's operator has to set another"
"""Instead of the upstream's own words, because some servers repeat a key that they refuse."""

WITHHELD = (
    "the upstream answered with this status; its text is withheld, because it repeats the key that this service has "
    "for it, or cannot be read to see whether it does"
)

_SECONDS_TO_CONNECT = 10.0
_SECONDS_KEPT_ALIVE = 4.0
"""Less than the 5 seconds after which common servers close an idle connection: what is sent just then is lost."""

_LONGEST_HEADER = 2**16
_MOST_BYTES_AT_ONCE = 2**20
"""A longer body is sent in parts, so that other requests have their turn."""


class Upstream:
    """Sends requests to the upstream of the settings; open as a context while the service runs.

    It follows no redirects, uses no proxies, keeps no cookies and leaves compressed answers as they are.

    Raises:
        ParameterError: There is no upstream, or its key cannot be sent.
    """

    def __init__(self, settings: ServeSettings) -> None:
        if settings.upstream is None:
            raise ParameterError("upstream=None: the gateway needs the address of a server to forward to")
        key = settings.upstream_key
        if key is not None and not (key.isascii() and key.isprintable() and " " not in key and key):
            raise ParameterError(
                "the upstream's key is empty, or has a space, a line break or a character outside ASCII in it, so it "
                "cannot be sent; set the variable to the key alone"
            )
        self._address = settings.upstream.rstrip("/")
        self._key = key
        self._token = settings.token
        self._limits = settings.limits
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open the connections' pool."""
        seconds = self.seconds
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=int(self._limits.concurrent_requests), keepalive_timeout=_SECONDS_KEPT_ALIVE
            ),
            timeout=aiohttp.ClientTimeout(
                total=None, connect=seconds, sock_connect=min(_SECONDS_TO_CONNECT, seconds), sock_read=seconds
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            auto_decompress=False,
            trust_env=False,
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    @property
    def has_key(self) -> bool:
        """Whether the service has a key of its own for the upstream."""
        return self._key is not None

    @property
    def seconds(self) -> float:
        """The most that it may take to answer, or to send the next part of an answer."""
        return self._limits.upstream_seconds

    def reveals(self, answered: bytes) -> bool:
        """Return whether the service's own key is in what the upstream answered, as it is or escaped in JSON."""
        if self._key is None:
            return False
        return self._key.replace("\\", "").encode() in answered.replace(b"\\", b"")

    def answer_headers(self, received: Iterable[Header]) -> Sequence[Header]:
        """Return what a client is sent of the upstream's headers."""
        return answer_headers(received, key=self._key)

    def ask(
        self, method: str, path: str, headers: Iterable[Header], *, query: bytes = b"", body: bytes | None = None
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Return the context of an answer, which is entered when the answer's headers are there.

        Args:
            method: Such as `POST`.
            path: Below the upstream's address, such as `/chat/completions`.
            headers: The client's.
            query: Of the client's address, encoded; it is not sent where it holds the service's token.
            body: The whole.

        Raises:
            ParameterError: The context is not open.
        """
        if self._session is None:
            raise ParameterError("the upstream is not open; enter its context when the service starts")
        is_long = body is not None and len(body) > _MOST_BYTES_AT_ONCE
        return self._session.request(
            method,
            self._url(path, query),
            headers=request_headers(headers, key=self._key, token=self._token),
            data=io.BytesIO(body) if body is not None and is_long else body,
            allow_redirects=False,
        )

    def _url(self, path: str, query: bytes) -> URL:
        text = query.decode("latin-1")
        if self._token is not None and (self._token in text or self._token in unquote(text)):
            text = ""
        return URL(f"{self._address}{path}{'?' if text else ''}{text}", encoded=True)
