"""`prompt-oirl grade`: grade the stored answers of a run, without a call."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prompt_oirl.cli.collect_options import RunFolder
from prompt_oirl.cli.options import AsJson

__all__ = ["grade"]


def grade(
    run: RunFolder,
    grader: Annotated[
        str,
        typer.Option(
            "--grader",
            "-g",
            help="numeric, exact, exact:folded, choice, regex:PATTERN, or published (the paper's).",
            show_default=False,
        ),
    ],
    queries: Annotated[
        Path | None, typer.Option("--queries", help="Queries with corrected gold answers, to be taken over first.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Grade the stored answers of a run, as often as you like; no call is made.

    Shows what changed against the grades before. The latest grades are those that count.

    Example: prompt-oirl grade run/ --grader numeric
    """
    from prompt_oirl.cli.files import open_run
    from prompt_oirl.cli.render import print_json, working
    from prompt_oirl.cli.render_runs import print_regrading
    from prompt_oirl.grading import get_grader
    from prompt_oirl.runs.grading import correct_golds, grade_run
    from prompt_oirl.sources.queries import read_queries

    with open_run(run) as opened, working("grading"):
        if queries is not None:
            correct_golds(opened.store, read_queries(queries))
        regrading = grade_run(opened.store, get_grader(grader), grader)
    if as_json:
        print_json(regrading.to_dict())
    else:
        print_regrading(regrading)
