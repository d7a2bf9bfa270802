"""A grader made of any Python function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from prompt_oirl.errors import ParameterError
from prompt_oirl.grading.protocol import Grade

__all__ = ["CallableGrader"]


@dataclass(frozen=True, slots=True)
class CallableGrader:
    """Ask a function of (answer, gold): True for correct, False for wrong, None for unparsed, or a `Grade`."""

    function: Callable[[str, str], Grade | bool | None]

    def grade(self, answer: str, gold: str) -> Grade:
        """Grade one answer.

        Raises:
            ParameterError: The function returned something else.
        """
        result = self.function(answer, gold)
        if isinstance(result, Grade):
            return result
        if result is None:
            return Grade.UNPARSED
        if isinstance(result, (bool, np.bool_)):
            return Grade.of(bool(result))
        raise ParameterError(
            f"the grading function returned {result!r} for the answer {answer[:60]!r}; "
            "return True, False, None (unparsed) or a Grade"
        )
