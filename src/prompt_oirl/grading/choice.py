"""A grader for multiple choice: which letter an answer settles on."""

from __future__ import annotations

import re
from dataclasses import dataclass

from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.grading.plain_text import boxed
from prompt_oirl.grading.protocol import Grade

__all__ = ["ChoiceGrader"]

_EMPHASIS = re.compile(r"[*_`$]|\\(?:text|textbf|mathrm|mathbf)\b|[{}]")


@dataclass(frozen=True, slots=True)
class ChoiceGrader:
    r"""Compare the letter of the choice that the answer settles on with the gold one.

    The first of these decides: the last `\boxed{B}`; the last of "the answer is (B)", "Answer: B", "the correct option
    is B"; one letter and no other among those in brackets, after "option" or "choice", at the start of a line
    ("B. Paris") and as the last word. An answer that settles on none is UNPARSED. Case is ignored, but within a
    sentence a bare "a" is a word and the last word must be a capital.

    Raises:
        ParameterError: There are fewer than two letters, or something else than distinct capital letters.
    """

    letters: str = "ABCDE"
    """The capital letters that a choice may have."""

    def __post_init__(self) -> None:
        if not re.fullmatch("[A-Z]{2,}", self.letters) or len(set(self.letters)) < len(self.letters):
            raise ParameterError(f"letters={self.letters!r}: distinct capital letters are needed, such as 'ABCD'")

    def grade(self, answer: str, gold: str) -> Grade:
        """Grade one answer; one that settles on no letter is UNPARSED.

        Raises:
            DataError: The gold answer names no choice.
        """
        of_gold = self._read(gold)
        if of_gold is None:
            raise DataError(
                f"the gold answer {gold[:80]!r} names none of the choices {', '.join(self.letters)}; "
                "use the grader 'exact', or ChoiceGrader with other letters"
            )
        of_answer = self._read(answer)
        return Grade.UNPARSED if of_answer is None else Grade.of(of_answer == of_gold)

    def _read(self, text: str) -> str | None:
        for part in reversed(boxed(text)):
            if letter := self._settled(_EMPHASIS.sub("", part)):
                return letter
        return self._settled(_EMPHASIS.sub("", text).strip())

    def _settled(self, text: str) -> str | None:
        declared: list[str] = re.findall(self._declaration, text)
        if declared:
            return declared[-1].upper()
        mentioned: set[str] = {letter.upper() for pattern in self._mentions for letter in re.findall(pattern, text)}
        return mentioned.pop() if len(mentioned) == 1 else None

    @property
    def _any_case(self) -> str:
        return f"[{self.letters}{self.letters.lower()}]"

    @property
    def _declaration(self) -> str:
        stated = r"(?i:\banswer(?:\s+(?:is|would\s+be|should\s+be|must\s+be))?|\b(?:option|choice)(?:\s+is|(?=\s*:)))"
        return rf"{stated}\s*[:=]?\s*(?i:option|choice)?\s*[(\[]?(?!a\s+[a-z])({self._any_case})(?![\w'’])"

    @property
    def _mentions(self) -> tuple[str, ...]:
        one = self._any_case
        return (
            rf"[(\[]\s?({one})\s?[)\]]",
            rf"\b(?i:option|choice)\s+({one})(?![\w'’])",
            rf"(?m)^\s*({one})(?=\s*$|\s?[.):;]|,\s[a-z]{{2}}|\s-)",
            rf"(?<!\bnot )(?<!\band )(?<!\bor )(?<!, )\b([{self.letters}])\W*\Z",
        )
