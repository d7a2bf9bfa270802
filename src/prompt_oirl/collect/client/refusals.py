"""Replies that no other call can fare better with: what they mean, and the way out."""

from __future__ import annotations

__all__ = ["way_out"]

_NO_ACCESS = "put a key that this server accepts for this model into ${variable}"
_NO_CREDIT = "there is no credit left: add credit or raise the limit at the provider, then run the same command again"
_NOT_THERE = (
    "if the model is unknown, name it as the server does (GET {base_url}/models lists the names); if the path is "
    "wrong, correct the address, which mostly ends in /v1"
)
_MOVED = "the server sends calls elsewhere ({location}): give that place as the address"


def way_out(status: int, *, code: str | None, location: str, base_url: str, variable: str) -> str | None:
    """Return what the user can do about a reply that ends the run; None where the reply concerns one call only.

    Args:
        status: HTTP status of the reply.
        code: The error's code in the body.
        location: Where a redirection leads.
        base_url: Address of the server.
        variable: The environment variable that holds the key.
    """
    if status in (401, 403):
        return _NO_ACCESS.format(variable=variable)
    if status == 402 or code == "insufficient_quota":
        return _NO_CREDIT
    if status in (404, 405) or code == "model_not_found":
        return _NOT_THERE.format(base_url=base_url)
    return _MOVED.format(location=location) if 300 <= status < 400 else None
