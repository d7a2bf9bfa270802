"""What `inspect --headroom` prints."""

from __future__ import annotations

import math

from prompt_oirl.cli.render import console, interval, points, table
from prompt_oirl.evaluation.estimate import Estimate
from prompt_oirl.evaluation.headroom import IDENTICAL_REPEATS, Headroom, PowerStatement, VarianceComponents

__all__ = ["print_headroom"]


def print_headroom(found: Headroom) -> None:
    """Print floor, model and ceiling of the headroom, the verdict, where variance comes from, and what could be seen.

    Args:
        found: As `headroom` gives it.
    """
    out = console()
    estimates = {
        "floor: by other trials of the query": found.by_trials,
        "floor: by the cross-validated models": found.by_policy,
        "the perfect choice, by a model": found.perfect,
        "ceiling: the luckiest choice"
        + (", untried prompts taken to be right" if found.is_ceiling_incomplete else ""): found.ceiling,
    }
    columns = ("choice per query", "gain", f"{found.level:.0%} interval", "queries", "groups")
    rows = [_row(name, estimate) for name, estimate in estimates.items() if estimate is not None]
    out.print(table("Headroom: gain over the best single prompt, points", columns, rows))
    out.print(_verdict(found), style="bold", markup=False)
    for line in _lines(found):
        out.print(line, markup=False)


def _row(name: str, estimate: Estimate) -> tuple[str, ...]:
    return name, points(estimate.value), interval(estimate), str(estimate.n_queries), str(estimate.n_groups)


def _verdict(found: Headroom) -> str:
    level = f"p = {found.p_value:.2g} of “there is none”"
    return {
        "found": f"Headroom found: some choice per query beats every single prompt ({level}).",
        "not found": f"No headroom found ({level}): choosing per query was not seen to beat the best single prompt.",
        "cannot be told": f"Whether there is headroom cannot be told from these logs ({level}).",
    }[found.verdict]


def _lines(found: Headroom) -> list[str]:
    lines = []
    if found.has_few_groups:
        lines.append(f"{found.n_groups} groups of queries are too few to trust intervals: log more distinct queries.")
    if found.has_dominant_group:
        lines.append(
            f"One group of near-duplicate queries is {found.largest_group_share:.0%} of the data: this says hardly "
            "anything of other queries."
        )
    if found.unrivalled:
        lines.append(f"Tried on too few queries to be beaten, and left out of the test: {', '.join(found.unrivalled)}.")
    lines.append(IDENTICAL_REPEATS if found.has_identical_repeats else _repeats(found))
    if found.variance is not None and found.variance.total > 0:
        lines.append(_variance(found.variance))
    if found.power is None:
        return [*lines, f"What could have been seen cannot be told: {found.no_power}."]
    return [*lines, *_power(found.power)]


def _repeats(found: Headroom) -> str:
    share = f"{found.n_repeated_queries} of {found.n_queries} queries"
    if 2 * found.n_repeated_queries >= found.n_queries:
        floors = " The floor by trials and the model rest on them." if found.by_trials is not None else ""
        return f"Repeated trials: {share}.{floors}"
    if found.by_trials is not None and found.verdict != "cannot be told":
        return f"Repeated trials: {share}. The floor by trials and the model rest on them."
    return (
        f"Repeated trials: {share}. To tell more than a floor and a ceiling, log several trials of each query and "
        "prompt: they show what is noise, and one trial can choose what another judges."
    )


def _variance(variance: VarianceComponents) -> str:
    parts = {name: getattr(variance, name).value for name in ("query", "prompt", "interaction", "noise")}
    shares = (f"{name} {100 * value / variance.total:.0f} %" for name, value in parts.items())
    return f"Variance of a trial: {', '.join(shares)}. Only the interaction of query and prompt can be gained from."


def _power(power: PowerStatement) -> list[str]:
    often = f"{power.power:.0%} of the time"
    lines = [
        f"A gain of {_size(power.detectable_gain)} points, of a policy that spreads queries over all prompts, would "
        f"have been seen {often}; to see one point, about {power.queries_for_one_point} queries "
        "logged like these are needed."
    ]
    if power.detectable_headroom is not None:
        lines.append(
            f"Headroom of {_size(power.detectable_headroom)} points would have been found by trials {often}, however "
            "thinly spread over queries and prompts."
        )
    sizes = [
        f"{repeats} find {_size(size)} points"
        for repeats, size in power.headroom_by_repeats.items()
        if size is not None
    ]
    enough = power.repeats_for_one_point
    assumed = ", if all that is due to neither query nor prompt is noise" if power.is_noise_assumed else ""
    one_point = "64 do not find one point" if enough is None else f"{enough} find one point"
    lines.append(
        f"Trials of each query and prompt that find headroom that thin{assumed}: {'; '.join([*sizes, one_point])}."
    )
    return lines


def _size(gain: float) -> str:
    """Return a size that would be seen, in points, rounded up: a smaller one would not."""
    return f"{math.ceil(round(1000 * gain, 6)) / 10:.1f}"
