"""Words and word n-grams counted from tokens: TF-IDF as a sparse matrix, and plain counts of frequent words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.errors import ParameterError
from prompt_oirl.features.tokens import NUMBER_TERM, Tokens, is_number, is_word, sorted_distinct

__all__ = ["NGramWeights", "WordCounts"]

_OTHER = 0
"""The code of every word that is not in the vocabulary, where the others take part."""

_SKIPPED, _UNKNOWN = -2, -1
_MARKS = "$%?"
"""Marks that are words to a kernel: what is asked, and in which unit."""


class NGramWeights(BaseEstimator):  # type: ignore[misc]
    """Weigh the n-grams of each text: (1 + ln count) · (ln((1 + n) / (1 + document frequency)) + 1), length one.

    Numbers are one word, some marks are words, the others are passed over. With `n_frequent` set, all but the most
    frequent words become one: what is left is the text's skeleton ("x had 0 x how many x are left ?").

    Args:
        n_max: Words of the longest n-grams.
        min_df: N-grams in fewer training texts are left out, unless that would leave none.
        n_frequent: How many words are told apart; all of them if None.
        sublinear: Whether a count weighs by its logarithm; else the count itself.
        marks: The marks that are words.
    """

    vocabulary_: dict[str, int]
    """Code of each word, from 1."""

    terms_: IntArray
    """(n_terms,) the kept n-grams, ascending: the codes of their words as digits to the base of two more than words."""

    idf_: np.ndarray[tuple[int], np.dtype[np.float32]]
    """(n_terms,) inverse document frequencies."""

    def __init__(
        self,
        n_max: int = 2,
        *,
        min_df: int = 2,
        n_frequent: int | None = None,
        sublinear: bool = True,
        marks: str = _MARKS,
    ) -> None:
        self.n_max = n_max
        self.min_df = min_df
        self.n_frequent = n_frequent
        self.sublinear = sublinear
        self.marks = marks

    def fit(self, tokens: Tokens) -> Self:
        """Learn the words, the n-grams and their frequencies.

        Raises:
            ParameterError: N-grams of that length over so many words cannot be numbered.
        """
        self.vocabulary_ = {
            word: code for code, word in enumerate(sorted(_words(tokens, self.n_frequent, self.marks)), start=1)
        }
        if self.base**self.n_max > np.iinfo(np.int64).max:
            raise ParameterError(
                f"n_max={self.n_max} over {len(self.vocabulary_)} words is too many n-grams; set n_frequent, or n_max=2"
            )
        text, term = self._occurrences(tokens)
        terms, index = np.unique(term, return_inverse=True)
        in_texts = sorted_distinct(index * tokens.n_texts + text)
        frequency = np.bincount(in_texts // max(tokens.n_texts, 1), minlength=len(terms))
        kept = frequency >= self.min_df if (frequency >= self.min_df).any() else np.ones(len(terms), dtype=bool)
        self.terms_ = terms[kept]
        self.idf_ = (np.log((1 + tokens.n_texts) / (1 + frequency[kept])) + 1).astype(np.float32)
        return self

    def transform(self, tokens: Tokens) -> csr_matrix:
        """Return (n_texts, n_terms) float32 weights; a text without a known n-gram is a row of zeros."""
        text, term = self._occurrences(tokens)
        column = np.minimum(np.searchsorted(self.terms_, term), max(len(self.terms_) - 1, 0))
        known = self.terms_[column] == term if len(self.terms_) else np.zeros(len(term), dtype=bool)
        shape = (tokens.n_texts, len(self.terms_))
        weights = csr_matrix((np.ones(known.sum(), np.float32), (text[known], column[known])), shape=shape)
        weights.sum_duplicates()
        counts = 1 + np.log(weights.data) if self.sublinear else weights.data
        weights.data = counts * self.idf_[weights.indices]
        square_sums = np.bincount(np.repeat(np.arange(shape[0]), np.diff(weights.indptr)), weights.data**2, shape[0])
        weights.data /= np.repeat(np.sqrt(square_sums), np.diff(weights.indptr)).astype(np.float32)
        return weights

    @property
    def base(self) -> int:
        """What the digits of an n-gram's number are to the base of."""
        return len(self.vocabulary_) + 2

    def digit(self, form: str, *, unknown: int) -> int | None:
        """Return the digit of a token in the numbers of n-grams, `unknown` for an unknown word, None if passed over."""
        code = self._code(form)
        return None if code == _SKIPPED else unknown if code == _UNKNOWN else code + 1

    def _occurrences(self, tokens: Tokens) -> tuple[IntArray, IntArray]:
        """Return (n,) text and (n,) number of every occurrence of an n-gram."""
        code_of_form = np.array([self._code(form) for form in tokens.forms], dtype=np.int64)
        code = code_of_form[tokens.form]
        text, code = tokens.text[code != _SKIPPED], code[code != _SKIPPED]
        found = list(self._n_grams(text, code))
        return np.concatenate([each[0] for each in found]), np.concatenate([each[1] for each in found])

    def _n_grams(self, text: IntArray, code: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
        number, is_whole = code + 1, code != _UNKNOWN
        yield text[is_whole], number[is_whole]
        for n in range(2, self.n_max + 1):
            n_starts = max(len(code) - n + 1, 0)
            last = slice(n - 1, n - 1 + n_starts)
            number = number[:n_starts] * self.base + code[last] + 1
            is_whole = is_whole[:n_starts] & (code[last] != _UNKNOWN) & (text[:n_starts] == text[last])
            yield text[:n_starts][is_whole], number[is_whole]

    def _code(self, form: str) -> int:
        word = _word(form, self.marks)
        if word is None:
            return _SKIPPED
        return self.vocabulary_.get(word, _UNKNOWN if self.n_frequent is None else _OTHER)


class WordCounts(BaseEstimator):  # type: ignore[misc]
    """Count the most frequent words in each text and in its last sentence: how it is built, not what it is about.

    Args:
        n_words: How many words are counted; those in the most training texts.
        cap: Counts above it are taken for it.
    """

    vocabulary_: dict[str, int]
    """Column of each word."""

    def __init__(self, n_words: int = 100, *, cap: int = 2) -> None:
        self.n_words = n_words
        self.cap = cap

    def fit(self, tokens: Tokens) -> Self:
        """Learn which words are the most frequent."""
        self.vocabulary_ = {word: column for column, word in enumerate(_words(tokens, self.n_words, _MARKS))}
        return self

    def transform(self, tokens: Tokens) -> FloatArray:
        """Return (n_texts, 2 · n_words) counts: in the text, then in its last sentence."""
        in_last = tokens.select(tokens.last_sentence())
        return np.hstack([np.minimum(self._count(part), self.cap) for part in (tokens, in_last)]).astype(np.float64)

    def column(self, form: str) -> int:
        """Return the column that a token counts in, -1 if in none."""
        return self.vocabulary_.get(_word(form, _MARKS) or "", -1)

    def _count(self, tokens: Tokens) -> IntArray:
        n_words = len(self.vocabulary_)
        of_form = np.array([self.column(form) for form in tokens.forms], dtype=np.int64)
        column = of_form[tokens.form]
        cells = (tokens.text * n_words + column)[column >= 0]
        return np.bincount(cells, minlength=tokens.n_texts * n_words).reshape(tokens.n_texts, n_words)


def _words(tokens: Tokens, n_frequent: int | None, marks: str) -> list[str]:
    """Return the words of the texts; if there is a limit, those in the most texts, the most frequent first."""
    words = [_word(form, marks) for form in tokens.forms]
    if n_frequent is None:
        return list(set(filter(None, words)))
    numbers: dict[str, int] = {}
    codes = [-1 if word is None else numbers.setdefault(word, len(numbers)) for word in words]
    of_form = np.array(codes, dtype=np.int64)
    code = of_form[tokens.form]
    pairs = sorted_distinct(code[code >= 0] * tokens.n_texts + tokens.text[code >= 0])
    frequency = np.bincount(pairs // max(tokens.n_texts, 1), minlength=len(numbers))
    return sorted(numbers, key=lambda word: (-frequency[numbers[word]], word))[:n_frequent]


def _word(form: str, marks: str) -> str | None:
    """Return the word that a token counts as, None for a mark that is passed over."""
    if is_number(form):
        return NUMBER_TERM
    if is_word(form):
        return form.lower()
    mark = form.strip()
    return mark if mark in marks else None
