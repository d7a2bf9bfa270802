"""How much of the headroom the choice that is judged gains."""

from __future__ import annotations

from dataclasses import dataclass

from prompt_oirl.evaluation import Estimate
from prompt_oirl.report.findings import Findings, Missing

__all__ = ["ShareCaptured", "highest_floor", "share_captured"]


@dataclass(frozen=True, slots=True)
class ShareCaptured:
    """The gain as a share of the headroom."""

    value: float

    low: float
    """The least of the shares that ends of the gain and ends of the headroom make."""

    high: float
    """The largest of them."""

    is_all: bool
    """Whether the gain is no less than the model of headroom expects of a perfect choice."""


def share_captured(findings: Findings) -> ShareCaptured | None:
    """Return the gain as a share of the headroom, with ends from the ends of both intervals.

    The headroom is the perfect choice's gain by the model, or the highest gain that was measured where that is more:
    no choice gains more than the perfect one. None where no headroom was found, or there is no gain to set beside it.
    """
    found, headroom = findings.gain, findings.headroom
    if isinstance(found, Missing) or isinstance(headroom, Missing) or headroom.verdict != "found":
        return None
    whole = highest_floor(findings) or headroom.perfect or headroom.by_trials
    if whole is None or whole.low <= 0:
        return None
    gain = found.gain
    value = gain.value / whole.value
    shares = [value, *(end / of for end in (gain.low, gain.high) for of in (whole.low, whole.high))]
    return ShareCaptured(
        value=min(value, 1.0),
        low=min(*shares, 1.0),
        high=min(max(shares), 1.0),
        is_all=headroom.perfect is not None and gain.value >= headroom.perfect.value,
    )


def highest_floor(findings: Findings) -> Estimate | None:
    """Return the highest gain that was measured, if the model expects no more of a perfect choice; else None."""
    found, headroom = findings.gain, findings.headroom
    if isinstance(headroom, Missing) or headroom.perfect is None:
        return None
    gain = None if isinstance(found, Missing) else found.gain
    floors = [each for each in (headroom.by_trials, headroom.by_policy, gain) if each is not None]
    highest = max(floors, key=lambda each: each.value, default=None)
    return highest if highest is not None and highest.value >= headroom.perfect.value else None
