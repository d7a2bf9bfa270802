"""What each prompt adds: the value of choosing among all of them less that of choosing among the others."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from prompt_oirl.evaluation.estimate import Estimate

__all__ = ["Contribution"]


@dataclass(frozen=True, slots=True)
class Contribution:
    """One prompt, and what leaving it out would lose."""

    prompt_id: str

    loss: Estimate
    """Value with all prompts less value without this one: near 0 where others do as well, negative where choosing it
    does harm. The interval is for one prompt, not for all at once."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self)
