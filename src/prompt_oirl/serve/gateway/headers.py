"""Which headers pass the gateway, in each direction."""

from __future__ import annotations

from collections.abc import Iterable

from multidict import CIMultiDict

from prompt_oirl.serve.decision_headers import DECISION_PREFIX, Header

__all__ = ["GATEWAY_HEADER", "answer_headers", "request_headers"]

GATEWAY_HEADER = DECISION_PREFIX + b"gateway"
"""By which a gateway knows a request that it, or another one, has sent."""

_HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding "
    b"upgrade".split()
)
"""Of one connection and not of the message: RFC 9110, section 7.6.1."""

_OF_THE_CLIENTS_CONNECTION = frozenset(b"host content-length expect cookie forwarded x-real-ip".split())
_FORWARDED = b"x-forwarded-"
"""What a proxy in front of the service says of the client is not for the upstream, which may be somebody else's."""

_OF_THE_UPSTREAMS_HOST = frozenset(b"date set-cookie alt-svc strict-transport-security".split())
"""Said of a host or a connection and not of an answer; the service sends its own `date`."""

_ENCODINGS_THAT_CAN_BE_READ = ("gzip", "deflate", "identity")

_CORS = b"access-control-"
"""Which web pages may read this service's answers is not the upstream's to say."""


def request_headers(received: Iterable[Header], *, key: str | None, token: str | None) -> CIMultiDict[str]:
    """Return what the upstream is sent of a client's headers.

    Args:
        received: The client's.
        key: The upstream's; it takes the place of the client's `Authorization`. Where there is one, answers are asked
            for in encodings that can be searched for it.
        token: The service's own. Where there is one, no `Authorization` of a client goes on, nor any other header
            that holds the token.
    """
    received = list(received)
    secret = None if token is None else token.encode()
    dropped = _named_in_connection(received) | _HOP_BY_HOP | _OF_THE_CLIENTS_CONNECTION
    if key is not None or secret is not None:
        dropped |= {b"authorization"}
    sent = CIMultiDict(
        (name.decode("latin-1"), _text(value))
        for name, value in received
        if name not in dropped and not name.startswith(_FORWARDED) and (secret is None or secret not in value)
    )
    if key is not None:
        sent["authorization"] = f"Bearer {key}"
        if "accept-encoding" in sent:
            sent["accept-encoding"] = _that_can_be_read(",".join(sent.getall("accept-encoding")))
    sent[GATEWAY_HEADER.decode()] = "1"
    return sent


def answer_headers(received: Iterable[Header], *, key: str | None = None) -> list[Header]:
    """Return what the client is sent of the upstream's headers: all that say something of the answer.

    Args:
        received: The upstream's.
        key: The service's own for the upstream; no header passes that holds it.
    """
    secret = None if key is None else key.encode()
    received = [(name.lower(), value) for name, value in received]
    dropped = _named_in_connection(received) | _HOP_BY_HOP | _OF_THE_UPSTREAMS_HOST
    return [
        (name, value)
        for name, value in received
        if name not in dropped
        and not name.startswith((_CORS, DECISION_PREFIX))
        and (secret is None or secret not in value)
    ]


def _named_in_connection(headers: Iterable[Header]) -> frozenset[bytes]:
    values = (value for name, value in headers if name == b"connection")
    return frozenset(token.strip().lower() for value in values for token in value.split(b","))


def _that_can_be_read(accepted: str) -> str:
    """Return the encodings that a client accepts, without those that this service cannot read."""
    each = (encoding.strip() for encoding in accepted.split(","))
    readable = [one for one in each if one.partition(";")[0].strip().lower() in _ENCODINGS_THAT_CAN_BE_READ]
    return ", ".join(readable) or "identity"


def _text(value: bytes) -> str:
    """Return what is written as these bytes again, because headers are sent in UTF-8."""
    return value.decode("utf-8", "replace")
