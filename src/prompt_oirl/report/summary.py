"""The few figures that stand under the verdict, and what is to be known before they are read."""

from __future__ import annotations

from dataclasses import dataclass

from prompt_oirl.evaluation.headroom import Headroom
from prompt_oirl.report.findings import Findings, GainFindings, Missing
from prompt_oirl.report.share_captured import ShareCaptured, highest_floor, share_captured
from prompt_oirl.report.situation import rule_allows
from prompt_oirl.report.texts import interval, marked, percent, points, prompt_name, shown, signed_points, wording

__all__ = ["KeyFigure", "best_prompt_wording", "key_figures"]

_LONGEST_WORDING = 160


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """One number with what it is and how sure it is."""

    name: str
    value: str
    detail: str


def key_figures(findings: Findings) -> tuple[KeyFigure, ...]:
    """Return success rate of the best single prompt, gain, headroom and share captured, as far as there are any.

    There are none where hardly a query was asked with two prompts.
    """
    found, figures = findings.gain, []
    if findings.evidence.has_few_compared and not findings.leakage.has_few_groups:
        return ()
    if not isinstance(found, Missing):
        base = found.baseline_value
        detail = f"success rate, {percent(base.low)} to {percent(base.high)}"
        best = prompt_name(findings.best_single) if found.has_one_baseline else "the best of each fold"
        name = f"One prompt, {best}"
        figures += [
            KeyFigure(name, percent(base.value), marked(detail, base)),
            _gain(found, is_used=rule_allows(findings) and found.share_switched > 0),
        ]
    if not isinstance(findings.headroom, Missing):
        figures.append(_headroom(findings, findings.headroom))
    captured = share_captured(findings)
    if captured is not None:
        figures.append(_captured(captured))
    return tuple(figures)


def best_prompt_wording(findings: Findings) -> str | None:
    """Return how the best single prompt reads, shortened; None where its id says it."""
    texts = {prompt.id: prompt.text for prompt in findings.inspection.prompts}
    if findings.best_single not in texts:
        return None
    reads = shown(wording(texts[findings.best_single]), _LONGEST_WORDING)
    return None if reads == findings.best_single else reads


def _gain(found: GainFindings, *, is_used: bool) -> KeyFigure:
    """Return the gain as it would be used; where nothing would be, what it would be if it were."""
    tried = found.gain_without_rule
    if tried is None or is_used:
        return KeyFigure(
            "Gain per query", signed_points(found.gain.value), marked(f"points, {interval(found.gain)}", found.gain)
        )
    if tried.low == tried.high == 0:
        return KeyFigure("Gain per query", "–", "no query would get another prompt")
    detail = marked(f"points, {interval(tried)}; not shown to pay, so not used", tried)
    return KeyFigure("Gain per query", signed_points(tried.value), detail)


def _headroom(findings: Findings, found: Headroom) -> KeyFigure:
    floor = highest_floor(findings)
    if floor is not None:
        detail = f"points, {interval(floor)}: as measured, and the model of headroom expects no more"
        return KeyFigure("Headroom", f"≥ {signed_points(floor.value)}", marked(detail, floor))
    if found.perfect is not None:
        detail = f"points, {interval(found.perfect)}, by a model"
        return KeyFigure("Headroom", signed_points(found.perfect.value), marked(detail, found.perfect))
    detail = "points, luck included; repeats would tell more"
    return KeyFigure("Headroom", f"≤ {points(found.ceiling.high)}", marked(detail, found.ceiling))


def _captured(found: ShareCaptured) -> KeyFigure:
    if found.is_all:
        return KeyFigure("Captured", "all", f"that the model of headroom expects; {percent(found.low, 0)} at least")
    return KeyFigure(
        "Captured",
        percent(found.value, 0),
        f"of the headroom, {percent(found.low, 0)} to {percent(found.high, 0)}",
    )
