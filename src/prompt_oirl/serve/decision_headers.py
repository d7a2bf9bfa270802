"""Headers of an answer that tell the client what was decided."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import quote

from prompt_oirl.serve.decision import Decision

__all__ = ["DECISION_PREFIX", "Header", "decision_headers", "untouched_headers"]

Header = tuple[bytes, bytes]
"""A name in lower case and a value, as ASGI has them."""

DECISION_PREFIX = b"x-prompt-oirl-"


def decision_headers(decision: Decision) -> list[Header]:
    """Return the headers that tell a client what was decided; a prompt's id is percent-encoded."""
    told = {
        b"decision": decision.id,
        b"prompt": _encoded(decision.prompt_id),
        b"score": None if decision.score is None else repr(float(decision.score)),
        b"propensity": repr(float(decision.propensity)),
        b"recommender": _encoded(decision.recommender),
        b"choice": decision.choice,
    }
    return [(DECISION_PREFIX + name, value.encode("ascii")) for name, value in told.items() if value is not None]


def untouched_headers(reason: str) -> list[Header]:
    """Return the headers that tell a client that no prompt was put in, and why."""
    return [(DECISION_PREFIX + b"choice", b"untouched"), (DECISION_PREFIX + b"reason", reason.encode("ascii"))]


@lru_cache(maxsize=10_000)
def _encoded(text: str) -> str:
    return quote(text, safe="")
