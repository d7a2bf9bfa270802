"""Repeats that tell nothing: trials of one query and prompt that never differ may be copies of each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from prompt_oirl.arrays import BoolArray
from prompt_oirl.demonstrations import Demonstrations

__all__ = ["IDENTICAL_REPEATS", "counted_once", "has_identical_repeats"]

IDENTICAL_REPEATS = (
    "No two trials of a query and prompt differ, so their repeats count once: the rows are copies, or the LLM always "
    "answers the same. If it really does, there is no luck in the ceiling, and the headroom is as much."
)

_FEWEST_CELLS = 100
_FEWEST_OF_EITHER = 10


def has_identical_repeats(demonstrations: Demonstrations) -> bool:
    """Return whether no two trials of a query and prompt differ, on so many of either outcome that it is no chance.

    Either the rows are copies, which are no independent evidence, or the LLM always answers the same, and then there is
    no noise to take out.
    """
    is_repeated: BoolArray = demonstrations.trials > 1
    n_right = int((is_repeated & (demonstrations.successes == demonstrations.trials)).sum())
    n_wrong = int((is_repeated & (demonstrations.successes == 0)).sum())
    n_cells = int(is_repeated.sum())
    return n_right + n_wrong == n_cells >= _FEWEST_CELLS and min(n_right, n_wrong) >= _FEWEST_OF_EITHER


def counted_once(demonstrations: Demonstrations) -> Demonstrations:
    """Return the demonstrations with one trial of each query and prompt that was tried, where repeats are identical."""
    return replace(
        demonstrations,
        trials=np.minimum(demonstrations.trials, 1),
        successes=np.minimum(demonstrations.successes, 1),
        unscored=np.minimum(demonstrations.unscored, 1),
    )
