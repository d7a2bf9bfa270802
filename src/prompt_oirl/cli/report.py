"""`prompt-oirl report`: whether choosing the prompt per query pays, on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prompt_oirl.cli.options import AsJson, DropSeen, ExtraColumns, GraderName, Logs, PromptSet, Seed

__all__ = ["report"]


def report(
    logs: Logs,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Page to write; the same as JSON goes beside it, under its name.")
    ] = Path("report.html"),
    recommender: Annotated[
        Path | None,
        typer.Option(
            "--recommender", help="Judge this saved recommender; without it, what training on such logs would give."
        ),
    ] = None,
    drop_seen: DropSeen = False,
    prompts: PromptSet = None,
    grader: GraderName = None,
    ignore_extra_columns: ExtraColumns = False,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Say on one page whether choosing the prompt per query pays: a verdict, and all that it rests on.

    The page needs no network, and offers the numbers of every figure as CSV. The same is written as JSON beside it.

    Example: prompt-oirl report logs.jsonl -o report.html

    Example: prompt-oirl report held_out.jsonl --recommender recommender/ -o report.html
    """
    from prompt_oirl.cli.files import LogFiles
    from prompt_oirl.cli.render import print_json
    from prompt_oirl.cli.render_report import print_report
    from prompt_oirl.cli.reporting import make_report

    files = LogFiles(logs, prompts, grader, ignore_extra_columns)
    made = make_report(files, out, recommender=recommender, drop_seen=drop_seen, seed=seed)
    if as_json:
        print_json(made.to_dict())
    else:
        print_report(made.verdict, made.page, made.beside)
