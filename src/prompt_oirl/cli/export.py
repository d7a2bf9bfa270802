"""`prompt-oirl export`: write a run as a file of logs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prompt_oirl.cli.collect_options import RunFolder
from prompt_oirl.cli.options import AsJson

__all__ = ["export"]


def export(
    run: RunFolder,
    to: Annotated[Path, typer.Option("--to", help="File to write: .jsonl or .parquet.", show_default=False)],
    grader: Annotated[str | None, typer.Option("--grader", help="Grade anew for this file, and store nothing.")] = None,
    ungraded: Annotated[
        bool, typer.Option("--ungraded", help="Write answers without a grade too, with an empty `correct`.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write every trial of a run, with its answer, reward and propensity, as a file that other commands read.

    Example: prompt-oirl export run/ --to demonstrations.parquet
    """
    from prompt_oirl.cli.files import open_run
    from prompt_oirl.cli.render import print_json
    from prompt_oirl.cli.render_runs import print_export
    from prompt_oirl.grading import get_grader
    from prompt_oirl.runs.export import write_export

    with open_run(run) as opened:
        graded_by = None if grader is None else get_grader(grader)
        written = write_export(opened.store, to, grader=graded_by, allow_ungraded=ungraded)
    if as_json:
        print_json(written.to_dict())
    else:
        print_export(written)
