"""How a collection ended, and what the run holds then."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from prompt_oirl.collect.engine import Ending
from prompt_oirl.runs.spending import Spending

__all__ = ["Collected"]


@dataclass(frozen=True)
class Collected:
    """What became of an order, or of a critique."""

    ending: Ending
    refusal: str | None
    """Which cap was reached, and by what, where the budget ended it."""

    n_calls: int
    """Made in this session."""

    spending: Spending
    """Of the whole run, answers and critiques."""

    usd: float | None
    """What the whole run has cost; None where the model is unpriced."""

    to_come: int
    """Calls that are wanted and not made."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self) | {"spending": self.spending.to_dict()}
