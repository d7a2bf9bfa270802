"""`prompt-oirl evaluate`: what a saved recommender is worth on held-out logs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prompt_oirl.cli import off_policy_options as given
from prompt_oirl.cli.options import AsJson, DropSeen, ExtraColumns, GraderName, PromptSet, Seed

__all__ = ["evaluate"]


def evaluate(
    folder: Annotated[Path, typer.Argument(help="A recommender that `train` saved.", show_default=False)],
    logs: given.LogsOrDecisions,
    prompts: PromptSet = None,
    grader: GraderName = None,
    ignore_extra_columns: ExtraColumns = False,
    drop_seen: DropSeen = False,
    off_policy: given.OffPolicy = False,
    direct_method_only: given.DirectMethodOnly = False,
    clip: given.Clip = None,
    propensity_of: given.KindOfPropensity = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Evaluate a recommender on logs that it has not learnt from, against the best single prompt.

    Queries that were in training, or differ from one only in numbers, case or punctuation, are refused.

    Example: prompt-oirl evaluate recommender/ held_out.jsonl

    Example: prompt-oirl evaluate recommender/ decisions.parquet --off-policy
    """
    from prompt_oirl.cli import evaluating
    from prompt_oirl.cli.files import LogFiles
    from prompt_oirl.cli.render import console, print_evaluation, print_json
    from prompt_oirl.cli.render_off_policy import print_off_policy

    files = LogFiles(logs, prompts, grader, ignore_extra_columns)
    if off_policy:
        found = evaluating.off_policy(
            folder,
            files,
            propensity_of=None if propensity_of is None else propensity_of.value,
            drop_seen=drop_seen,
            direct_method_only=direct_method_only,
            clip=clip or 0.0,
            seed=seed,
        )
        if as_json:
            print_json(found.evaluation.to_dict() | {"n_dropped_as_seen": found.n_dropped})
            return
        if drop_seen:
            console().print(f"{found.n_dropped} queries were in training and are left out.")
        print_off_policy(found.evaluation)
        return
    evaluating.check_no_off_policy_options(direct_method_only=direct_method_only, clip=clip, kind=propensity_of)
    evaluation, n_dropped, n_queries = evaluating.on_grid(folder, files, drop_seen=drop_seen, seed=seed)
    if as_json:
        print_json(evaluation.to_dict() | {"n_dropped_as_seen": n_dropped})
        return
    if drop_seen:
        console().print(f"{n_dropped} of {n_queries} queries were in training and are left out.")
    print_evaluation(evaluation)
