"""`prompt-oirl inspect`: what is in a file of logs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prompt_oirl.cli.options import AsJson, ExtraColumns, GraderName, Logs, PromptSet

if TYPE_CHECKING:
    from prompt_oirl.demonstrations import Demonstrations

__all__ = ["inspect"]


def inspect(
    logs: Logs,
    prompts: PromptSet = None,
    grader: GraderName = None,
    against: Annotated[
        Path | None, typer.Option("--against", help="A second file, such as a test set, to look for in the first.")
    ] = None,
    ignore_extra_columns: ExtraColumns = False,
    as_json: AsJson = False,
) -> None:
    """Say what is in a file of logs: success rates, what is missing, repeats, near-duplicates, overlap.

    Example: prompt-oirl inspect logs.jsonl --against held_out.jsonl
    """
    from prompt_oirl.cli.files import read_logs
    from prompt_oirl.cli.render import print_inspection, print_json
    from prompt_oirl.inspection import inspect as look

    def read(path: Path) -> Demonstrations:
        return read_logs(path, prompts=prompts, grader=grader, ignore_extra_columns=ignore_extra_columns)

    found = look(read(logs), None if against is None else read(against))
    if as_json:
        print_json(found.to_dict())
    else:
        print_inspection(found)
