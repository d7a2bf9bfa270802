"""`prompt-oirl export`: write a run, or the decisions of a service, as a file of logs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from prompt_oirl.cli.options import AsJson

__all__ = ["export"]


def export(
    to: Annotated[Path, typer.Option("--to", help="File to write: .jsonl or .parquet.", show_default=False)],
    run: Annotated[Path | None, typer.Argument(help="A run that `collect` made.", show_default=False)] = None,
    grader: Annotated[
        str | None, typer.Option("--grader", help="Of a run: grade anew for this file, and store nothing.")
    ] = None,
    ungraded: Annotated[
        bool, typer.Option("--ungraded", help="Of a run: write answers without a grade too, with an empty `correct`.")
    ] = False,
    decisions: Annotated[
        str | None,
        typer.Option(
            "--decisions",
            help="Instead of a run: the store that `serve` was given, a SQLite file or an address without a password; "
            "$PROMPT_OIRL_STORE may have one.",
        ),
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option("--queries", "-q", help="Of decisions: a file with the queries whose texts were not logged."),
    ] = None,
    correct_from: Annotated[
        float | None,
        typer.Option("--correct-from", help="Of decisions: the lowest reward that counts as correct; else 1 and 0."),
    ] = None,
    recommender: Annotated[
        str | None, typer.Option("--recommender", help="Of decisions: only those of this version.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write every trial of a run, or every decision of a service, with its reward and propensity, as a file of logs.

    Example: prompt-oirl export run/ --to demonstrations.parquet

    Example: prompt-oirl export --decisions recommender-decisions.sqlite --to decisions.parquet
    """
    from prompt_oirl.cli import exporting
    from prompt_oirl.cli.render import print_json
    from prompt_oirl.cli.render_runs import print_export

    source = exporting.check_one_source(
        run,
        decisions,
        of_run={"--grader": grader, "--ungraded": ungraded},
        of_decisions={"--queries": queries, "--correct-from": correct_from, "--recommender": recommender},
    )
    if isinstance(source, Path):
        of_run = exporting.export_run(source, to, grader=grader, ungraded=ungraded)
        written, show = of_run.to_dict(), partial(print_export, of_run)
    else:
        of_decisions = exporting.export_decisions(
            source, to, queries=queries, correct_from=correct_from, recommender=recommender
        )
        written, show = of_decisions.to_dict(), partial(exporting.print_decision_export, of_decisions)
    if as_json:
        print_json(written)
    else:
        show()
