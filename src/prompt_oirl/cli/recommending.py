"""What `prompt-oirl recommend` does: queries from the command line, or a file of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from prompt_oirl.cli.render import console, error_console, print_json, print_recommendation, shortened
from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.prompts import read_prompts
from prompt_oirl.recommender import Recommendation, Recommender
from prompt_oirl.recommender.batch import BatchReport, recommend_file
from prompt_oirl.recommender.explanation import Explanation
from prompt_oirl.recommender.extra_prompts import unseen_among
from prompt_oirl.records import Prompt

__all__ = ["Asked", "print_explanation", "recommend_in_batch", "recommend_queries"]

_Made = TypeVar("_Made", Recommendation, Explanation)

_STANDARD_INPUT = "-"


@dataclass(frozen=True)
class Asked:
    """What both ways of asking share."""

    folder: Path
    queries: tuple[str, ...]
    prompts: Path | None
    as_json: bool

    def check_queries(self, *, out: Path | None, form: str | None, skip_bad: bool) -> None:
        """Raise unless there are queries, and no option that is for a file of them.

        Raises:
            ParameterError: There are none, or there is such an option.
        """
        if not self.queries:
            raise ParameterError("there is no query; write one or more after the folder, or name a file with --in")
        named = {"--out": out, "--format": form, "--skip-bad": skip_bad or None}
        for_files = [name for name, value in named.items() if value is not None]
        if for_files:
            raise ParameterError(f"{for_files[0]} is for a file of queries; name one with --in, or leave it out")

    def check_batch(self, *, explain: bool) -> None:
        """Raise if there are queries beside the file, or explanations are wanted.

        Raises:
            ParameterError: So it is.
        """
        if self.queries:
            raise ParameterError(f"{self.queries[0][:60]!r} is a query beside --in; leave one of the two out")
        if explain:
            raise ParameterError("--explain is for queries on the command line; leave it or --in out")

    def load(self) -> tuple[Recommender, tuple[Prompt, ...]]:
        """Load the recommender, and the candidates beside its own prompts.

        Raises:
            DataError: Two prompts have one id or one wording; names the file.
        """
        recommender = Recommender.load(self.folder)
        if self.prompts is None:
            return recommender, ()
        prompts = read_prompts(self.prompts)
        try:
            return recommender, unseen_among(prompts, recommender.prompts_)
        except DataError as error:
            raise DataError(f"{self.prompts}: {error}") from error


def recommend_queries(asked: Asked, *, explain: bool) -> None:
    """Recommend a prompt for queries from the command line, and print it."""
    recommender, extra = asked.load()
    if explain:
        explanations = [recommender.explain(query, extra_prompts=extra) for query in asked.queries]
        _print_each(explanations, print_explanation, as_json=asked.as_json)
    else:
        made = recommender.recommend_many(asked.queries, extra_prompts=extra)
        _print_each(made, print_recommendation, as_json=asked.as_json)


def _print_each(made: Sequence[_Made], show: Callable[[_Made], None], *, as_json: bool) -> None:
    if as_json:
        print_json([each.to_dict() for each in made])
        return
    for each in made:
        show(each)


def recommend_in_batch(asked: Asked, source: str, out: Path | None, *, form: str | None, skip_bad: bool) -> None:
    """Recommend a prompt for each query of a file, and say how many there were."""
    recommender, extra = asked.load()
    started = time.monotonic()
    with _progress() as on_progress:
        report = recommend_file(
            recommender,
            sys.stdin.buffer if source == _STANDARD_INPUT else source,
            sys.stdout.buffer if out is None else out,
            form=form,
            extra_prompts=extra,
            skip_bad=skip_bad,
            on_progress=on_progress,
        )
    _print_report(report, asked, out, time.monotonic() - started)


@contextmanager
def _progress() -> Iterator[Callable[[BatchReport, float | None], None]]:
    """Show a bar on a terminal's standard error; elsewhere nothing."""
    out = error_console()
    if not out.is_terminal:
        yield lambda _, __: None
        return
    with Progress(
        BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn(), console=out, transient=True
    ) as bar:
        task = bar.add_task("", total=None)
        yield lambda report, share: bar.update(
            task, completed=share or 0.0, total=None if share is None else 1.0, description=_described(report)
        )


def _described(report: BatchReport) -> str:
    return f"{report.n_recommended:,} recommended, {report.n_skipped:,} skipped"


def _print_report(report: BatchReport, asked: Asked, out: Path | None, seconds: float) -> None:
    say = error_console()
    for problem in report.skipped:
        say.print(f"skipped: {shortened(problem, 300)}", style="dim", markup=False)
    if out is None:
        if report.n_skipped:
            say.print(f"{report.n_skipped} rows were skipped")
        return
    if asked.as_json:
        print_json({"out": str(out), "seconds": seconds, **report.to_dict()})
        return
    skipped = f"; {report.n_skipped} rows were skipped" if report.n_skipped else ""
    rate = report.n_recommended / max(seconds, 1e-9)
    console().print(f"{report.n_recommended} recommendations in {out}, {rate:.0f} a second{skipped}", markup=False)


def print_explanation(explanation: Explanation) -> None:
    """Print the recommendation, every score, the margin, and what each prompt did on the queries most like this one."""
    print_recommendation(explanation.recommendation)
    out = console()
    out.print(
        f"  margin: the highest score is {explanation.margin:.3f} above that of the best single prompt "
        f"{explanation.best_single!r}; over {explanation.head_start:.3f} is needed",
        markup=False,
    )
    if not explanation.has_logged_queries:
        out.print("  The recommender was saved without its training queries (--no-logs).")
    elif not explanation.nearest:
        out.print("  No training query has anything in common with this one.")
    else:
        _print_nearest(explanation)


def _print_nearest(explanation: Explanation) -> None:
    """Print the queries, and of each the successes of trials of the prompts, in the order of their scores."""
    out = console()
    out.print("  The training queries most like it, and successes of trials on each:")
    for query in explanation.nearest:
        out.print(f"  {query.similarity:.2f}  {shortened(query.text, 120)}", markup=False)
        counts = [(each.prompt.id, query.outcomes.get(each.prompt.id)) for each in explanation.scores if each.is_seen]
        tried = [f"{name} {count[1]}/{count[0]}" for name, count in counts if count is not None]
        out.print(f"        {', '.join(tried)}", style="dim", markup=False)
