"""The few figures that stand under the verdict."""

from __future__ import annotations

from dataclasses import dataclass

from prompt_oirl.evaluation.headroom import Headroom
from prompt_oirl.report.findings import Findings, GainFindings, Missing
from prompt_oirl.report.texts import interval, percent, points, prompt_name, shown, signed_points

__all__ = ["KeyFigure", "best_prompt_wording", "key_figures", "share_captured"]

_LONGEST_WORDING = 160


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """One number with what it is and how sure it is."""

    name: str
    value: str
    detail: str


def key_figures(findings: Findings) -> tuple[KeyFigure, ...]:
    """Return success rate of the best single prompt, gain, headroom and share captured, as far as there are any."""
    found, figures = findings.gain, []
    if not isinstance(found, Missing):
        base = found.baseline_value
        figures.append(
            KeyFigure(
                f"One prompt, {prompt_name(findings.best_single)}",
                percent(base.value),
                f"success rate, {percent(base.low)} to {percent(base.high)}",
            )
        )
        figures.append(_gain(found))
    if not isinstance(findings.headroom, Missing):
        figures.append(_headroom(findings.headroom))
    captured = share_captured(findings)
    if captured is not None:
        value, low, high = captured
        figures.append(
            KeyFigure("Captured", percent(value, 0), f"of the headroom, {percent(low, 0)} to {percent(high, 0)}")
        )
    return tuple(figures)


def share_captured(findings: Findings) -> tuple[float, float, float] | None:
    """Return the gain as a share of the headroom, with ends from the ends of both intervals.

    The headroom is the perfect choice's by the model, the higher floor where there is no model. None where no headroom
    was found, or there is no gain to set beside it.
    """
    found, headroom = findings.gain, findings.headroom
    if isinstance(found, Missing) or isinstance(headroom, Missing) or headroom.verdict != "found":
        return None
    whole = headroom.perfect or headroom.by_trials
    if whole is None or whole.low <= 0:
        return None
    value, low, high = found.gain.value / whole.value, found.gain.low / whole.high, found.gain.high / whole.low
    return value, min(low, value), max(high, value)


def best_prompt_wording(findings: Findings) -> str | None:
    """Return how the best single prompt reads, shortened; None where its id says it."""
    texts = {prompt.id: prompt.text for prompt in findings.inspection.prompts}
    wording = shown(texts.get(findings.best_single, ""), _LONGEST_WORDING)
    return None if wording in ("", findings.best_single) else wording


def _gain(found: GainFindings) -> KeyFigure:
    """Return the gain as it would be used; where nothing would be, what it would be if it were."""
    if not found.share_switched and found.gain_without_rule is not None:
        tried = found.gain_without_rule
        return KeyFigure(
            "Gain per query", signed_points(tried.value), f"points, {interval(tried)}; not shown to pay, so not used"
        )
    return KeyFigure("Gain per query", signed_points(found.gain.value), f"points, {interval(found.gain)}")


def _headroom(found: Headroom) -> KeyFigure:
    if found.perfect is not None:
        return KeyFigure(
            "Headroom", signed_points(found.perfect.value), f"points, {interval(found.perfect)}, by a model"
        )
    return KeyFigure("Headroom", f"≤ {points(found.ceiling.high)}", "points, luck included; repeats would tell more")
