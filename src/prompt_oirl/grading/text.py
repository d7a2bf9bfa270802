"""Graders that compare texts: the whole answer, or what a regular expression finds in it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.grading.protocol import Grade

__all__ = ["ExactGrader", "RegexGrader"]


@dataclass(frozen=True, slots=True)
class ExactGrader:
    """Compare the whole answer with the gold one, white space around them aside; a blank answer is UNPARSED."""

    folded: bool = False
    """Whether case is ignored and every run of white space counts as one space."""

    def grade(self, answer: str, gold: str) -> Grade:
        """Grade one answer.

        Raises:
            DataError: The gold answer is blank.
        """
        if not gold.strip():
            raise DataError(f"the gold answer {gold!r} is blank; fill it in or drop the row")
        if not answer.strip():
            return Grade.UNPARSED
        return Grade.of(self._compared(answer) == self._compared(gold))

    def _compared(self, text: str) -> str:
        return " ".join(text.casefold().split()) if self.folded else text.strip()


@dataclass(frozen=True, slots=True)
class RegexGrader:
    """Compare what a regular expression finds in the answer with the gold answer.

    The last match counts: its first group, or all of it where the pattern has no group. An answer without a match is
    UNPARSED. A gold answer in which the pattern matches is read the same way, any other is taken whole.

    Raises:
        ParameterError: The pattern is empty or no regular expression.
    """

    pattern: str
    """A regular expression in Python's notation."""

    def __post_init__(self) -> None:
        if not self.pattern:
            raise ParameterError("regex: an empty pattern finds nothing; write the pattern after the colon")
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ParameterError(f"{self.pattern!r} is no regular expression: {error}") from error

    def grade(self, answer: str, gold: str) -> Grade:
        """Grade one answer.

        Raises:
            DataError: The gold answer is blank.
        """
        if not gold.strip():
            raise DataError(f"the gold answer {gold!r} is blank; fill it in or drop the row")
        found = self._last_match(answer)
        if found is None:
            return Grade.UNPARSED
        of_gold = self._last_match(gold)
        return Grade.of(found == (gold.strip() if of_gold is None else of_gold))

    def _last_match(self, text: str) -> str | None:
        matches = list(re.finditer(self.pattern, text))
        if not matches:
            return None
        last = matches[-1]
        found = last[1] if last.re.groups else last[0]
        return None if found is None else found.strip()
