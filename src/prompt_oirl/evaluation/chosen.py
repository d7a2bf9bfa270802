"""What was logged of the prompts that a policy chose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prompt_oirl.arrays import BoolArray, FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ParameterError

__all__ = ["chosen_rewards", "used_cells"]


def chosen_rewards(demonstrations: Demonstrations, choices: IntArray) -> FloatArray:
    """Return the (n_queries,) mean reward of the chosen prompt's trials, NaN where it has none.

    Raises:
        ParameterError: The choices are not one prompt index for each query.
    """
    choices = _checked(demonstrations, choices)
    rewards: FloatArray = demonstrations.rewards[np.arange(demonstrations.n_queries), choices]
    return rewards


def used_cells(demonstrations: Demonstrations, choices: Sequence[IntArray]) -> BoolArray:
    """Return the (n_queries, n_prompts) cells that some of the choices rest on."""
    used: BoolArray = np.zeros(demonstrations.trials.shape, bool)
    for chosen in choices:
        used[np.arange(len(used)), chosen] = True
    return used


def _checked(demonstrations: Demonstrations, choices: IntArray) -> IntArray:
    choices = np.asarray(choices)
    if choices.shape != (demonstrations.n_queries,) or not np.issubdtype(choices.dtype, np.integer):
        raise ParameterError(
            f"choices are {choices.dtype} of shape {choices.shape}; one prompt index for each of the "
            f"{demonstrations.n_queries} queries is needed, as Policy.choose gives them"
        )
    if choices.size and (choices.min() < 0 or choices.max() >= demonstrations.n_prompts):
        raise ParameterError(
            f"choices run from {choices.min()} to {choices.max()}, but there are prompts 0 to "
            f"{demonstrations.n_prompts - 1}: choose among demonstrations.prompts, in their order"
        )
    return choices
