"""What a perfect choice could gain, and how much of it is captured."""

from __future__ import annotations

from prompt_oirl.evaluation import Estimate
from prompt_oirl.evaluation.headroom import IDENTICAL_REPEATS, Headroom, VarianceComponents
from prompt_oirl.report.figures import Bar, draw_bars
from prompt_oirl.report.findings import Findings, Missing
from prompt_oirl.report.page_parts import Column, Figure, Section, Table
from prompt_oirl.report.sections.columns import ends, estimate_columns, missing
from prompt_oirl.report.share_captured import highest_floor, share_captured
from prompt_oirl.report.texts import count, often, percent, points_up, prompt_name, sentence, signed_points

__all__ = ["headroom_section"]

_TITLE = "Headroom: what a perfect choice could gain"
_VERDICTS = {
    "found": "There is headroom: some choice per query does better than the best single prompt",
    "not found": "No headroom was found",
    "cannot be told": "Whether there is headroom cannot be told from these logs",
}


def headroom_section(findings: Findings) -> Section:
    """Return the section on headroom, the share captured, and what could have been seen."""
    found = findings.headroom
    if isinstance(found, Missing):
        return Section("headroom", _TITLE, (missing(found, gain=findings.gain),))
    identical = IDENTICAL_REPEATS if found.has_identical_repeats else ""
    said = (_verdict(found), identical, _captured(findings), _above_model(findings))
    content: list[str | Table | Figure] = [*said, _figure(findings, found), _power(found)]
    if found.variance is not None and found.variance.total > 0:
        content.append(_variance(found.variance))
    return Section("headroom", _TITLE, tuple(each for each in content if each))


def _verdict(found: Headroom) -> str:
    names = {"the policy's floor": found.by_policy, "the floor by other trials": found.by_trials}
    there = [name for name, floor in names.items() if floor is not None]
    floors = "both floors, corrected for looking at two" if len(there) > 1 else "".join(there)
    rests_on = f"{_p(found.p_value)} for “there is none”, from {floors}"
    return f"{_VERDICTS[found.verdict]} ({rests_on}).{_unrivalled(found)}"


def _unrivalled(found: Headroom) -> str:
    if not found.unrivalled:
        return ""
    names = ", ".join(map(prompt_name, found.unrivalled[:10]))
    return f" Tried on too few queries to be set against such a choice, and not considered in that: {names}."


def _p(value: float) -> str:
    return "p\u00a0<\u00a00.001" if value < 0.001 else f"p\u00a0=\u00a0{value:.2g}"


def _captured(findings: Findings) -> str:
    captured = share_captured(findings)
    if captured is None:
        return ""
    if captured.is_all:
        return f"The choice captures all of it that the model expects ({percent(captured.low, 0)} at least)."
    return (
        f"The choice captures {percent(captured.value, 0)} of it ({percent(captured.low, 0)} to "
        f"{percent(captured.high, 0)}, from the ends of both intervals)."
    )


def _above_model(findings: Findings) -> str:
    floor = highest_floor(findings)
    if floor is None:
        return ""
    return (
        f"The model expects no more of a perfect choice than was measured, {signed_points(floor.value)} points: take "
        "that for the least that there is. The model is too low where the kinds of query are few and clear-cut."
    )


def _figure(findings: Findings, found: Headroom) -> Figure:
    without_rule = ", without the no-harm rule" if findings.recommender is None else ""
    untried = ", and untried prompts taken to be right" if found.is_ceiling_incomplete else ""
    ways: list[tuple[str, Estimate | None, str]] = [
        ("floor: by other trials", found.by_trials, "a choice by the query's own other answers"),
        ("floor: by the policy", found.by_policy, f"the choice that is judged above{without_rule}"),
        ("perfect, by a model", found.perfect, "noise taken out by a normal model of success probabilities"),
        ("ceiling: with luck", found.ceiling, f"the best logged answer of each query: luck included{untried}"),
    ]
    known = [(name, each, what) for name, each, what in ways if each is not None]
    bars = [
        Bar(name, 100 * each.value, 100 * each.low, 100 * each.high, is_main=name.startswith("floor"))
        for name, each, _ in known
    ]
    title = "; ".join(f"{name} {signed_points(each.value)} points" for name, each, _ in known)
    caption = (
        "Gain over the best single prompt: floors are reached by a choice that exists, the ceiling by none. "
        f"n = {count(found.n_queries)} queries in {count(found.n_groups)} groups, {count(found.n_repeated_queries)} of "
        f"them with repeated trials; {percent(found.level, 0)} intervals{_beware(found)}."
    )
    columns = (
        Column("way", "way"),
        Column("what", "choosing by"),
        *estimate_columns("gain", "gain", "points"),
        Column("n_queries", "queries", "count"),
        Column("n_groups", "groups", "count", is_on_page=False),
    )
    rows = tuple((name, what, *ends(each), each.n_queries, each.n_groups) for name, each, what in known)
    svg = draw_bars("headroom", bars, title=title, x_label="gain over the best single prompt, points", zero=True)
    return Figure(title, svg, Table("headroom", caption, columns, rows))


def _beware(found: Headroom) -> str:
    if found.has_few_groups:
        return f". Beware: {found.n_groups} groups are too few to trust the intervals"
    if found.has_dominant_group:
        share = percent(found.largest_group_share, 0)
        return f". Beware: one group is {share} of the data, which hardly says anything of other queries"
    return ""


def _power(found: Headroom) -> str:
    power = found.power
    if power is None:
        why = "" if found.no_power is None else f": {sentence(found.no_power)}"
        return f"What could have been seen cannot be told{why}."
    sentences = [
        f"With a choice that spreads queries evenly over the prompts, a gain of {points_up(power.detectable_gain)} "
        f"points would have been seen {often(power.power)}, smaller gains less often; where fewer queries leave the "
        "best single prompt, smaller gains are enough. A gain of 1 point takes about "
        f"{count(power.queries_for_one_point)} queries logged like these."
    ]
    if power.detectable_headroom is not None:
        sentences.append(
            f"Headroom of {points_up(power.detectable_headroom)} points would have been found {often(power.power)} by "
            "repeated trials, however thinly it is spread."
        )
    if power.repeats_for_one_point is not None:
        sentences.append(
            f"Headroom of 1 point would be found with {power.repeats_for_one_point} answers to each query and prompt."
        )
    return " ".join(sentences)


def _variance(found: VarianceComponents) -> Table:
    """Return the shares of a variance above 0."""
    parts = (
        ("query: some are easier for all prompts", found.query),
        ("prompt: some are better on all queries", found.prompt),
        ("interaction: some suit some queries", found.interaction),
        ("noise: the same query and prompt differ", found.noise),
    )
    total = found.total
    return Table(
        "variance",
        "Where the variance of a single answer's success comes from, as shares of the whole. Only the interaction can "
        "give headroom. The shares are estimated as differences, so chance can take one that is near 0 % or 100 % "
        "beyond it.",
        (Column("part", "part"), *estimate_columns("share", "share", "share")),
        tuple((name, *(end / total for end in ends(each))) for name, each in parts),
    )
