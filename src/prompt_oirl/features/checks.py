"""What every user of text features checks: that they are finite, and one row a text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prompt_oirl.arrays import FloatArray
from prompt_oirl.errors import DataError
from prompt_oirl.features.protocol import TextFeatures

__all__ = ["finite_features"]


def finite_features(features: TextFeatures, texts: Sequence[str]) -> FloatArray:
    """Return (n_texts, n_features) the features of texts.

    Raises:
        DataError: A feature is NaN or infinite, or there is not one row a text; names the text.
    """
    values = features.transform(texts)
    if values.ndim != 2 or len(values) != len(texts):
        raise DataError(
            f"{type(features).__name__} gave an array of shape {values.shape} for {len(texts)} texts; "
            f"expected ({len(texts)}, n_features)"
        )
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise DataError(
            f"feature {column} of {type(features).__name__} is {values[row, column]} for the text "
            f"{texts[row][:60]!r}; features must be finite: fill them in, or leave the text out"
        )
    return values
