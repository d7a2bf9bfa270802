"""The key of a server: read from the environment, and removed from whatever is kept or raised."""

from __future__ import annotations

import base64
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote, quote_plus

from prompt_oirl.errors import ParameterError

__all__ = ["PLACEHOLDER", "read_key", "redact", "redactor"]

PLACEHOLDER = "none"
"""Sent to servers that need no key, because the protocol wants one."""

_REMOVED = "[redacted]"
_LIKE_KEYS = (
    r"bearer\s+[^\s\"',;}\\]+",
    r"\b(?:sk|rk|gsk|hf|xai|nvapi)[-_][\w*.-]{8,}",
    r"\bAIza[\w-]{10,}",
    r"(?<=://)[^/\s@]+(?=@)",
)
_SHORTEST_BASE64 = 8
"""Characters; shorter pieces occur in ordinary text."""


def read_key(variable: str, *, is_needed: bool) -> str:
    """Return the key that the environment variable holds: the one place of `collect` that reads the environment.

    Args:
        variable: Its name.
        is_needed: Whether the server surely wants one; otherwise a placeholder stands for a key that is not there.

    Raises:
        ParameterError: A key is needed and there is none, or it cannot be sent. The message does not show it.
    """
    # The value gets no name here, so that no traceback that shows local variables can show it.
    if is_needed and not _value(variable):
        raise ParameterError(f"no key: set ${variable} in the environment to a key for this server")
    if not _is_sendable(_value(variable)):
        raise ParameterError(
            f"the key in ${variable} has a space, a line break or a character outside ASCII in it, so it cannot be "
            "sent; set the variable to the key alone"
        )
    return _value(variable) or PLACEHOLDER


def redact(text: str, secrets: Iterable[str]) -> str:
    """Return the text without the secrets, however encoded, and without what looks like one."""
    return redactor(secrets)(text)


def redactor(secrets: Iterable[str]) -> Callable[[str], str]:
    """Return a function that removes the secrets, and whose repr does not show them."""
    forms = {form for secret in secrets if secret for form in _forms(secret)}
    longest_first = [re.escape(form) for form in sorted(forms, key=len, reverse=True)]
    pattern = re.compile("|".join((*longest_first, *_LIKE_KEYS)), re.IGNORECASE)

    def redact(text: str) -> str:
        return pattern.sub(_REMOVED, text)

    return redact


def _value(variable: str) -> str:
    return os.environ.get(variable, "") if os.environ.get(variable, "").strip() else ""


def _is_sendable(key: str) -> bool:
    return key.isascii() and key.isprintable() and " " not in key


def _forms(secret: str) -> Iterator[str]:
    yield from (secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1])
    for offset in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            if len(form := _inside_base64(secret.encode(), offset, encode)) >= _SHORTEST_BASE64:
                yield form


def _inside_base64(secret: bytes, offset: int, encode: Callable[[bytes], bytes]) -> str:
    """Return the characters that `secret` alone decides where it stands `offset` bytes into what is encoded."""
    encoded = encode(bytes(offset) + secret).decode()
    return encoded[math.ceil(offset * 8 / 6) : (offset + len(secret)) * 8 // 6]
