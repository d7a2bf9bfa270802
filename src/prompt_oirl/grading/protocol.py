"""What a grader is: an answer and its gold answer in, correct, wrong or unparsed out."""

from __future__ import annotations

import enum
from typing import Literal, Protocol, runtime_checkable

__all__ = ["Grade", "Grader"]


class Grade(enum.Enum):
    """What an answer is worth; an answer that cannot be read is neither right nor wrong."""

    CORRECT = "correct"
    WRONG = "wrong"
    UNPARSED = "unparsed"

    @property
    def reward(self) -> Literal[0, 1] | None:
        """1 for a correct answer, 0 for a wrong one, None for one that could not be read."""
        if self is Grade.UNPARSED:
            return None
        return 1 if self is Grade.CORRECT else 0

    @classmethod
    def of(cls, correct: bool) -> Grade:
        """Return CORRECT or WRONG."""
        return cls.CORRECT if correct else cls.WRONG


@runtime_checkable
class Grader(Protocol):
    """Compares an answer with the gold answer."""

    def grade(self, answer: str, gold: str) -> Grade:
        """Grade one answer.

        Raises:
            DataError: The gold answer cannot be read, so that no answer can be graded against it.
        """
        ...
