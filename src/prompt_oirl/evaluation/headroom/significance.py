"""How likely a gain over every single prompt would be by luck."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.special import stdtr, stdtrit

from prompt_oirl.errors import DataError
from prompt_oirl.evaluation.estimate import Outcomes, estimate

__all__ = ["gain_p_value", "p_value_over_all"]


def p_value_over_all(gains: Iterable[Outcomes], *, widening: float = 1.0) -> float:
    """Return the p-value of "some single prompt is at least as good": the largest over the prompts.

    Every prompt must be beaten (an intersection-union test, so no correction for their number is due). A test against
    the prompt that happens to look best would be fooled by prompts that are equally good: there, what made the choice
    and what it is measured on are tied more closely than a standard error knows.

    Args:
        gains: The gain over each single prompt.
        widening: How many times as large a standard error is as that over the queries, for choices of a
            cross-validation; see `prompt_oirl.evaluation.fold_widening`.
    """
    return max((gain_p_value(each, widening=widening) for each in gains), default=1.0)


def gain_p_value(outcomes: Outcomes, *, widening: float = 1.0) -> float:
    """Return the one-sided p-value of a gain of at most 0, by the standard error and Student's t of `estimate`."""
    try:
        found = estimate(outcomes)
    except DataError:
        return 1.0  # fewer than two groups: nothing can be said
    is_varying = ~np.isnan(outcomes.values)
    if outcomes.can_vary is not None:
        is_varying &= outcomes.can_vary
    freedom = max(len(np.unique(outcomes.groups[is_varying])) - 1, 1)
    error = widening * (found.high - found.value) / float(stdtrit(freedom, 0.5 + found.level / 2))
    return float(stdtr(freedom, -found.value / error)) if error > 0 else 1.0
