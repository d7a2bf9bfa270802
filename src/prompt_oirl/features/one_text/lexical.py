"""The lexical features of one text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prompt_oirl.arrays import FloatArray
from prompt_oirl.features.lexical import LexicalFeatures
from prompt_oirl.features.one_text.surface import surface_of_one
from prompt_oirl.features.one_text.terms import TermLookup
from prompt_oirl.features.one_text.text import OneText
from prompt_oirl.features.terms import TermProjection

__all__ = ["OneTextLexical"]


class OneTextLexical:
    """Computes the features of one text as `LexicalFeatures.transform` does.

    Args:
        features: Fitted.
    """

    def __init__(self, features: LexicalFeatures) -> None:
        self._text = _Projection(features.text_)
        self._question = _Projection(features.question_)

    def transform(self, text: str) -> FloatArray:
        """Return (n_features,)."""
        one = OneText.of(text)
        question = one.written[one.last_sentence :]
        return np.hstack([self._text.project(one.written), self._question.project(question), surface_of_one(one)])


class _Projection:
    """The terms of a text, projected: a gather of their rows and a sum."""

    def __init__(self, projection: TermProjection) -> None:
        self._lookup = TermLookup(projection.weights_)
        self._components = projection.components_

    def project(self, written: Sequence[str]) -> FloatArray:
        terms = self._lookup.weigh(written)
        coordinates: FloatArray = terms.weights @ self._components[terms.columns]
        return coordinates
