"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

import io
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import Progress
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from prompt_oirl.errors import UnequalPropensityWarning
from prompt_oirl.evaluation import Estimate, Evaluation
from prompt_oirl.inspection import Inspection
from prompt_oirl.recommender import Recommendation
from prompt_oirl.reproduction.rows import ResultRow
from prompt_oirl.selection import Contest, Selection

__all__ = [
    "console",
    "error_console",
    "interval",
    "percent",
    "points",
    "print_error",
    "print_evaluation",
    "print_inspection",
    "print_json",
    "print_recommendation",
    "print_reproduction",
    "print_selection",
    "print_warning",
    "progress_bar",
    "rate",
    "shortened",
    "table",
    "tolerate_encoding",
    "working",
]

_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}
"""Of control characters, which a terminal would obey; logs hold whatever anyone has asked."""

_C1_IN_JSON = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}
"""Of those that `json.dumps` leaves as they are."""


class _Console(Console):
    """Shows control characters in what it prints as escapes."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else text.translate(_ESCAPES), style, control)


def console() -> Console:
    """Return the console that results go to: no emoji codes, and control characters as escapes."""
    return _Console(highlight=False, soft_wrap=True, emoji=False)


def error_console() -> Console:
    """Return the console that errors and progress go to."""
    return _Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def tolerate_encoding() -> None:
    """Print what the terminal's encoding lacks as escapes, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_error(message: str) -> None:
    """Print one line on standard error, whatever lines the message has."""
    line = " ".join(part.strip() for part in message.splitlines())
    error_console().print(Text.assemble(("error:", "bold red"), " ", line))


def print_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,  # noqa: ARG001 - where it was raised does not help a user of the command line
    lineno: int,  # noqa: ARG001
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    """Print a warning of this package as one line on standard error; those of others are not the user's business."""
    if issubclass(category, UnequalPropensityWarning):
        error_console().print(Text.assemble(("warning:", "bold yellow"), " ", str(message)))


def print_json(value: Any) -> None:
    """Print JSON on standard output and nothing else; what is not a number becomes null."""
    can_print_all = (sys.stdout.encoding or "utf-8").lower().startswith("utf")
    text = json.dumps(_finite(value), ensure_ascii=not can_print_all, indent=2)
    sys.stdout.write(text.translate(_C1_IN_JSON) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def percent(value: float) -> str:
    """Return a fraction as a percentage with one decimal."""
    return "–" if math.isnan(value) else f"{100 * value:.1f} %"


def points(value: float) -> str:
    """Return a difference of fractions in percentage points, with its sign."""
    return f"{round(100 * value, 1) + 0.0:+.1f}"  # plus 0.0 turns -0.0 into 0.0


def rate(estimate: Estimate | None) -> str:
    """Return a success rate in per cent with its interval, a dash where there is none."""
    if estimate is None:
        return "–"
    return f"{percent(estimate.value)} [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def interval(estimate: Estimate) -> str:
    """Return the interval of a gain in percentage points."""
    return f"[{points(estimate.low)}, {points(estimate.high)}]"


def shortened(text: str, length: int = 160) -> str:
    """Return a text on one line, cut where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1]}…"


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Make a table whose first column is text and whose others are figures; nothing in it is markup."""
    made = Table(title=title, title_justify="left", title_style="bold", show_edge=False, pad_edge=False)
    for position, column in enumerate(columns):
        made.add_column(Text(column), justify="right" if position else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell.translate(_ESCAPES)) for cell in row))
    return made


@contextmanager
def working(what: str) -> Iterator[None]:
    """Say on a terminal's standard error that something takes a while; elsewhere say nothing."""
    out = error_console()
    with out.status(what) if out.is_terminal else nullcontext():
        yield


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int, str], None]]:
    """Show progress on standard error; yields a function of done, total and what was done last.

    Without a terminal every twentieth of the work is a plain line.
    """
    out = error_console()
    if not out.is_terminal:
        yield lambda done, total, last: _plain_progress(out, title, done, total, last)
        return
    with Progress(console=out, transient=True) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total, last: progress.update(
            task, completed=done, total=total, description=f"{title} ({last})"
        )


def _plain_progress(out: Console, title: str, done: int, total: int, last: str) -> None:
    step = max(1, total // 20)
    if done % step == 0 or done == total:
        out.print(f"{title}: {done} of {total} ({last})", markup=False)


def print_selection(selection: Selection) -> None:
    """Print what was tried in cross-validation, the best head start of each candidate, and the verdict."""
    by_candidate: dict[str, Contest] = {}
    for contest in selection.contests:
        by_candidate[contest.candidate] = max(
            by_candidate.get(contest.candidate, contest), contest, key=lambda each: (each.low, each.head_start)
        )
    rows = [
        (name, f"{contest.head_start:.2f}", points(contest.gain.value), points(contest.low))
        for name, contest in by_candidate.items()
    ]
    out = console()
    columns = ("reward model", "head start", "gain", "lower bound")
    out.print(table("Cross-validated gain over the best single prompt, points", columns, rows))
    out.print(selection.rests_on.capitalize(), markup=False)
    if selection.pays:
        out.print(f"Choosing per query pays: {selection.best.candidate} is used.", markup=False)
    else:
        out.print("No reward model has been shown to beat the best single prompt: that prompt is used for every query.")


def print_evaluation(evaluation: Evaluation) -> None:
    """Print the policy's value, its gain with both intervals, what a perfect choice would add, and the win map."""
    out = console()
    gain = evaluation.gain
    out.print(f"Success rate of the recommended prompts  {rate(evaluation.value)}", markup=False)
    out.print(f"Success rate of the best single prompt   {rate(evaluation.baseline_value)}", markup=False)
    out.print(
        f"Gain  {points(gain.value)} points, {gain.level:.0%} interval {interval(gain)}, "
        f"by bootstrap {interval(evaluation.gain_by_bootstrap)}",
        markup=False,
        style="bold",
    )
    left_out = f"; {gain.n_left_out} queries left out" if gain.n_left_out else ""
    out.print(f"on {gain.n_queries} queries in {gain.n_groups} groups, {gain.n_trials} trials{left_out}")
    if gain.caveat is not None:
        out.print(f"Beware: {gain.caveat}. Evaluate on more distinct queries.", markup=False)
    out.print(
        f"The luckiest choice on these very samples would succeed {100 * evaluation.regret.value:.1f} points more "
        "often, sampling noise included."
    )
    rows = [
        (wins.prompt_id, str(wins.n_queries), rate(wins.value), rate(wins.baseline_value))
        for wins in evaluation.win_map
    ]
    columns = ("prompt", "queries", "success rate", "best single prompt there")
    out.print(table("Where each prompt is chosen", columns, rows))


def print_inspection(inspection: Inspection) -> None:
    """Print what is in the logs."""
    out = console()
    out.print(
        f"{inspection.n_queries} queries × {inspection.n_prompts} prompts: {inspection.n_trials} trials with a reward, "
        f"{inspection.n_unscored} without (errors, unparsed), {inspection.n_untried_cells} cells not tried"
    )
    rows = [
        (counts.id, rate(counts.success_rate), str(counts.trials), str(counts.unscored), str(counts.untried))
        for counts in inspection.prompts
    ]
    out.print(table("Prompts", ("prompt", "success rate", "trials", "unscored", "untried"), rows))
    if inspection.equal_reward is not None:
        what = "right" if inspection.equal_reward else "wrong"
        out.print(f"Every answer counts as {what}: check the grader and the labels first.", style="bold")
    repeats, duplicates = inspection.repeats, inspection.duplicates
    agreement = "" if repeats.agreement is None else f"; two of them agree {rate(repeats.agreement)} of the time"
    out.print(f"Repeats: {repeats.n_cells} cells have more than one trial{agreement}", markup=False)
    out.print(
        f"Near-duplicates: {inspection.n_queries} queries in {duplicates.n_groups} groups; "
        f"{duplicates.n_queries_in_them} queries share theirs with another"
    )
    for group in duplicates.largest[:3]:
        out.print(f"  {group.n_queries} × {shortened(group.examples[0], 72)}", markup=False, style="dim")
    if inspection.overlap is not None:
        overlap = inspection.overlap
        out.print(
            f"Overlap: of {overlap.n_queries} queries in the second file, {overlap.n_same_text} are here word for "
            f"word, {overlap.n_same_template} up to numbers, case and punctuation"
        )
        if overlap.conflicting_prompts:
            out.print(
                f"Prompts that are worded otherwise there: {', '.join(overlap.conflicting_prompts)}", markup=False
            )


def print_recommendation(recommendation: Recommendation) -> None:
    """Print the query, the prompt with its wording, the reason, and how the prompts compare."""
    out = console()
    out.print(shortened(recommendation.query.text), style="dim", markup=False)
    out.print(f"→ {recommendation.prompt.id}: {shortened(recommendation.prompt.text)}", markup=False)
    out.print(f"  {recommendation.reason}", markup=False)
    ranking = [(recommendation.prompt.id, recommendation.score, recommendation.is_seen)]
    ranking += [(other.prompt.id, other.score, other.is_seen) for other in recommendation.runners_up]
    scores = [
        f"{name} {'–' if math.isnan(score) else f'{score:.3f}'}{'' if is_seen else ' (not in training)'}"
        for name, score, is_seen in ranking
    ]
    out.print(f"  scores: {', '.join(scores)}", style="dim", markup=False)


def print_reproduction(rows: Sequence[ResultRow]) -> None:
    """Print the leak-free gains with all prompts, the table that matters, and how many rows each table has."""
    places: dict[tuple[str, str], list[ResultRow]] = {}
    for row in _with_all_prompts([row for row in rows if row.table == "leak_free" and row.gain is not None]):
        places.setdefault((row.llm, row.protocol), []).append(row)
    out = console()
    columns = ("dataset", "method", "success rate", "gain", "95 % interval", "queries")
    for (llm, protocol), of_place in places.items():
        cells = [_gain_cells(row) for row in of_place]
        title = f"{llm}, {protocol.replace('_', ' ')}: gain over the best single prompt, points"
        out.print(table(title, columns, cells))
    counts = Counter(row.table for row in rows)
    out.print("Rows: " + ", ".join(f"{name} {count}" for name, count in counts.items()))


def _with_all_prompts(rows: Sequence[ResultRow]) -> list[ResultRow]:
    """Return the rows of the largest subset of prompts of each LLM and data set."""
    largest: dict[tuple[str, str], int] = {}
    for row in rows:
        largest[row.llm, row.dataset] = max(row.k or 0, largest.get((row.llm, row.dataset), 0))
    return [row for row in rows if row.k == largest[row.llm, row.dataset]]


def _gain_cells(row: ResultRow) -> tuple[str, ...]:
    value, gain, low, high = (math.nan if end is None else end for end in (row.value, row.gain, row.low, row.high))
    return (
        row.dataset,
        row.method,
        percent(value),
        points(gain),
        f"[{points(low)}, {points(high)}]",
        str(row.n_queries),
    )
