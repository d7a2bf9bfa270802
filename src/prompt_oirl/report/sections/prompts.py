"""The prompts: how each does alone, where it is chosen, and which of them are worth keeping."""

from __future__ import annotations

from prompt_oirl.evaluation import PromptWins
from prompt_oirl.evaluation.estimate import FEWEST_GROUPS
from prompt_oirl.evaluation.portfolio import Portfolio
from prompt_oirl.inspection import PromptCounts
from prompt_oirl.report.figures import Bar, Series, draw_bars, draw_lines
from prompt_oirl.report.findings import Findings, Missing
from prompt_oirl.report.page_parts import MARK, Column, Figure, Section, Table
from prompt_oirl.report.sections.columns import ends, ends_or_nothing, estimate_columns, missing, rests_on
from prompt_oirl.report.texts import count, percent, prompt_name, shown, signed_points, wording

__all__ = ["portfolio_section", "prompts_section"]

Ends = tuple[float | None, float | None, float | None]

_MOST_BARS = 20
_LONGEST_ID = 18


def prompts_section(findings: Findings) -> Section:
    """Return the section on the prompts and the win map."""
    content: list[str | Table | Figure] = [*_equal(findings), _alone(findings)]
    found = findings.gain
    if isinstance(found, Missing):
        content.append("Where each prompt wins cannot be said without the gain.")
    elif not found.share_switched:
        content.append("No query gets another prompt than the best single one, so there is no win map.")
    else:
        content.append(
            "Where a prompt is chosen, its success rate there stands beside that of the best single prompt on the same "
            "queries. The intervals are one for each prompt, not for all at once: of many, some look good by chance."
        )
        content.append(_win_map(findings))
    return Section("prompts", "Prompts and where they win", tuple(content))


def _alone(findings: Findings) -> Figure:
    prompts = findings.inspection.prompts
    rated = [prompt for prompt in prompts if prompt.trials]
    columns = (
        Column("prompt_id", "prompt"),
        Column("wording", "wording"),
        *estimate_columns("success_rate", "success rate", "share"),
        Column("trials", "trials", "count"),
        Column("without_reward", "no reward", "count"),
        Column("untried", "not tried", "count"),
    )
    rows = tuple(
        (each.id, wording(each.text), *_rate(each), each.trials, each.unscored, each.untried) for each in prompts
    )
    caption = (
        f"Each prompt on all queries that it was tried on: {count(findings.inspection.n_queries)} queries, "
        f"{count(findings.inspection.n_trials)} trials with a reward; {percent(findings.level, 0)} intervals."
    )
    if any(each.success_rate is None for each in rated):
        caption += " A rate without an interval rests on one group of near-duplicate queries."
    if len(prompts) > _MOST_BARS:
        caption += f" The picture shows the {_MOST_BARS} prompts with the highest success rates."
    ranked = sorted(rated, key=lambda each: -each.successes / each.trials)[:_MOST_BARS]
    bars = [_bar(each.id, _rate(each), is_main=each.id == findings.best_single) for each in ranked]
    title = f"Success rate of each prompt; {prompt_name(findings.best_single)} is the best single one"
    return Figure(
        title,
        draw_bars("prompts", bars, title=title, x_label="success rate, per cent"),
        Table("prompts", caption, columns, rows),
    )


def _equal(findings: Findings) -> list[str]:
    reward = findings.evidence.equal_reward
    if reward is None:
        return []
    return [
        f"All rewards in these logs are equal: every single one is {reward}. In most cases that is a fault of the "
        "grader or of the labels; no prompt can be told from another by them."
    ]


def _rate(prompt: PromptCounts) -> Ends:
    """Return a prompt's success rate and the ends of its interval, where it has one."""
    if prompt.success_rate is None and prompt.trials:
        return prompt.successes / prompt.trials, None, None
    return ends_or_nothing(prompt.success_rate)


def _bar(label: str, rate: Ends, *, is_main: bool) -> Bar:
    value, low, high = (None if end is None else 100 * end for end in rate)
    return Bar(label, value or 0.0, low, high, is_main=is_main)


def _win_map(findings: Findings) -> Figure:
    if isinstance(findings.gain, Missing):
        raise TypeError("the win map is of a gain that was found")
    found = findings.gain
    columns = (
        Column("prompt_id", "prompt"),
        Column("share", "chosen for", "share"),
        Column("n_queries", "queries", "count"),
        *estimate_columns("success_rate", "there", "share"),
        Column("best_single", "best single there", "share"),
        *estimate_columns("gain", "gain there", "points"),
        Column("has_few_groups", "", "mark"),
    )
    rows = tuple(
        (
            each.prompt_id,
            each.share,
            each.n_queries,
            *ends_or_nothing(each.value),
            None if each.baseline_value is None else each.baseline_value.value,
            *ends_or_nothing(each.gain),
            _has_few_groups(each),
        )
        for each in found.win_map
    )
    chosen = sorted((each for each in found.win_map if each.gain is not None), key=lambda each: -each.share)
    bars = [
        Bar(
            f"{shown(each.prompt_id, _LONGEST_ID)} ({percent(each.share, 0)}){f' {MARK}' * _has_few_groups(each)}",
            100 * each.gain.value,
            100 * each.gain.low,
            100 * each.gain.high,
            is_main=each.gain.low > 0 and not each.gain.has_few_groups,
        )
        for each in chosen[:_MOST_BARS]
        if each.gain is not None
    ]
    title = "Gain over the best single prompt on the queries that each prompt is chosen for"
    svg = draw_bars("win-map", bars, title=title, x_label="gain there, points", zero=True, filled=False)
    n_known = sum(each.gain.n_queries for each in found.win_map if each.gain is not None)
    caption = (
        "By prompt and the share of queries it is chosen for; in colour where the interval is above 0 and can be "
        f"trusted; {MARK} marks fewer than {FEWEST_GROUPS} groups of queries, too few for that. "
        f"{'The choices are those of the first draw of the folds. ' if found.n_runs > 1 else ''}"
        f"{'The best single prompt is that of each fold. ' if not found.has_one_baseline else ''}"
        f"n = {count(n_known)} queries with trials of both prompts; {percent(findings.level, 0)} intervals."
    )
    return Figure(title, svg, Table("win_map", caption, columns, rows))


def _has_few_groups(wins: PromptWins) -> bool:
    return wins.gain is not None and wins.gain.has_few_groups


def portfolio_section(findings: Findings) -> Section:
    """Return the section on which prompts to keep."""
    found = findings.portfolio
    title = "Which prompts to keep"
    if isinstance(found, Missing):
        return Section("portfolio", title, (missing(found, gain=findings.gain),))
    content: list[str | Table | Figure] = [_kept(found), *_idle(found), _one_more(found)]
    if len(found.sizes) > 1:
        content.append(_sizes(found))
    if found.contributions:
        content.append(_contributions(found))
    return Section("portfolio", title, tuple(content))


def _kept(found: Portfolio) -> str:
    by_value, by_gain = found.smallest_by_value, found.smallest_by_gain
    kept = f"{percent(found.keep, 0)} of the success rate is kept by {_named(by_value.prompt_ids)}"
    if by_gain is None:
        return f"{kept}. Measured so, choosing among all prompts has no gain that is shown, so there is none to keep."
    fewest, most = found.sizes_by_gain or (0, 0)
    between = f"{fewest} to {most} prompts by the intervals, and by what was measured alone " if fewest < most else ""
    needed = f"{between}{_named(by_gain.prompt_ids)}"
    return f"{kept}. {percent(found.keep, 0)} of the gain over the best single prompt needs {needed}."


def _named(prompt_ids: tuple[str, ...]) -> str:
    if len(prompt_ids) == 1:
        return f"one prompt, {prompt_name(prompt_ids[0])}"
    return f"{len(prompt_ids)} prompts: {', '.join(map(prompt_name, prompt_ids))}"


def _idle(found: Portfolio) -> list[str]:
    sentences = []
    by_gain = found.smallest_by_gain
    kept = {*found.smallest_by_value.prompt_ids, *(by_gain.prompt_ids if by_gain else ())}
    of_kept = [id for id in found.never_chosen if id in kept]
    of_others = [id for id in found.never_chosen if id not in kept]
    if of_kept:
        sentences.append(f"Of these the choice among all prompts never takes {', '.join(map(prompt_name, of_kept))}.")
    if of_others:
        sentences.append(f"Never chosen: {', '.join(map(prompt_name, of_others))}.")
    if found.losing:
        sentences.append(
            f"Worse than the best single prompt where they are chosen: {', '.join(map(prompt_name, found.losing))}."
        )
    return sentences


def _one_more(found: Portfolio) -> str:
    more = found.one_more
    start = (
        f"One more prompt would have to add its successes where the present choice fails, "
        f"{percent(more.failures.value)} of the queries"
    )
    if more.success_if_known is None:
        return f"{start}: not even always succeeding there would add {100 * more.points:.0f} point."
    known = f"to add {100 * more.points:.0f} point it must succeed on {percent(more.success_if_known, 0)} of those"
    if more.success_as_caught is None:
        return (
            f"{start}: {known} if it were known which; with the present choice no success rate is enough for certain."
        )
    return f"{start}: {known} if it were known which, on {percent(more.success_as_caught, 0)} with the present choice."


def _sizes(found: Portfolio) -> Figure:
    columns = (
        Column("n_prompts", "prompts", "count"),
        Column("prompt_ids", "best ones"),
        *estimate_columns("value", "success rate", "share"),
        *estimate_columns("gain", "gain", "points"),
        Column("share_of_gain", "share of gain", "share"),
        Column("agreement", "same choice", "share"),
    )
    rows = tuple(
        (
            each.n_prompts,
            ", ".join(each.prompt_ids),
            *ends(each.value),
            *ends(each.gain),
            None if each.share_of_gain is None else each.share_of_gain.value,
            each.agreement,
        )
        for each in found.sizes
    )
    series = Series(
        "gain",
        [each.n_prompts for each in found.sizes],
        [100 * each.gain.value for each in found.sizes],
        [100 * each.gain.low for each in found.sizes],
        [100 * each.gain.high for each in found.sizes],
    )
    title = "Gain over the best single prompt against the number of prompts kept"
    svg = draw_lines(
        "portfolio", [series], title=title, x_label="prompts kept", y_label="gain, points", zero=True, whole_x=True
    )
    how = "every subset was tried" if found.is_exhaustive else "prompts were added one by one"
    caption = (
        f"The best prompts of each number ({how}), chosen on half of the query groups and measured on the other half, "
        f"in turn; “same choice” says how often both halves preferred the same. {rests_on(found.gain)}"
    )
    return Figure(title, svg, Table("portfolio", caption, columns, rows))


def _contributions(found: Portfolio) -> Table:
    worst = max(found.contributions, key=lambda each: each.loss.value)
    return Table(
        "contributions",
        f"What leaving each prompt out loses; most {signed_points(worst.loss.value)} points with "
        f"{prompt_name(worst.prompt_id)}. {rests_on(worst.loss)}",
        (Column("prompt_id", "prompt"), *estimate_columns("loss", "loss without it", "points")),
        tuple((each.prompt_id, *ends(each.loss)) for each in found.contributions),
    )
