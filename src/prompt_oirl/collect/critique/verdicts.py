"""Read what an LLM thinks of an answer: a verdict and the probability that the answer is correct.

Where both are given they are kept as they stand, even where they disagree. Where one is missing it follows from the
other: a verdict alone counts as certain, probability 1 or 0, and a probability of at least one half is the verdict
"correct". A verdict that cannot be read ("partially correct") counts as missing. A probability that is given but cannot
be read (over 100 %, negative, a range, a word) makes the reply unparsed, because it is what choices rest on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from prompt_oirl.errors import ParameterError

__all__ = ["Verdict", "read_verdict"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a critique says about an answer.

    Raises:
        ParameterError: The probability is outside 0 to 1.
    """

    is_correct: bool

    probability: float
    """That the answer is correct, as the critique states it."""

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise ParameterError(f"probability={self.probability}: a number from 0 to 1 is needed")

    @property
    def is_contradictory(self) -> bool:
        """Whether the verdict is one thing and the probability says another."""
        return self.probability < 0.5 if self.is_correct else self.probability > 0.5


_DECORATION = re.compile(r"\\boxed|[*_`#<>|\"“”{}\[\]$\\]")

_YES = r"(?:correct|right|true|yes|valid|accurate)"
_NO = r"(?:incorrect|wrong|false|no|invalid|inaccurate|(?:not|isn.t)\s+(?:correct|right|true|valid|accurate))"
_WORD = rf"(?:(?P<no>{_NO})|(?P<yes>{_YES}))\b(?!\s*(?:/|,?\s*or\b)?\s*(?:{_YES}|{_NO})\b)"
"""A verdict, but not the choice of two that the form offers."""
_VERDICTS = (
    re.compile(
        rf"\b(?:verdict|judge?ment|assessment|correct)\b[^:=\n]{{0,20}}[:=]\W{{0,20}}(?:the answer is\s+)?{_WORD}"
    ),
    re.compile(rf"(?:\A|\n)\W{{0,20}}{_WORD}(?=\s*(?:[.,;:!()–—-]|\d|\n|\Z|because\b|with\b))"),
    re.compile(rf"\b(?:answer|solution|response|result|it)(?:\s+is\b|.s\b|(?=\s+isn.t))\s+(?:\w+ly\s+)?{_WORD}"),
)
"""In this order: a label, a line that starts with it, a sentence."""

_QUANTITY = r"(?<![\d.,-])(?P<number>(?>\d+(?:[.,]\d+)?|\.\d+))(?P<scale>(?:\s*(?:%|per\s?cent|(?:/|out of)\s*\d+))?+)"
_LABEL = re.compile(r"\b(?:probability|confidence|likelihood|certainty|chance)(?:\s+is\b|[^:=\n]{0,80}[:=])")
_LABELLED = re.compile(rf"\s{{0,20}}[^\d\n]{{0,20}}?{_QUANTITY}(?!\s*(?:-|–|—|to|and)\s*\.?\d)")
_PERCENTAGE = re.compile(rf"[^\d\n]*{_QUANTITY}(?<=[%t])[^\d\n]*")
_BARE = re.compile(rf"\W{{0,20}}(?:{_NO}|{_YES})?\W{{0,20}}{_QUANTITY}\W{{0,20}}")


def read_verdict(reply: str) -> Verdict | None:
    """Return what a critique says; None where it cannot be read.

    The last "Verdict: …" and the last "Probability: …" count. Without such a label the verdict is a line that starts
    with "correct", "false" or the like, else a sentence such as "the answer is wrong"; and the probability is the only
    number of the last line, if it is a percentage or if nothing but a verdict stands beside it. A number up to 1
    without a per cent sign is a fraction, one above is per cent; "9/10" and "9 out of 10" are divided.

    Args:
        reply: The LLM's whole reply; case and Markdown do not matter.
    """
    text = _DECORATION.sub(" ", reply).replace("\N{MINUS SIGN}", "-").replace("’", "'").casefold().strip()
    is_correct = _correctness(text)
    labels = list(_LABEL.finditer(text))
    last_line = text.rpartition("\n")[2]
    quantity = (
        _LABELLED.match(text, labels[-1].end())
        if labels
        else _PERCENTAGE.fullmatch(last_line) or _BARE.fullmatch(last_line)
    )
    if quantity is None:
        return None if labels or is_correct is None else Verdict(is_correct, float(is_correct))
    probability = _probability(quantity)
    if probability is None:
        return None
    return Verdict(probability >= 0.5 if is_correct is None else is_correct, probability)


def _correctness(text: str) -> bool | None:
    """Return the verdict of the first kind that there is one of, and the last of its kind."""
    found = next(filter(None, (list(pattern.finditer(text)) for pattern in _VERDICTS)), None)
    return None if found is None else found[-1]["yes"] is not None


def _probability(quantity: re.Match[str]) -> float | None:
    """Return a quantity as a fraction of 1, None where it is more."""
    number, scale = float(quantity["number"].replace(",", ".")), quantity["scale"]
    whole = re.search(r"\d+", scale)
    if whole:
        number = number / float(whole[0]) if float(whole[0]) else 2.0
    elif scale or number > 1:
        number /= 100
    return number if number <= 1 else None
