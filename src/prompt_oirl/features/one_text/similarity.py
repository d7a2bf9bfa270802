"""How alike one text is to many that are known beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg.blas import saxpy
from scipy.sparse import csr_matrix, vstack

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.features.one_text.surface import surface_of_one
from prompt_oirl.features.one_text.terms import CountLookup, TermLookup
from prompt_oirl.features.one_text.text import OneText
from prompt_oirl.features.similarity import TERM_SCALE, TextPoints, TextSimilarity

__all__ = ["SimilarityToTexts"]

_FREQUENT = 1 / 16
"""Terms in a larger share of the texts are kept as dense rows; they are most of what has to be added up."""


class SimilarityToTexts:
    """Computes `TextSimilarity.between` texts and many that are known beforehand.

    Args:
        similarity: Fitted.
        points: The known texts, in one or more parts.
    """

    def __init__(self, similarity: TextSimilarity, points: Sequence[TextPoints]) -> None:
        self._similarity = similarity
        self._reader = _Reader(similarity)
        self._terms = _TermIndex(vstack([part.terms for part in points]))
        form = np.vstack([part.form for part in points])
        # Distances have no origin. Most columns of a text have their median, often 0 times a word, and so add nothing.
        self._origin = np.partition(form, len(form) // 2, axis=0)[len(form) // 2]
        form -= self._origin
        self._squares = np.einsum("ij,ij->i", form, form)
        self._form = np.ascontiguousarray(form.T)

    def of_one(self, text: str) -> FloatArray:
        """Return (n_known,) float32 similarities, in the order of the points."""
        point = self._reader.read(text)
        form = point.form - self._origin
        columns = np.flatnonzero(form)
        exponents = -form @ form - self._squares
        _add_rows(exponents, self._form, columns, 2 * form[columns])
        return _product(exponents, self._terms.shared(point))

    def of_many(self, texts: Sequence[str], *, step: int) -> Iterator[FloatArray]:
        """Yield (at most `step`, n_known) float32 similarities, text after text."""
        points = self._similarity.points(texts)
        form = points.form - self._origin
        squares = np.einsum("ij,ij->i", form, form)[:, None]
        form *= 2
        frequent, rare = self._terms.split(points.terms)
        for start in range(0, len(points), step):
            rows = slice(start, start + step)
            exponents = form[rows] @ self._form
            exponents -= self._squares
            exponents -= squares[rows]
            yield _product(exponents, self._terms.shared_by_many(frequent[rows], rare[rows]))


def _product(exponents: FloatArray, shared: FloatArray) -> FloatArray:
    """Return the similarities from minus the squared distances, which are overwritten, and the shared terms."""
    np.minimum(exponents, 0, out=exponents)
    np.exp(exponents, out=exponents)
    exponents *= shared
    return exponents


def _add_rows(total: FloatArray, rows: FloatArray, chosen: IntArray, weights: FloatArray) -> None:
    """Add the chosen rows, weighted, to (n,) the total; gathering them for one product would take twice as long."""
    for row, weight in zip(chosen.tolist(), weights.tolist(), strict=True):
        saxpy(rows[row], total, a=weight)


@dataclass(frozen=True, eq=False)
class _Point:
    """One text where the kernel can compare it: a row of `TextPoints`."""

    columns: IntArray
    """(n,) of the terms that it has."""

    weights: FloatArray
    """(n,) float32 of these terms."""

    form: FloatArray
    """(n_statistics,) float32."""


class _Reader:
    def __init__(self, similarity: TextSimilarity) -> None:
        self._similarity = similarity
        self._words = TermLookup(similarity.words_)
        self._skeleton = TermLookup(similarity.skeleton_)
        self._n_words = len(similarity.words_.terms_)
        self._profile = CountLookup(similarity.profile_)

    def read(self, text: str) -> _Point:
        one = OneText.of(text)
        words, skeleton = self._words.weigh(one.written), self._skeleton.weigh(one.written)
        surface = self._similarity.surface_scaling_.apply(np.array(surface_of_one(one)))
        profile = self._similarity.profile_scaling_.apply(self._profile.count(one))
        return _Point(
            np.concatenate([words.columns, skeleton.columns + self._n_words]),
            np.concatenate([words.weights, skeleton.weights]) * TERM_SCALE,
            np.concatenate([surface, profile]).astype(np.float32),
        )


class _TermIndex:
    """The texts by term: the frequent terms as dense rows, the others as an inverted index.

    Args:
        terms: (n_texts, n_terms) weights.
    """

    def __init__(self, terms: csr_matrix) -> None:
        texts_of_term = terms.T.tocsr()
        self._n_texts = terms.shape[0]
        self._is_frequent = np.diff(texts_of_term.indptr) > _FREQUENT * self._n_texts
        self._row = np.where(self._is_frequent, np.cumsum(self._is_frequent), np.cumsum(~self._is_frequent)) - 1
        self._frequent = texts_of_term[np.flatnonzero(self._is_frequent)].toarray()
        self._rare = texts_of_term[np.flatnonzero(~self._is_frequent)]

    def split(self, terms: csr_matrix) -> tuple[FloatArray, csr_matrix]:
        """Return what texts have of the frequent terms, and of the others."""
        return terms[:, np.flatnonzero(self._is_frequent)].toarray(), terms[:, np.flatnonzero(~self._is_frequent)]

    def shared_by_many(self, frequent: FloatArray, rare: csr_matrix) -> FloatArray:
        """Return (n, n_texts) the products of the weights of texts that were split with those of each text."""
        shared: FloatArray = frequent @ self._frequent
        shared += (rare @ self._rare).toarray()
        return shared

    def shared(self, point: _Point) -> FloatArray:
        """Return (n_texts,) the products of the text's weights with those of each text."""
        is_frequent, row = self._is_frequent[point.columns], self._row[point.columns]
        shared = self._shared_rare(row[~is_frequent], point.weights[~is_frequent])
        _add_rows(shared, self._frequent, row[is_frequent], point.weights[is_frequent])
        return shared

    def _shared_rare(self, rows: IntArray, weights: FloatArray) -> FloatArray:
        if not len(rows):
            return np.zeros(self._n_texts, np.float32)
        starts = self._rare.indptr[rows].astype(np.int64)
        sizes = self._rare.indptr[rows + 1] - starts
        ends = np.cumsum(sizes)
        places = np.arange(ends[-1]) + np.repeat(starts - ends + sizes, sizes)
        products = self._rare.data[places] * np.repeat(weights, sizes)
        return np.bincount(self._rare.indices[places], products, self._n_texts).astype(np.float32)
