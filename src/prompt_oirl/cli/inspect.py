"""`prompt-oirl inspect`: what is in a file of logs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prompt_oirl.cli.options import AsJson, ExtraColumns, GraderName, Logs, PromptSet, Seed

if TYPE_CHECKING:
    from prompt_oirl.demonstrations import Demonstrations
    from prompt_oirl.evaluation.headroom import Headroom

__all__ = ["inspect"]


def inspect(
    logs: Logs,
    prompts: PromptSet = None,
    grader: GraderName = None,
    against: Annotated[
        Path | None, typer.Option("--against", help="A second file, such as a test set, to look for in the first.")
    ] = None,
    with_headroom: Annotated[
        bool,
        typer.Option("--headroom", help="Also say what choosing per query could gain over the best prompt."),
    ] = False,
    seed: Seed = 0,
    ignore_extra_columns: ExtraColumns = False,
    as_json: AsJson = False,
) -> None:
    """Say what is in a file of logs: success rates, what is missing, repeats, near-duplicates, overlap.

    With --headroom also what there is to gain by choosing per query, at least and at most, and what could be seen with
    so many queries, prompts and repeated trials. Its floor by cross-validation takes about as long as training.

    Example: prompt-oirl inspect logs.jsonl --against held_out.jsonl --headroom
    """
    from prompt_oirl.cli.files import read_logs
    from prompt_oirl.cli.render import print_inspection, print_json
    from prompt_oirl.inspection import inspect as look

    def read(path: Path) -> Demonstrations:
        return read_logs(path, prompts=prompts, grader=grader, ignore_extra_columns=ignore_extra_columns)

    demonstrations = read(logs)
    found = look(demonstrations, None if against is None else read(against))
    measured = _measure(demonstrations, logs, seed) if with_headroom else None
    if as_json:
        print_json(found.to_dict() | ({} if measured is None else {"headroom": measured.to_dict()}))
        return
    print_inspection(found)
    if measured is not None:
        from prompt_oirl.cli.render_headroom import print_headroom

        print_headroom(measured)


def _measure(demonstrations: Demonstrations, logs: Path, seed: int) -> Headroom:
    """Return the headroom, with the cross-validated default candidates as a floor where they can be fitted."""
    from prompt_oirl.cli.render import working
    from prompt_oirl.errors import DataError, ParameterError
    from prompt_oirl.evaluation.headroom import headroom
    from prompt_oirl.recommender.cross_validated import cross_validated_choices

    try:
        with working(f"cross-validating on {demonstrations.n_queries} queries"):
            policy = cross_validated_choices(demonstrations, seed=seed)
    except (DataError, ParameterError):
        policy = ()  # too little to learn from, which the output shows by the missing floor
    try:
        return headroom(demonstrations, policy=policy, seed=seed)
    except DataError as error:
        raise DataError(f"{logs}: {error}") from error
