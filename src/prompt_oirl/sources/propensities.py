"""Trials that were bought with unequal probabilities: what is not weighted by these is biased."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from pathlib import Path

from prompt_oirl.errors import UnequalPropensityWarning

__all__ = ["warn_if_unequal"]


def warn_if_unequal(propensities: Collection[float], place: Path | str) -> None:
    """Warn if trials had different probabilities of being bought, as under the strategy `uncertain`.

    Demonstrations are counts and hold no propensities. A reward model may learn from such counts; success rates and
    gains on them lean towards what the strategy preferred.

    Args:
        propensities: The different values there are.
        place: File or run that they are from.
    """
    if len(propensities) > 1:
        warnings.warn(
            f"{place}: trials were bought with probabilities from {min(propensities):.3g} to {max(propensities):.3g}, "
            "and success rates and gains on them are not weighted by these, so they are biased; learn from them, but "
            "evaluate on queries that were asked with every prompt, or drawn by the strategy random",
            UnequalPropensityWarning,
            stacklevel=3,
        )
