"""What the commands about runs print."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar
from rich.text import Text

from prompt_oirl.cli.render import console, error_console, interval, percent, points, rate, shortened, table
from prompt_oirl.collect.collected import Collected
from prompt_oirl.collect.critique.evaluation import CritiqueEvaluation
from prompt_oirl.collect.plan.budget import Budget
from prompt_oirl.collect.plan.estimate import Estimate
from prompt_oirl.collect.plan.plan import Plan
from prompt_oirl.collect.progress import Progress
from prompt_oirl.grading import Grade
from prompt_oirl.runs.export import Export
from prompt_oirl.runs.grading import Regrading
from prompt_oirl.runs.spending import Spending

__all__ = [
    "collecting_progress",
    "print_collected",
    "print_critique",
    "print_export",
    "print_plan",
    "print_regrading",
    "say_that_it_drains",
    "say_warning",
]

_SECONDS_BETWEEN_LINES = 10.0


def print_plan(plan: Plan, estimate: Estimate, budget: Budget, *, fraction: float = 1.0) -> None:
    """Print what is there, what is to come and what it may cost; `fraction` is what a strategy buys in all rounds."""
    out, counts = console(), plan.counts
    out.print(
        f"{counts.queries:,} queries × {counts.prompts:,} prompts × {counts.samples} samples: {counts.cells:,} cells"
        + ("" if counts.chosen == counts.cells else f", of which {counts.chosen:,} are wanted so far")
    )
    if fraction < 1:
        out.print(f"The strategy buys about {fraction * counts.cells:,.0f} in all; below is what it has drawn")
    out.print(f"There already: {counts.answered:,} answered, {counts.failed:,} failed")
    out.print(f"Calls to come: {counts.to_come:,}", style="bold")
    out.print(f"Tokens of the requests  {estimate.prompt_tokens:,}  ({estimate.prompt_basis})", markup=False)
    answers = "unknown" if estimate.completion_tokens is None else f"{estimate.completion_tokens:,}"
    out.print(f"Tokens of the answers   {answers}  ({estimate.completion_basis})", markup=False)
    money = "–" if estimate.usd is None else f"{estimate.usd:,.4g} USD"
    out.print(f"Money                   {money}  ({estimate.usd_basis})", markup=False)
    caps = [f"{name} {value:,}" for name, value in vars_of(budget).items() if value is not None]
    if caps:
        out.print(f"Caps on the whole run: {', '.join(caps)}")
    for warning in plan.warnings:
        out.print(f"Note: {warning}", markup=False)
    out.print("Nothing was asked. Leave out --plan to begin.")


def vars_of(budget: Budget) -> dict[str, float | None]:
    """Return the caps by the names of their options."""
    return {"--max-calls": budget.max_calls, "--max-tokens": budget.max_tokens, "--max-usd": budget.max_usd}


@contextmanager
def collecting_progress() -> Iterator[Callable[[Progress], None]]:
    """Show progress on standard error: a live bar on a terminal, else a plain line every ten seconds."""
    out = error_console()
    if not out.is_terminal:
        yield _PlainLines(out).show
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with ProgressBar(*columns, console=out, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda progress: bar.update(
            task, completed=progress.done, total=progress.done + progress.left, description=_described(progress)
        )


class _PlainLines:
    """Prints a line from time to time, and the last one."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._last = time.monotonic()

    def show(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._last >= _SECONDS_BETWEEN_LINES or not progress.left:
            self._last = now
            self._out.print(f"{progress.done} done, {progress.left} left, {_described(progress)}", markup=False)


def _described(progress: Progress) -> str:
    parts = [f"{progress.failed} failed", f"{progress.per_second:.1f}/s", f"{progress.tokens:,} tokens"]
    if progress.usd is not None:
        parts.append(f"{progress.usd:.4g} USD spent, {progress.projected_usd or 0:.4g} projected")
    return ", ".join([*parts, f"{progress.limit} at once"])


def print_collected(collected: Collected, *, next_step: str | None = None) -> None:
    """Print how a collection ended, and what to do next."""
    out, spending = console(), collected.spending
    if collected.ending == "done" and not collected.n_calls:
        out.print("All is there: no call was made.")
    elif collected.ending == "done":
        out.print(f"Done: {collected.n_calls:,} calls made.")
    elif collected.ending == "budget":
        out.print(f"The budget is reached ({collected.refusal}); {collected.to_come:,} calls are left.", markup=False)
        out.print("Run the same command with a higher cap to go on.")
    else:
        out.print(f"Stopped after {collected.n_calls:,} calls; {collected.to_come:,} are left.")
        out.print("Run the same command to go on.")
    out.print(f"The run holds {_spent(spending, collected.usd)}")
    if spending.failed:
        out.print(f"{spending.failed:,} calls have failed and count as missing; --retry-failed asks them again.")
    if next_step is not None:
        out.print(f"Next: {next_step}", markup=False)


def _spent(spending: Spending, usd: float | None) -> str:
    money = "" if usd is None else f", {usd:.4g} USD"
    uncounted = f" ({spending.uncounted:,} answers came without a count)" if spending.uncounted else ""
    return (
        f"{spending.answered:,} answers, {spending.failed:,} failures: {spending.requests:,} requests, "
        f"{spending.tokens:,} tokens{uncounted}{money}"
    )


def print_regrading(regrading: Regrading) -> None:
    """Print what the grades are, and what changed against the grades before."""
    out = console()
    rows = [
        (
            each.prompt_id,
            "–" if each.success_rate is None else percent(each.success_rate),
            "–" if each.success_rate_before is None else percent(each.success_rate_before),
            str(each.n_correct),
            str(each.n_wrong),
            str(each.n_unparsed),
        )
        for each in regrading.prompts
    ]
    columns = ("prompt", "success rate", "before", "correct", "wrong", "unparsed")
    # A title is markup: the [a-z] of a pattern would be missing from it.
    out.print(table(f"{regrading.n_answers:,} answers graded with {escape(regrading.grader)}", columns, rows))
    if regrading.n_cut:
        out.print(
            f"{regrading.n_cut:,} answers were cut at the token limit, {regrading.n_cut_unparsed:,} of them unparsed"
        )
    if regrading.n_failures:
        out.print(f"{regrading.n_failures:,} calls have no answer, and no grade")
    if regrading.grader_before is None:
        return
    out.print(
        f"Against {regrading.grader_before}: {regrading.n_changed:,} changed, {regrading.n_new:,} new", markup=False
    )
    for before, row in regrading.changes.items():
        for after, n_answers in row.items():
            if after is not before and n_answers:
                out.print(f"  {before.value} → {after.value}: {n_answers:,}")
                _print_examples(out, regrading, before, after)


def _print_examples(out: Console, regrading: Regrading, before: Grade, after: Grade) -> None:
    of_kind = [each for each in regrading.examples if (each.before, each.after) == (before, after)]
    for each in of_kind[:2]:
        end = shortened(each.answer[-120:], 120)
        out.print(f"    {each.prompt_id}, gold {each.gold}: …{end}", markup=False, style="dim")


def print_export(export: Export) -> None:
    """Print what was written."""
    console().print(
        f"{export.path}: {export.n_rows:,} trials, {export.n_answers:,} answers ({export.n_unparsed:,} unparsed, "
        f"{export.n_ungraded:,} ungraded), {export.n_failures:,} failures",
        markup=False,
    )


def print_critique(evaluation: CritiqueEvaluation) -> None:
    """Print what choosing by the LLM's critique of its own answers is worth, and what it costs."""
    out, critiques = console(), evaluation.critiques
    out.print(
        f"Critiques: {critiques.n_parsed:,} of {critiques.n_answers:,} answers, {critiques.n_unparsed:,} could not be "
        f"read, {critiques.n_failed:,} failed, {critiques.n_missing:,} not asked"
    )
    rows = [
        ("most confident answer (LMSC)", rate(evaluation.value), f"{evaluation.spending_on_answers.requests:,}"),
        ("best single prompt", rate(evaluation.baseline_value), "–"),
    ]
    out.print(table("Self-critique", ("policy", "success rate", "requests for answers"), rows))
    gain = evaluation.gain
    out.print(
        f"Gain  {points(gain.value)} points, {gain.level:.0%} interval {interval(gain)}", markup=False, style="bold"
    )
    out.print(
        f"It needs the answers of all prompts, and {critiques.spending.requests:,} requests with "
        f"{critiques.spending.tokens:,} tokens to judge them"
    )


def say_warning(message: str) -> None:
    """Say on standard error what looks wrong, though calls may succeed."""
    error_console().print(Text.assemble(("warning:", "bold yellow"), " ", message))


def say_that_it_drains() -> None:
    """Say what the first Ctrl-C waits for."""
    error_console().print("stopping: waiting for the calls under way; press Ctrl-C again to stop at once")
