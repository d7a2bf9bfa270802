"""How alike two texts are: in their words, in their skeleton, and in their surface; a kernel with values in [0, 1]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.base import BaseEstimator

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.errors import DataError, NotFittedError
from prompt_oirl.features.ngrams import NGramWeights, WordCounts
from prompt_oirl.features.scaling import Scaling
from prompt_oirl.features.surface import token_statistics
from prompt_oirl.features.tokens import tokenize

__all__ = ["TERM_SCALE", "TextPoints", "TextSimilarity", "UnitSpread"]

TERM_SCALE = np.float32(np.sqrt(0.5))
"""Of the words' and of the skeleton's weights, so that each make half the squared length of a text."""

_CLIP = 4.0
"""Standard deviations."""


@dataclass(frozen=True, eq=False)
class TextPoints:
    """Texts where the kernel can compare them."""

    terms: csr_matrix
    """(n_texts, n_terms) float32: half the squared length of a row is the words', half the skeleton's."""

    form: FloatArray
    """(n_texts, n_statistics) float32: surface and profile, each scaled by `UnitSpread`."""

    def __len__(self) -> int:
        return len(self.form)

    def take(self, rows: IntArray) -> TextPoints:
        """Return the points of some texts."""
        return TextPoints(self.terms[rows], self.form[rows])


@dataclass(frozen=True, eq=False)
class UnitSpread:
    """Standardise columns, and scale them such that two training texts are at squared distance 1 in the mean."""

    scaling: Scaling

    width: float
    """Root of the mean squared distance of two training texts, standardised."""

    @classmethod
    def of(cls, columns: FloatArray) -> Self:
        """Learn from (n_texts, n_columns)."""
        unscaled = cls(Scaling.of(columns), 1.0)
        spread = 2 * float(unscaled.apply(columns).var(axis=0).sum())
        return cls(unscaled.scaling, float(np.sqrt(spread)) if spread > 0 else 1.0)

    def apply(self, columns: FloatArray) -> FloatArray:
        """Return the columns scaled; beyond four standard deviations a value moves a text no further away."""
        scaled: FloatArray = np.clip(self.scaling.apply(columns), -_CLIP, _CLIP) / self.width
        return scaled


class TextSimilarity(BaseEstimator):  # type: ignore[misc]
    """k(x, x') = (½ words · words' + ½ skeleton · skeleton') · exp(-‖surface - surface'‖² - ‖profile - profile'‖²).

    Words are the TF-IDF of words and word pairs; the skeleton that of short runs in which only the most frequent words
    are told apart; the surface are `surface_statistics`, the profile counts of the most frequent words in the text and
    in its last sentence, both standardised. A product of kernels is a kernel: texts are alike if they say similar
    things *and* look similar *and* are built alike. Near-duplicates come out at nearly 1.

    Args:
        n_skeleton: Frequent words that the skeleton tells apart.
        n_profile: Frequent words that the profile counts.
        skeleton_length: Words of the longest run in the skeleton.
        min_df: Terms in fewer training texts are left out.
    """

    words_: NGramWeights
    skeleton_: NGramWeights
    profile_: WordCounts
    surface_scaling_: UnitSpread
    profile_scaling_: UnitSpread

    def __init__(
        self, n_skeleton: int = 60, *, n_profile: int = 100, skeleton_length: int = 3, min_df: int = 2
    ) -> None:
        self.n_skeleton = n_skeleton
        self.n_profile = n_profile
        self.skeleton_length = skeleton_length
        self.min_df = min_df

    def fit(self, texts: Sequence[str]) -> Self:
        """Learn the terms and the spread of the surface statistics; no reward is looked at.

        Raises:
            DataError: There is no text.
        """
        if not len(texts):
            raise DataError("a similarity needs at least one text to learn from, got none")
        tokens = tokenize(texts)
        self.words_ = NGramWeights(2, min_df=self.min_df).fit(tokens)
        self.skeleton_ = NGramWeights(self.skeleton_length, min_df=self.min_df, n_frequent=self.n_skeleton).fit(tokens)
        self.profile_ = WordCounts(self.n_profile).fit(tokens)
        self.surface_scaling_ = UnitSpread.of(token_statistics(tokens))
        self.profile_scaling_ = UnitSpread.of(self.profile_.transform(tokens))
        return self

    def points(self, texts: Sequence[str]) -> TextPoints:
        """Return the texts as points that `between` compares.

        Raises:
            NotFittedError: `fit` was not called.
        """
        if not hasattr(self, "words_"):
            raise NotFittedError("TextSimilarity was not fitted; call fit with the training texts first")
        tokens = tokenize(texts)
        parts = (self.words_.transform(tokens), self.skeleton_.transform(tokens))
        terms = hstack([part * TERM_SCALE for part in parts], format="csr")
        surface = self.surface_scaling_.apply(token_statistics(tokens))
        profile = self.profile_scaling_.apply(self.profile_.transform(tokens))
        return TextPoints(terms, np.hstack([surface, profile]).astype(np.float32))

    @staticmethod
    def between(a: TextPoints, b: TextPoints) -> FloatArray:
        """Return (n_a, n_b) float32 similarities."""
        squares = (a.form**2).sum(axis=1)[:, None] + (b.form**2).sum(axis=1) - 2 * a.form @ b.form.T
        similarity: FloatArray = np.exp(-np.maximum(squares, 0))
        similarity *= (a.terms @ b.terms.T).toarray()
        return similarity
