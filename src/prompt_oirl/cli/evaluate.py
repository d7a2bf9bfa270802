"""`prompt-oirl evaluate`: what a saved recommender is worth on held-out logs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prompt_oirl.cli.options import AsJson, ExtraColumns, GraderName, Logs, PromptSet, Seed

__all__ = ["evaluate"]


def evaluate(
    folder: Annotated[Path, typer.Argument(help="A recommender that `train` saved.", show_default=False)],
    logs: Logs,
    prompts: PromptSet = None,
    grader: GraderName = None,
    ignore_extra_columns: ExtraColumns = False,
    drop_seen: Annotated[
        bool, typer.Option("--drop-seen", help="Leave out queries that were in training, instead of refusing.")
    ] = False,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Evaluate a recommender on logs that it has not learnt from, against the best single prompt.

    Queries that were in training, or differ from one only in numbers, case or punctuation, are refused.

    Example: prompt-oirl evaluate recommender/ held_out.jsonl
    """
    from prompt_oirl.cli.files import read_logs
    from prompt_oirl.cli.render import console, print_evaluation, print_json
    from prompt_oirl.errors import DataError, LeakageError
    from prompt_oirl.recommender import Recommender

    recommender = Recommender.load(folder)
    demonstrations = read_logs(logs, prompts=prompts, grader=grader, ignore_extra_columns=ignore_extra_columns)
    test = recommender.unseen(demonstrations) if drop_seen else demonstrations
    n_dropped = demonstrations.n_queries - test.n_queries
    if not test.n_queries:
        raise DataError(f"{logs}: all {n_dropped} queries were in training; name logs of other queries")
    try:
        evaluation = recommender.evaluate(test, seed=seed)
    except LeakageError as error:
        raise LeakageError(f"{logs}: {error}: add --drop-seen") from error
    if as_json:
        print_json(evaluation.to_dict() | {"n_dropped_as_seen": n_dropped})
        return
    if drop_seen:
        console().print(f"{n_dropped} of {demonstrations.n_queries} queries were in training and are left out.")
    print_evaluation(evaluation)
