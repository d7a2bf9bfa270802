"""TF-IDF of words and word pairs, projected on its leading directions: latent semantic analysis on plain arrays."""

from __future__ import annotations

from typing import Self

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator
from sklearn.utils.extmath import randomized_svd

from prompt_oirl.arrays import BoolArray, FloatArray, IntArray
from prompt_oirl.features.threads import one_blas_thread
from prompt_oirl.features.tokens import NUMBER_TERM, Tokens, is_number, is_word, sorted_distinct

__all__ = ["TermProjection"]


class TermProjection(BaseEstimator):  # type: ignore[misc]
    """Project the TF-IDF of words and adjacent word pairs, numbers folded into one word, on its leading directions.

    Counts times ln((1 + n) / (1 + document frequency)) + 1, each text scaled to length one, then a truncated singular
    value decomposition. A text without a known term is all zeros.

    Args:
        n_components: Number of directions; fewer where the texts or the terms are fewer.
        min_df: Terms in fewer training texts are left out, unless that would leave none.
        seed: Of the randomised decomposition.
    """

    vocabulary_: dict[str, int]
    """Index of each word that is in some kept term."""

    terms_: IntArray
    """(n_terms,) the kept terms, ascending: a word's index, or for a pair (first + 1) · n_words + second."""

    idf_: FloatArray
    """(n_terms,) inverse document frequencies."""

    components_: FloatArray
    """(n_terms, n_components) directions."""

    def __init__(self, n_components: int = 100, *, min_df: int = 2, seed: int = 0) -> None:
        self.n_components = n_components
        self.min_df = min_df
        self.seed = seed

    def fit(self, tokens: Tokens) -> Self:
        """Learn the terms, their frequencies and the directions."""
        self.vocabulary_ = {word: i for i, word in enumerate(sorted(set(filter(None, map(_word, tokens.forms)))))}
        text, term = self._occurrences(tokens)
        in_texts = sorted_distinct(term * tokens.n_texts + text) // max(tokens.n_texts, 1)
        terms = sorted_distinct(in_texts)
        frequency = np.diff(np.searchsorted(in_texts, np.append(terms, np.iinfo(np.int64).max)))
        kept = frequency >= self.min_df if (frequency >= self.min_df).any() else np.ones(len(terms), dtype=bool)
        self.terms_ = terms[kept]
        self.idf_ = np.log((1 + tokens.n_texts) / (1 + frequency[kept])) + 1
        self.components_ = self._directions(self._weigh(text, term, tokens.n_texts))
        return self

    def transform(self, tokens: Tokens) -> FloatArray:
        """Return (n_texts, n_components) the texts' coordinates."""
        coordinates: FloatArray = self._weigh(*self._occurrences(tokens), tokens.n_texts) @ self.components_
        return coordinates

    def _occurrences(self, tokens: Tokens) -> tuple[IntArray, IntArray]:
        """Return (n,) text and (n,) term code of every occurrence of a word or pair, unknown words left out."""
        code_of_form = np.array([_code(form, self.vocabulary_) for form in tokens.forms], dtype=np.int64)
        code = code_of_form[tokens.form]
        text, code = tokens.text[code != _MARK], code[code != _MARK]
        paired: BoolArray = (text[1:] == text[:-1]) & (code[1:] >= 0) & (code[:-1] >= 0)
        pair = (code[:-1][paired] + 1) * len(self.vocabulary_) + code[1:][paired]
        known = code >= 0
        return np.append(text[known], text[1:][paired]), np.append(code[known], pair)

    def _weigh(self, text: IntArray, term: IntArray, n_texts: int) -> csr_matrix:
        """Return (n_texts, n_terms) the TF-IDF matrix with rows of length one."""
        if not len(self.terms_):
            return csr_matrix((n_texts, 0))
        column = np.minimum(np.searchsorted(self.terms_, term), len(self.terms_) - 1)
        known = self.terms_[column] == term
        cells = (text[known], column[known])
        weights = csr_matrix((self.idf_[cells[1]], cells), shape=(n_texts, len(self.terms_)))
        norm = np.sqrt(weights.multiply(weights).sum(axis=1).A1)
        weights.data /= np.repeat(norm, np.diff(weights.indptr))
        return weights

    def _directions(self, weights: csr_matrix) -> FloatArray:
        rank = min(self.n_components, *weights.shape)
        if rank < 1:
            return np.zeros((weights.shape[1], 0))
        with one_blas_thread():
            *_, components = randomized_svd(weights.astype(np.float32), rank, n_iter=4, random_state=self.seed)
        return np.ascontiguousarray(components.T, dtype=np.float64)


_UNKNOWN, _MARK = -1, -2


def _word(form: str) -> str | None:
    """Return the word of the vocabulary that a token stands for, None for a mark."""
    if is_number(form):
        return NUMBER_TERM
    return form.lower() if is_word(form) else None


def _code(form: str, vocabulary: dict[str, int]) -> int:
    word = _word(form)
    return _MARK if word is None else vocabulary.get(word, _UNKNOWN)
