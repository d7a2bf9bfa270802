"""Columns that several tables have."""

from __future__ import annotations

from prompt_oirl.evaluation import Estimate
from prompt_oirl.report.page_parts import Column, Kind
from prompt_oirl.report.texts import count, percent, sentence

__all__ = ["ends", "ends_or_nothing", "estimate_columns", "missing", "rests_on"]


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
    few = f". Beware: {estimate.caveat}" if estimate.caveat else ""
    return (
        f"n = {count(estimate.n_queries)} queries in {count(estimate.n_groups)} groups of near-duplicates, "
        f"{count(estimate.n_trials)} trials{left_out}; {percent(estimate.level, 0)} intervals{few}."
    )


def missing(reason: str) -> str:
    """Return the sentence that stands where something cannot be said."""
    return f"Not in this report: {sentence(reason)}" + ("" if reason.endswith((".", "!", "?")) else ".")
