"""Standardised features, for models that care about scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from prompt_oirl.arrays import FloatArray

__all__ = ["Scaling"]


@dataclass(frozen=True, eq=False)
class Scaling:
    """Means and deviations of training features: centre, and divide by the deviation; constant features become 0."""

    mean: FloatArray
    """(n_features,) means."""

    factor: FloatArray
    """(n_features,) one over the standard deviation, 0 where that is 0 up to rounding."""

    @classmethod
    def of(cls, X: FloatArray) -> Self:
        """Measure training features (n_rows, n_features)."""
        mean, deviation = X.mean(axis=0), X.std(axis=0)
        varies = deviation > 1e-9 * np.maximum(1.0, np.abs(mean))
        return cls(mean, np.divide(1.0, deviation, out=np.zeros_like(deviation), where=varies))

    def apply(self, X: FloatArray) -> FloatArray:
        """Return the standardised (n_rows, n_features)."""
        scaled: FloatArray = (X - self.mean) * self.factor
        return scaled
