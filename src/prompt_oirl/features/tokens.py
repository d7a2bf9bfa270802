"""One pass over the texts: words, numbers and marks as index arrays, from which all lexical features are counted."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Self

import numpy as np

from prompt_oirl.arrays import BoolArray, IntArray

__all__ = [
    "NUMBER_TERM",
    "STOPS",
    "TITLES",
    "Tokens",
    "is_number",
    "is_word",
    "sorted_distinct",
    "tokenize",
    "without_space",
    "written_tokens",
]

NUMBER_TERM = "0"
"""What every number becomes in a vocabulary."""

# Taking the space before a token along, and trying ASCII letters first, halves the time of a scan.
_TOKEN = re.compile(
    r"""\s?(?:
        [a-zA-Z]+[^\W\d_]*(?:['’][^\W\d_]+)*
        | \d+(?:[.,]\d+)*
        | \.\d+
        | [^\W\d_]+(?:['’][^\W\d_]+)*
        | [^\w\s]
    )""",
    re.VERBOSE,
)
TITLES = frozenset({"mr", "mrs", "ms", "dr", "st", "no", "vs"})
"""Lower-cased words that a full stop may follow without ending the sentence."""

STOPS = ".?!"
"""Marks that end a sentence."""


def is_number(form: str) -> bool:
    """Return whether a token is a number: "12", "1,000", "8.0", ".5"."""
    return form[-1].isdecimal()


def is_word(form: str) -> bool:
    """Return whether a token is a word, not a number or a mark."""
    return form[0].isalnum() and not is_number(form)


def sorted_distinct(codes: IntArray) -> IntArray:
    """Return the distinct codes, ascending; several times as fast as `numpy.unique`, which hashes integers first."""
    ordered = np.sort(codes)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


@dataclass(frozen=True, eq=False)
class Tokens:
    """Texts as arrays of tokens: a token is the index of its form.

    Work that depends on the form alone (parsing a number, looking a word up) is done once per distinct form.
    """

    forms: tuple[str, ...]
    """The distinct tokens as written: words, numbers, and marks, a mark with the white space before it if any."""

    form: IntArray
    """(n_tokens,) index into `forms`."""

    text: IntArray
    """(n_tokens,) number of the text each token is in, ascending."""

    n_texts: int
    """How many texts there are, those without tokens included."""

    def forms_where(self, holds: Callable[[str], bool]) -> BoolArray:
        """Return (n_forms,) whether the predicate holds for each distinct form."""
        return np.fromiter(map(holds, self.forms), bool, len(self.forms))

    def where(self, holds: Callable[[str], bool]) -> BoolArray:
        """Return (n_tokens,) whether the predicate holds for each token's form."""
        return self.forms_where(holds)[self.form]

    def select(self, kept: BoolArray) -> Self:
        """Return the tokens where `kept` (n_tokens,) is true, of the same texts."""
        return type(self)(self.forms, self.form[kept], self.text[kept], self.n_texts)

    def count(self, kept: BoolArray) -> IntArray:
        """Return (n_texts,) how many tokens of each text are `kept` (n_tokens,)."""
        return np.bincount(self.text[kept], minlength=self.n_texts)

    def sentence_ends(self) -> BoolArray:
        """Return (n_tokens,) whether a token ends a sentence that another follows in the same text.

        A full stop after a title ("Mr. Smith") ends none, and of "?!" only the last mark does.
        """
        stop = self.where(lambda form: form[-1] in STOPS)
        after_title = np.zeros_like(stop)
        after_title[1:] = self.where(lambda form: form.lower() in TITLES)[:-1] & (self.text[1:] == self.text[:-1])
        before_stop = np.zeros_like(stop)
        before_stop[:-1] = stop[1:]
        last_content = np.full(self.n_texts, -1)
        content = np.flatnonzero(self.where(lambda form: form[-1].isalnum()))
        last_content[self.text[content]] = content
        return stop & ~after_title & ~before_stop & (np.arange(len(stop)) < last_content[self.text])

    def last_sentence(self) -> BoolArray:
        """Return (n_tokens,) whether a token is in the last sentence of its text: what a word problem asks."""
        start = np.zeros(self.n_texts, dtype=np.int64)
        ends = np.flatnonzero(self.sentence_ends())
        start[self.text[ends]] = ends + 1
        inside: BoolArray = np.arange(len(self.text)) >= start[self.text]
        return inside


def written_tokens(text: str) -> list[str]:
    """Split one text into words, numbers and marks, each with a white space before it if there is one."""
    return _TOKEN.findall(text)


def tokenize(texts: Sequence[str]) -> Tokens:
    """Split texts into words, numbers and marks."""
    found = [written_tokens(text) for text in texts]
    sizes = np.fromiter(map(len, found), np.int64, len(found))
    written = list(chain.from_iterable(found))
    index: dict[str, int] = {}
    index_of_written = {token: index.setdefault(without_space(token), len(index)) for token in dict.fromkeys(written)}
    return Tokens(
        forms=tuple(index),
        form=np.fromiter(map(index_of_written.__getitem__, written), np.int64, len(written)),
        text=np.repeat(np.arange(len(found)), sizes),
        n_texts=len(found),
    )


def without_space(token: str) -> str:
    """Return the token without the white space before it, which is kept for marks alone."""
    return token.lstrip() if token[-1].isalnum() else token
