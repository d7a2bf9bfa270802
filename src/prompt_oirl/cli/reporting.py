"""What `prompt-oirl report` does: judge logs, or a recommender on held-out logs, and write the page."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from prompt_oirl.cli.files import LogFiles, read_answers
from prompt_oirl.cli.held_out import held_out_part, with_way_out
from prompt_oirl.cli.render import working
from prompt_oirl.errors import ParameterError
from prompt_oirl.optional import import_optional
from prompt_oirl.recommender import Recommender
from prompt_oirl.report import Verdict, give_verdict, make_findings, write_report
from prompt_oirl.report.page import check_page_name

__all__ = ["Reported", "make_report"]


class Reported(NamedTuple):
    """What was found, and where it was written."""

    verdict: Verdict
    page: Path
    beside: Path
    """The same as JSON."""


def make_report(files: LogFiles, out: Path, *, recommender: Path | None, drop_seen: bool, seed: int) -> Reported:
    """Judge logs, or a saved recommender on them, and write the page and its JSON.

    Raises:
        ParameterError: The page has a wrong suffix, or there is no recommender that could have seen queries.
        LeakageError: Queries were in training, and are not to be left out.
        DataError: All queries were in training, or there is nothing to judge.
        MissingDependencyError: The packages that pages are made with are not installed.
    """
    check_page_name(out)
    for module in ("jinja2", "matplotlib"):
        import_optional(module, extra="report")
    if drop_seen and recommender is None:
        raise ParameterError("--drop-seen is about a recommender's training queries; name it with --recommender")
    judged = None if recommender is None else Recommender.load(recommender)
    part = held_out_part(judged, files, drop_seen=drop_seen)
    with with_way_out(files.logs), working(f"judging {part.demonstrations.n_queries} queries"):
        findings = make_findings(
            part.demonstrations,
            source=str(files.logs),
            recommender=judged,
            recommender_name=None if recommender is None else str(recommender),
            answers=read_answers(files.logs, prompts=files.prompts),
            n_dropped_as_seen=part.n_dropped,
            seed=seed,
            made_on=f"{datetime.now(UTC):%Y-%m-%d}",
        )
        page, beside = write_report(findings, out)
    return Reported(give_verdict(findings), page, beside)
