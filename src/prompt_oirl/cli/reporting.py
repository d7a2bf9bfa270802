"""What `prompt-oirl report` does: judge logs, or a recommender on held-out logs, and write the page."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from prompt_oirl.cli.files import LogFiles, read_answers
from prompt_oirl.cli.held_out import held_out_part, with_way_out
from prompt_oirl.cli.render import working
from prompt_oirl.errors import ParameterError, UnequalPropensityWarning
from prompt_oirl.optional import import_optional
from prompt_oirl.recommender import Recommender
from prompt_oirl.report import Verdict, give_verdict, make_findings, write_report
from prompt_oirl.report.page import check_target

__all__ = ["Reported", "make_report"]


class Reported(NamedTuple):
    """What was found, and where it was written."""

    verdict: Verdict
    page: Path
    beside: Path
    """The same as JSON."""

    warnings: tuple[str, ...]
    """What is wrong with the logs."""

    def to_dict(self) -> dict[str, Any]:
        """Return what the command prints as JSON."""
        return {
            "page": str(self.page),
            "json": str(self.beside),
            "verdict": self.verdict.to_dict(),
            "warnings": list(self.warnings),
        }


def make_report(files: LogFiles, out: Path, *, recommender: Path | None, drop_seen: bool, seed: int) -> Reported:
    """Judge logs, or a saved recommender on them, and write the page and its JSON.

    Raises:
        ParameterError: The page cannot be written where it is to go, or there is no recommender that could have seen
            queries.
        LeakageError: Queries were in training, and are not to be left out.
        DataError: All queries were in training, or there is nothing to judge.
        MissingDependencyError: The packages that pages are made with are not installed.
    """
    check_target(out)
    for module in ("jinja2", "matplotlib"):
        import_optional(module, extra="report")
    if drop_seen and recommender is None:
        raise ParameterError("--drop-seen is about a recommender's training queries; name it with --recommender")
    judged = None if recommender is None else Recommender.load(recommender)
    with _heard() as said:
        part = held_out_part(judged, files, drop_seen=drop_seen)
    with with_way_out(files.logs), working(f"judging {part.demonstrations.n_queries} queries"):
        findings = make_findings(
            part.demonstrations,
            source=str(files.logs),
            recommender=judged,
            recommender_name=None if recommender is None else str(recommender),
            answers=read_answers(files.logs, prompts=files.prompts),
            grader=files.grader,
            warnings=said,
            n_dropped_as_seen=part.n_dropped,
            seed=seed,
            made_on=f"{datetime.now(UTC):%Y-%m-%d}",
        )
        page, beside = write_report(findings, out)
    return Reported(give_verdict(findings), page, beside, findings.warnings)


@contextmanager
def _heard() -> Iterator[list[str]]:
    """Yield a list of what is said of biased rates within the block, which is complete when the block has ended.

    All warnings are given after the block, as if nobody had listened.
    """
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UnequalPropensityWarning)
        yield said
    for each in caught:
        if issubclass(each.category, UnequalPropensityWarning):
            said.append(str(each.message))
        warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
