"""The n-grams and the frequent words of one text, looked up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.features.ngrams import NGramWeights, WordCounts
from prompt_oirl.features.one_text.memo import Memo
from prompt_oirl.features.one_text.text import OneText
from prompt_oirl.features.tokens import without_space

__all__ = ["CountLookup", "TermLookup", "WeightedTerms"]


@dataclass(frozen=True, eq=False)
class WeightedTerms:
    """The known terms of one text: a sparse row."""

    columns: IntArray
    """(n,) distinct columns, in no order."""

    weights: FloatArray
    """(n,) float32, of length one."""


class TermLookup:
    """Weighs the n-grams of one text as a fitted `NGramWeights` does.

    Args:
        weights: Fitted.
    """

    def __init__(self, weights: NGramWeights) -> None:
        self._n_max = weights.n_max
        self._is_sublinear = weights.sublinear
        self._idf = weights.idf_
        self._base = weights.base
        self._weights = weights
        self._column = dict(zip(weights.terms_.tolist(), range(len(weights.terms_)), strict=True))
        # An n-gram with an unknown word is to have a number below zero, which no term has.
        self._unknown = -(self._base**self._n_max)
        self._digit: Memo[int | None] = Memo(self._find_digit)

    def weigh(self, written: Sequence[str]) -> WeightedTerms:
        """Return the weights of the n-grams of tokens as written."""
        counts = Counter(map(self._column.get, self._n_grams(written)))
        counts.pop(None, None)
        columns = np.fromiter(counts, np.int64, len(counts))
        count = np.fromiter(counts.values(), np.float32, len(counts))
        weights = (1 + np.log(count) if self._is_sublinear else count) * self._idf[columns]
        return WeightedTerms(columns, weights / np.sqrt(weights @ weights) if len(weights) else weights)

    def _find_digit(self, token: str) -> int | None:
        return self._weights.digit(without_space(token), unknown=self._unknown)

    def _n_grams(self, written: Sequence[str]) -> list[int]:
        digits = [digit for digit in map(self._digit.__getitem__, written) if digit is not None]
        n_grams, numbers, base = digits.copy(), digits, self._base
        for n in range(2, self._n_max + 1):
            numbers = [number * base + digit for number, digit in zip(numbers, digits[n - 1 :], strict=False)]
            n_grams += numbers
        return n_grams


class CountLookup:
    """Counts the frequent words of one text, and of its last sentence, as a fitted `WordCounts` does.

    Args:
        counts: Fitted.
    """

    def __init__(self, counts: WordCounts) -> None:
        self._counted = counts
        self._column: Memo[int] = Memo(self._find_column)

    def count(self, text: OneText) -> FloatArray:
        """Return (2 · n_words,) counts."""
        columns = list(map(self._column.__getitem__, text.written))
        counts = [self._counts(part) for part in (columns, columns[text.last_sentence :])]
        capped: FloatArray = np.minimum(np.concatenate(counts), self._counted.cap)
        return capped

    def _find_column(self, token: str) -> int:
        return self._counted.column(without_space(token))

    def _counts(self, columns: list[int]) -> IntArray:
        """Return (n_words,) how often each column occurs; -1 is the column of words that are not counted."""
        return np.bincount(np.array(columns, np.int64) + 1, minlength=len(self._counted.vocabulary_) + 1)[1:]
