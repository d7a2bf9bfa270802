"""`prompt-oirl train`: learn a recommender from logs and save it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prompt_oirl.cli.options import AsJson, ExtraColumns, GraderName, Logs, Overwrite, PromptSet, Seed

__all__ = ["train"]


def train(
    logs: Logs,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.", show_default=False)],
    prompts: PromptSet = None,
    grader: GraderName = None,
    ignore_extra_columns: ExtraColumns = False,
    test_size: Annotated[
        float, typer.Option("--test-size", help="Fraction of the queries to hold out and evaluate on; 0 for none.")
    ] = 0.0,
    confidence: Annotated[
        float,
        typer.Option("--confidence", help="Of the lower bound that must be above zero for prompts to differ by query."),
    ] = 0.95,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    no_logs: Annotated[
        bool,
        typer.Option(
            "--no-logs", help="Do not keep the queries in the folder; then --explain cannot show any of them."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Learn which prompt works for which query, and save a recommender.

    Chooses among reward models by cross-validated gain over the best single prompt. If none is shown to gain, the
    recommender answers with the best single prompt and says so.

    Example: prompt-oirl train logs.jsonl --out recommender/ --test-size 0.3
    """
    from prompt_oirl.cli.files import check_free, read_logs
    from prompt_oirl.cli.render import console, print_evaluation, print_json, print_selection, working
    from prompt_oirl.errors import DataError
    from prompt_oirl.recommender import Recommender

    check_free(out, overwrite=overwrite)
    demonstrations = read_logs(logs, prompts=prompts, grader=grader, ignore_extra_columns=ignore_extra_columns)
    training, test = demonstrations.split(test_size=test_size, seed=seed) if test_size else (demonstrations, None)
    try:
        with working(f"choosing a reward model by cross-validation on {training.n_queries} queries"):
            recommender = Recommender(confidence=confidence, seed=seed).fit(training)
    except DataError as error:
        raise DataError(f"{logs}: {error}") from error
    evaluation = None if test is None else recommender.evaluate(test, seed=seed)
    recommender.save(out, overwrite=overwrite, with_demonstrations=not no_logs)
    if as_json:
        print_json(
            {
                "folder": str(out),
                "selection": recommender.selection_.to_dict(),
                "evaluation": None if evaluation is None else evaluation.to_dict(),
            }
        )
        return
    print_selection(recommender.selection_)
    if evaluation is not None:
        print_evaluation(evaluation)
    console().print(f'Saved to {out}. Next: prompt-oirl recommend {out} "your query"', markup=False)
