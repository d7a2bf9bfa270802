"""From the options of `export` to a file of logs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import URL

from prompt_oirl.cli.files import STORE_VARIABLE, open_run
from prompt_oirl.cli.render import console
from prompt_oirl.errors import ParameterError
from prompt_oirl.grading import get_grader
from prompt_oirl.runs.export import Export, write_export
from prompt_oirl.serve.decisions.export import DecisionExport, write_decisions
from prompt_oirl.serve.decisions.store import DecisionStore
from prompt_oirl.sources.queries import read_queries
from prompt_oirl.stores.store_url import named_store, parse_store_url, without_password

__all__ = ["check_one_source", "decision_store_url", "export_decisions", "export_run", "print_decision_export"]


def check_one_source(
    run: Path | None, decisions: str | None, *, of_run: Mapping[str, object], of_decisions: Mapping[str, object]
) -> Path | str:
    """Return the run or the store of decisions, of which one is named.

    Raises:
        ParameterError: Both or neither is named, or an option is given that is the other one's.
    """
    if (run is None) == (decisions is None):
        named = "neither is named" if run is None else f"both {run} and {decisions} are named"
        raise ParameterError(f"{named}; name a run, or the store of a service with --decisions")
    others = {name for name, value in (of_decisions if decisions is None else of_run).items() if value}
    if others:
        kind, other = ("run", "decisions") if decisions is None else ("store of decisions", "a run")
        raise ParameterError(f"{run or decisions} is a {kind}; leave out {', '.join(sorted(others))}, for {other} only")
    return run or decisions or ""


def export_run(run: Path, to: Path, *, grader: str | None, ungraded: bool) -> Export:
    """Write the trials of a run."""
    with open_run(run) as opened:
        graded_by = None if grader is None else get_grader(grader)
        return write_export(opened.store, to, grader=graded_by, allow_ungraded=ungraded)


def export_decisions(
    store: str, to: Path, *, queries: Path | None, correct_from: float | None, recommender: str | None
) -> DecisionExport:
    """Write the decisions of a service; of the file of queries only the texts are read."""
    texts = () if queries is None else [each.query for each in read_queries(queries, extra_columns="ignore")]
    with DecisionStore.open(decision_store_url(store, os.environ.get(STORE_VARIABLE)), create=False) as opened:
        return write_decisions(opened, to, queries=texts, correct_from=correct_from, recommender=recommender)


def decision_store_url(given: str, environment_url: str | None) -> URL:
    """Return the address of a store, the environment's if it is the same but for its password.

    Raises:
        ParameterError: It is the address of something else, or has a password where others can see it.
    """
    url = named_store(given)
    theirs = parse_store_url(environment_url) if environment_url else url
    return theirs if without_password(theirs) == without_password(url) else url


def print_decision_export(export: DecisionExport) -> None:
    """Print what was written, and what was left out."""
    out = console()
    out.print(f"{export.path}: {export.n_rows:,} trials, {export.n_with_feedback:,} with feedback", markup=False)
    out.print(
        f"Left out: {export.n_fallbacks:,} fallbacks, {export.n_without_text:,} decisions without the text of their "
        f"query, {export.n_without_prompt:,} without the wording of their prompt, {export.n_playground:,} of the "
        "playground",
        markup=False,
    )
    if export.n_among_some:
        out.print(
            f"Note: {export.n_among_some:,} trials chose among named candidates; their propensity is among these",
            markup=False,
        )
