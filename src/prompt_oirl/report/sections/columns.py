"""Columns that several tables have."""

from __future__ import annotations

from prompt_oirl.evaluation import Estimate
from prompt_oirl.report.findings import GainFindings, Missing
from prompt_oirl.report.page_parts import Column, Kind
from prompt_oirl.report.texts import count, percent, sentence

__all__ = ["beware", "ends", "ends_or_nothing", "estimate_columns", "missing", "rests_on"]


def estimate_columns(name: str, title: str, kind: Kind) -> tuple[Column, Column, Column]:
    """Return the columns of a value and the ends of its interval."""
    return Column(name, title, kind), Column(f"{name}_low", "from", kind), Column(f"{name}_high", "to", kind)


def ends(estimate: Estimate) -> tuple[float, float, float]:
    """Return a value and the ends of its interval."""
    return estimate.value, estimate.low, estimate.high


def ends_or_nothing(estimate: Estimate | None) -> tuple[float | None, float | None, float | None]:
    """Return the same, None three times where there is no estimate."""
    return (None, None, None) if estimate is None else ends(estimate)


def rests_on(estimate: Estimate) -> str:
    """Return what an estimate rests on, for a caption."""
    left_out = f", {count(estimate.n_left_out)} queries left out" if estimate.n_left_out else ""
    return (
        f"n = {count(estimate.n_queries)} queries in {count(estimate.n_groups)} groups of near-duplicates, "
        f"{count(estimate.n_trials)} trials of the prompts that are compared{left_out}; "
        f"{percent(estimate.level, 0)} intervals{beware(estimate)}."
    )


def beware(estimate: Estimate | None) -> str:
    """Return what a caption adds where an interval is not to be trusted."""
    return "" if estimate is None or estimate.caveat is None else f". Beware: {sentence(estimate.caveat)}"


def missing(part: Missing, *, gain: GainFindings | Missing | None = None) -> str:
    """Return the sentence that stands where something cannot be said; the gain's reason is said once, with the gain."""
    if part == gain:
        return "Not in this report, for the reason that is given for the gain."
    return f"Not in this report: {sentence(part.reason)}" + ("" if part.reason.endswith((".", "!", "?")) else ".")
