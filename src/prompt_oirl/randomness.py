"""Random numbers by a seed that somebody gave."""

from __future__ import annotations

import numpy as np

from prompt_oirl.errors import ParameterError

__all__ = ["generator"]

_HIGHEST_SEED = 2**32 - 1
"""What scikit-learn takes too."""


def generator(seed: int) -> np.random.Generator:
    """Return the random numbers of a seed.

    Raises:
        ParameterError: It is no whole number from 0 to 2³² - 1.
    """
    if not isinstance(seed, int | np.integer) or not 0 <= seed <= _HIGHEST_SEED:
        raise ParameterError(f"seed={seed!r:.80}: a whole number from 0 to {_HIGHEST_SEED} is needed")
    return np.random.default_rng(seed)
