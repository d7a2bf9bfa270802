"""The grader behind the released labels, kept as it is so that they can be reproduced."""

from __future__ import annotations

import re
from dataclasses import dataclass

from prompt_oirl.errors import DataError
from prompt_oirl.grading.protocol import Grade

__all__ = ["PublishedGrader"]

_NUMBER = re.compile(r"\d*\.?\d+")


@dataclass(frozen=True, slots=True)
class PublishedGrader:
    """Compare the last unsigned number of the answer with the last one of the gold answer.

    It reproduces every label of the release (holarissun/Prompt-OIRL at 6455701, `llama_step1_gen_offline.py`), with
    what is wrong in them: signs and thousands separators are lost, so "-5" equals 5 and "5,000" equals "1,000"; a
    number that comes after the answer is taken for it; and an answer without a number is wrong, never unparsed.
    """

    def grade(self, answer: str, gold: str) -> Grade:
        """Grade one answer as the release does.

        Raises:
            DataError: The gold answer has no number.
        """
        of_gold = _NUMBER.findall(gold)
        if not of_gold:
            raise DataError(f"the gold answer {gold[:80]!r} has no number; use the grader 'exact' or 'choice'")
        of_answer = _NUMBER.findall(answer)
        return Grade.of(bool(of_answer) and float(of_answer[-1]) == float(of_gold[-1]))
