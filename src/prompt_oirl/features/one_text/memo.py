"""What was found out about a token, kept for the next text that has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Memo"]

Value = TypeVar("Value")

_MOST_TOKENS = 1 << 14
_LONGEST_TOKEN = 40


class Memo(dict[str, Value], Generic[Value]):
    """Make the value of a token when it is first asked for; forget all when there are too many. Threads may share it.

    Args:
        make: Returns the value of a token.
    """

    def __init__(self, make: Callable[[str], Value]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, token: str) -> Value:
        """Return the value, and keep it unless the token is so long that it will hardly come again."""
        value = self._make(token)
        if len(token) <= _LONGEST_TOKEN:
            if len(self) >= _MOST_TOKENS:
                self.clear()
            self[token] = value
        return value
