"""`prompt-oirl report`: whether choosing the prompt per query pays, on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prompt_oirl.cli.options import AsJson, ExtraColumns, GraderName, Logs, PromptSet, Seed

__all__ = ["report"]


def report(
    logs: Logs,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Page to write; report.json goes beside it.", show_default=False)
    ] = Path("report.html"),
    recommender: Annotated[
        Path | None,
        typer.Option(
            "--recommender", help="Judge this saved recommender; without it, what training on such logs would give."
        ),
    ] = None,
    drop_seen: Annotated[
        bool, typer.Option("--drop-seen", help="Leave out queries that were in training, instead of refusing.")
    ] = False,
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
    from datetime import UTC, datetime

    from prompt_oirl.cli.files import read_answers, read_logs
    from prompt_oirl.cli.render import print_json, working
    from prompt_oirl.cli.render_report import print_report
    from prompt_oirl.errors import DataError, LeakageError, ParameterError
    from prompt_oirl.optional import import_optional
    from prompt_oirl.recommender import Recommender
    from prompt_oirl.report import give_verdict, make_findings, write_report
    from prompt_oirl.report.page import check_page_name

    check_page_name(out)
    for module in ("jinja2", "matplotlib"):
        import_optional(module, extra="report")
    if drop_seen and recommender is None:
        raise ParameterError("--drop-seen is about a recommender's training queries; name it with --recommender")
    demonstrations = read_logs(logs, prompts=prompts, grader=grader, ignore_extra_columns=ignore_extra_columns)
    judged = None if recommender is None else Recommender.load(recommender)
    test = judged.unseen(demonstrations) if judged is not None and drop_seen else demonstrations
    n_dropped = demonstrations.n_queries - test.n_queries
    if not test.n_queries:
        raise DataError(f"{logs}: all {n_dropped} queries were in training; name logs of other queries")
    try:
        with working(f"judging {test.n_queries} queries"):
            findings = make_findings(
                test,
                source=str(logs),
                recommender=judged,
                recommender_name=None if recommender is None else str(recommender),
                answers=read_answers(logs, prompts=prompts),
                n_dropped_as_seen=n_dropped,
                seed=seed,
                made_on=f"{datetime.now(UTC):%Y-%m-%d}",
            )
            page, beside = write_report(findings, out)
    except LeakageError as error:
        raise LeakageError(f"{logs}: {error}: add --drop-seen") from error
    verdict = give_verdict(findings)
    if as_json:
        print_json({"page": str(page), "json": str(beside), "verdict": verdict.to_dict()})
        return
    print_report(verdict, page, beside)
