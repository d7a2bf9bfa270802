"""What one more prompt would have to do to be worth adding."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from prompt_oirl.evaluation.estimate import Estimate

__all__ = ["OneMorePrompt"]


@dataclass(frozen=True)
class OneMorePrompt:
    """How often one more prompt would have to succeed where the present choice fails.

    Both answers assume that it is used in place of the present choice only, that new queries are like the logged ones,
    and that it takes nothing from where the present choice succeeds. A failure that another sample of the same prompt
    would have turned into a success counts as one: part of any prompt's success there is luck.
    """

    points: float
    """What it is to add to the success rate: 0.01 is one point."""

    failures: Estimate
    """Share of the queries where the present choice fails."""

    success_if_known: float | None
    """Success rate on those queries that adds as much, if it were known where the present choice fails: the least that
    is needed. None where not even always succeeding there would be enough."""

    caught: Estimate | None
    """Of the successes that a prompt of the present ones has where the choice among the others fails, the share that
    the choice among all turns into a gain, less what it loses elsewhere; the mean over the present prompts. None with
    one prompt, or where no prompt succeeds where the others fail."""

    success_as_caught: float | None
    """Success rate on those queries that adds as much, if the choice catches of it what it catches of the present
    prompts. None where it catches nothing for certain (the interval contains 0), or where not even always succeeding
    would be enough."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self)

    def __str__(self) -> str:
        known = "no prompt could" if self.success_if_known is None else f"on {self.success_if_known:.0%}"
        caught = "no rate is surely enough" if self.success_as_caught is None else f"on {self.success_as_caught:.0%}"
        return (
            f"the present choice fails on {self.failures}; to add {100 * self.points:g} points, one more prompt must "
            f"succeed there {known} if it is known where, and {caught} with a choice as good as the present one"
        )


def needed(points: float, failures: float, caught: float) -> float | None:
    """Return the success rate that adds so much; None where even 1 would not."""
    most = failures * caught
    return points / most if most > 0 and points <= most else None
