r"""A grader for questions whose answer is a number: which of an answer's numbers is the answer, and is it the gold one.

The rules were chosen on the 16,000 recorded GSM8K answers of the release, by how often the number read is the gold one:
the last number of an answer is it 3,142 times, the number that these rules read 3,697 times. Most of the difference is
sentences such as "Gerald has $110 left after spending $100." They are rules of thumb: an answer that ends in "Dorothy
has 4 friends, and James has 16" is read as 4. Where it matters, ask the LLM for `\boxed{…}` or "The answer is …".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.grading.plain_text import boxed, plain_text
from prompt_oirl.grading.protocol import Grade
from prompt_oirl.grading.written_numbers import WrittenNumber, written_numbers

__all__ = ["NumericGrader", "read_number"]

_SENTENCE_END = re.compile(r"\n|(?<=[.!?])[\"')*]*\s+")
_PARENTHESES = re.compile(r"\([^()]*\)")
_LIST_MARKER = re.compile(r"^[ \t]*(\d{1,2})[.)](?=\s+\S)", re.MULTILINE)
_LABEL_NUMBER = re.compile(r"^(\W*[A-Za-z]+(?: [a-z]+)? )\d+(?=\s?:(?!\d))", re.MULTILINE)
_HASHES = re.compile(r"####(?! *\d+[.)] +\S)([^\n]*)")
_STATED = re.compile(
    r"(?<![\w-])answers?\b(?:\s+(?!is\b|are\b|was\b)[a-z']+){0,6}?\s+(?:is|are|was|be)\b(?P<colon>\s*:)?", re.I
)
_LABEL = re.compile(r"^\W*(?P<final>(?:the\s+)?final\s+)?(?:(?:the|my|our|correct)\s+)*answer\s*[:=]", re.I | re.M)
_LEADING_NUMBER = re.compile(
    r"[\s*_>]*(?:(?:about|approximately|exactly|only|just|negative)\s+)?[\s*_$€£¥₹(-]*\.?\d", re.I
)
_ANNOUNCED = re.compile(
    r"\b(?:(?:is|are|was|were|be|been|equals|costs?|pays?|paid)|for\s+a\s+total(?:\s+[a-z]+)?\s+of|altogether\s+[a-z]+(?:\s+[a-z]+)?)\s+"
    r"(?:(?:a|the|total|of|about|approximately|only|equal|to|exactly|just)\s+)*[$€£¥₹]?$",
    re.I,
)
_NOT = re.compile(r"\bnot\s+[$€£¥₹]?$", re.I)
_OPENING_CLAUSE = re.compile(
    r"\W*(?:(?:so|therefore|thus|hence|finally|now|then|and)\b,?\s*)*"
    r"(?:if|when|after|with|for|in|at|by|since|because|given|assuming|out of|as|on|over|to)\b(?:[^,]|,(?=\d))*,\s",
    re.I,
)
_REACH = 60
"""Characters before a number in which the words that announce it are looked for."""
_LONGEST_SENTENCE = 500
"""Characters after a declaration in which its number is looked for."""


def read_number(text: str) -> WrittenNumber | None:
    r"""Return the number that a text gives as its answer, None where there is none.

    The first of these that holds a number decides, and the last of its kind where there are several:

    1. `\boxed{…}`;
    2. what follows `####` on its line;
    3. "the answer is …", "Final answer: …", and "Answer: …" at the start of a line unless that label occurs more
       than once, as it does where sub-questions are answered;
    4. the last sentence with a number outside parentheses, so that "18 dollars. (3 steps)" is 18;
    5. the last sentence with a number in parentheses.

    Of several numbers in such a sentence it is the one after the last equals sign ("9 × $2 = $18 for 9 eggs"), else the
    last that "is", "equals", "costs" or "for a total of" announces ("the cost of 6 pens is $36"), else the first after
    an opening clause ("After 3 weeks, it grew 10 inches in all 4 pots"). What follows "not" is passed over, and so are
    the numbers of a numbered list and of labels such as "Step 3:".
    """
    plain = _LABEL_NUMBER.sub(r"\1•", _without_list_markers(plain_text(text)))
    sentences = _SENTENCE_END.split(plain)
    return (
        _first_number(plain_text(part) for part in reversed(boxed(text)))
        or _first_number(rest for rest in reversed(_HASHES.findall(plain)) if _LEADING_NUMBER.match(rest))
        or _first_number(reversed(_declarations(plain)))
        or _first_number(_without_parentheses(sentence) for sentence in reversed(sentences))
        or _first_number(reversed(sentences))
    )


def _first_number(sentences: Iterable[str]) -> WrittenNumber | None:
    """Return the number of the first sentence that has one."""
    return next(filter(None, map(_concluding_number, sentences)), None)


def _concluding_number(sentence: str) -> WrittenNumber | None:
    """Return the one of a sentence's numbers that it comes down to."""
    numbers = list(written_numbers(sentence))
    numbers = [number for number in numbers if not _follows(_NOT, sentence, number)] or numbers
    if len(numbers) < 2:
        return numbers[0] if numbers else None
    last_equals = sentence.rfind("=")
    opening = _OPENING_CLAUSE.match(sentence)
    return (
        next((number for number in numbers if 0 <= last_equals < number.start), None)
        or next((number for number in reversed(numbers) if _follows(_ANNOUNCED, sentence, number)), None)
        or next((number for number in numbers if opening and number.start >= opening.end()), None)
        or numbers[0]
    )


def _follows(words: re.Pattern[str], sentence: str, number: WrittenNumber) -> bool:
    return words.search(sentence[max(0, number.start - _REACH) : number.start]) is not None


def _declarations(text: str) -> list[str]:
    """Return what is said after "the answer is" and "Answer:", in order; after a colon a number must come first."""
    labels = list(_LABEL.finditer(text))
    labels = [label for label in labels if label["final"]] or (labels if len(labels) == 1 else [])
    starts = [(stated.end(), bool(stated["colon"])) for stated in _STATED.finditer(text)]
    starts += [(label.end(), True) for label in labels]
    return [
        _SENTENCE_END.split(rest, maxsplit=1)[0]
        for start, after_colon in sorted(starts)
        if (rest := text[start : start + _LONGEST_SENTENCE].lstrip())
        and (not after_colon or _LEADING_NUMBER.match(rest))
    ]


def _without_list_markers(text: str) -> str:
    """Make bullets of the numbers that start a line and have a neighbour of the sequence at the start of another."""
    numbers = {int(marker[1]) for marker in _LIST_MARKER.finditer(text)}

    def bullet(marker: re.Match[str]) -> str:
        number = int(marker[1])
        return "•" * len(marker[0]) if {number - 1, number + 1} & numbers else marker[0]

    return _LIST_MARKER.sub(bullet, text)


def _without_parentheses(text: str) -> str:
    return _PARENTHESES.sub(lambda match: " " * len(match[0]), text)


@dataclass(frozen=True, slots=True)
class NumericGrader:
    """Compare the number that the answer gives with the gold one; see `read_number` for which number that is.

    Signs, thousands separators, decimals, currencies, `%`, fractions, powers of ten and LaTeX are read; number words,
    roots, π and arithmetic are not. Whole numbers are equal only if all their digits are; other numbers if they differ
    by no more than the tolerance. A percentage or "2 million" equals both 2,000,000 and a bare 2.

    Raises:
        ParameterError: A tolerance is negative or not finite.
    """

    relative_tolerance: float = 1e-6
    """Of the larger of the two numbers."""

    absolute_tolerance: float = 1e-9
    """What is allowed close to zero."""

    def __post_init__(self) -> None:
        for name in ("relative_tolerance", "absolute_tolerance"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise ParameterError(f"{name}={value!r}: a finite number of at least 0 is needed")

    def grade(self, answer: str, gold: str) -> Grade:
        """Grade one answer; without a number that can be read it is UNPARSED.

        Raises:
            DataError: The gold answer has no number.
        """
        of_gold = read_number(gold)
        if of_gold is None:
            raise DataError(
                f"the gold answer {gold[:80]!r} has no number that can be read; use the grader 'exact' or 'choice'"
            )
        of_answer = read_number(answer)
        if of_answer is None:
            return Grade.UNPARSED
        tolerance = {"relative": Decimal(self.relative_tolerance), "absolute": Decimal(self.absolute_tolerance)}
        return Grade.of(of_answer.equals(of_gold, **tolerance))
