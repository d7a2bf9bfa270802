"""A column of any text, the same for SQLite and PostgreSQL."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Dialect, Text, TypeDecorator

__all__ = ["AnyText"]

_ESCAPE = "\x1a"
_NOT_STORABLE = re.compile(f"[\0{_ESCAPE}\ud800-\udfff]")
_ESCAPED = re.compile(f"{_ESCAPE}([0-9a-f]{{4}})")


class AnyText(TypeDecorator[str]):
    """Any text of Python's, exactly.

    PostgreSQL holds no NUL, neither database half a surrogate pair, and a JSON answer may have both. Such a character
    is written as U+001A (substitute) and four hexadecimal digits, and so is U+001A itself.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Return what the database holds for a text."""
        text: str | None = value
        if text is None or not _NOT_STORABLE.search(text):
            return text
        return _NOT_STORABLE.sub(lambda match: f"{_ESCAPE}{ord(match[0]):04x}", text)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Return the text that the database holds something for."""
        if value is None or _ESCAPE not in value:
            return value
        return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), value)
