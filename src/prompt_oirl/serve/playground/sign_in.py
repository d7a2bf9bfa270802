"""Who may use the page: a browser that gave the service's token, on a page that the service itself sent.

The cookie does not hold the token. It holds when it ends, and a keyed hash of that, so that every replica with the same
token can check it and none has to remember it.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import deque

from starlette.requests import Request
from starlette.responses import Response

from prompt_oirl.serve.api.errors import Refused

__all__ = [
    "FailedAttempts",
    "check_own_page",
    "check_signed_in",
    "is_signed_in",
    "is_token",
    "sign_in",
    "sign_out",
]

_COOKIE = "prompt_oirl_playground"
_LIFETIME = 12 * 3600
_MOST_FAILURES = 10
_SECONDS = 60.0


class FailedAttempts:
    """Those to sign in of the last minute, of all browsers together: who guesses may have many addresses."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=_MOST_FAILURES)

    def add(self) -> None:
        """Count one."""
        self._times.append(time.monotonic())

    def check(self) -> None:
        """Refuse another attempt where too many have failed; who is signed in is not asked.

        Raises:
            Refused: With status 429.
        """
        if len(self._times) == _MOST_FAILURES and time.monotonic() - self._times[0] < _SECONDS:
            message = f"{_MOST_FAILURES} attempts to sign in have failed within a minute; try again in a minute"
            raise Refused(429, message, headers={"retry-after": f"{_SECONDS:.0f}"})


def is_token(given: str, token: str | None) -> bool:
    """Return whether what was given is the token, in a time that does not tell how much of it was right."""
    return token is not None and hmac.compare_digest(given.encode(errors="replace"), token.encode())


def sign_in(request: Request, response: Response, token: str) -> None:
    """Set the cookie that `is_signed_in` looks for, for 12 hours at most."""
    ends = str(int(time.time()) + _LIFETIME)
    response.set_cookie(
        _COOKIE,
        f"{ends}.{_seal(ends, token)}",
        max_age=_LIFETIME,
        httponly=True,
        samesite="strict",
        secure="https" in (request.url.scheme, request.headers.get("x-forwarded-proto")),
    )


def sign_out(response: Response) -> None:
    """Have the browser forget the cookie."""
    response.delete_cookie(_COOKIE, httponly=True, samesite="strict")


def is_signed_in(request: Request, token: str | None) -> bool:
    """Return whether the browser has given the token, or none is needed."""
    if not token:
        return True
    ends, _, seal = request.cookies.get(_COOKIE, "").partition(".")
    is_sealed = hmac.compare_digest(seal.encode(errors="replace"), _seal(ends, token).encode())
    return is_sealed and time.time() < int(ends)


def check_signed_in(request: Request, token: str | None) -> None:
    """Refuse a browser that has not given the token.

    Raises:
        Refused: With status 401.
    """
    if not is_signed_in(request, token):
        raise Refused(401, "this browser is not signed in, or no longer; load the page again and give the token")


def check_own_page(request: Request) -> None:
    """Refuse what another site's page sent: browsers name the page that a request comes from.

    Raises:
        Refused: With status 403.
    """
    if request.headers.get("sec-fetch-site") == "same-origin":
        return
    origin = request.headers.get("origin", "")
    host = origin.partition("://")[2].lower()
    if not host or host != request.headers.get("host", "").lower():
        raise Refused(
            403,
            f"the request comes from {origin[:200] or 'no page'!r}, not from this service's own page; behind a proxy, "
            "let it pass the Host header on",
        )


def _seal(ends: str, token: str) -> str:
    return hmac.new(token.encode(), f"prompt-oirl playground {ends}".encode(), hashlib.sha256).hexdigest()
