"""How the service runs: what it may be asked, how long it may take, where it forwards to."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from urllib.parse import urlsplit

from prompt_oirl.errors import ParameterError

__all__ = ["Limits", "ServeSettings"]

_SHORTEST_TOKEN = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that one request, or all at once, may take.

    Raises:
        ParameterError: A limit is not positive.
    """

    body_bytes: int = 4 * 2**20
    body_seconds: float = 30.0
    """For a body to arrive."""

    queries: int = 256
    """In one request."""

    query_characters: int = 20_000
    messages: int = 1_000
    """In one conversation."""

    candidates: int = 1_000
    """Named in one request."""

    concurrent_requests: int = 512
    """At once; above, requests are refused with status 503."""

    upstream_seconds: float = 600.0
    """For the upstream to answer or to send the next part of a stream."""

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, bool) or not 0 < value < math.inf:
                raise ParameterError(f"{each.name}={value!r}: a positive number is needed")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """What an operator decides when the service starts; nothing of it can be changed by a request.

    Raises:
        ParameterError: A setting is outside what is allowed, the token can be guessed or cannot be sent, or another
            host than loopback is given without a token.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    token: str | None = field(default=None, repr=False)
    """That clients have to give; from the environment."""

    upstream: str | None = None
    """Base URL of the OpenAI-compatible server that the gateway forwards to, such as `https://api.openai.com/v1`."""

    upstream_key: str | None = field(default=None, repr=False)
    """Sent to the upstream instead of what the client gave; from the environment. Without it, the client's own
    `Authorization` is passed on, unless the service has a token."""

    explore: float = 0.0
    """Share of queries whose prompt is drawn at random, each candidate equally often."""

    budget_seconds: float = 0.05
    """For scoring a query; later, the best single prompt is used."""

    log_queries: bool = False
    """Whether the decision log keeps the queries' texts, and not only their hashes."""

    playground: bool = True
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise ParameterError(f"port={self.port}: a number from 0 to 65535 is needed; 0 for any free one")
        if not 0 <= self.explore <= 1:
            raise ParameterError(f"explore={self.explore}: a share from 0 to 1 is needed")
        if not 0 < self.budget_seconds < math.inf:
            raise ParameterError(f"budget_seconds={self.budget_seconds}: a positive number of seconds is needed")
        if not self.token and not self.is_loopback:
            raise ParameterError(
                f"host={self.host!r} can be reached from other machines, and no token is set; set "
                "PROMPT_OIRL_SERVE_TOKEN in the environment, or serve on 127.0.0.1 behind a proxy that asks for one"
            )
        self._check_token()
        self._check_upstream()

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def _check_token(self) -> None:
        if not self.token:
            return
        if not self.token.isprintable() or " " in self.token or len(self.token) < _SHORTEST_TOKEN:
            raise ParameterError(
                f"the service's token has fewer than {_SHORTEST_TOKEN} characters, or a space, a line break or another "
                "character in it that cannot be sent; set PROMPT_OIRL_SERVE_TOKEN to a long random one alone, such as "
                "`openssl rand -hex 32` prints"
            )

    def _check_upstream(self) -> None:
        if self.upstream is None:
            return
        parts = urlsplit(self.upstream)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ParameterError(
                f"upstream={self.upstream!r}: the address of an OpenAI-compatible server is needed, such as "
                "http://127.0.0.1:8000/v1"
            )
        if parts.username or parts.password:
            raise ParameterError("upstream: a key in the address would be shown; set it in the environment instead")
