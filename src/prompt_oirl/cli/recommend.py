"""`prompt-oirl recommend`: the prompt to use for a query, or for each of a file of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prompt_oirl.cli.options import AsJson

__all__ = ["recommend"]


def recommend(
    folder: Annotated[Path, typer.Argument(help="A recommender that `train` saved.", show_default=False)],
    queries: Annotated[list[str] | None, typer.Argument(help="One or more queries.", show_default=False)] = None,
    source: Annotated[
        str | None,
        typer.Option("--in", help="File of queries, .jsonl or .csv with `query`, or .txt; - for standard input."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File of JSON lines to write; standard output without it.")
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", help="Of the queries: jsonl, csv or txt; by the suffix, jsonl for -.")
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out and count rows without a readable query, instead of stopping.")
    ] = False,
    prompts: Annotated[
        Path | None,
        typer.Option("--prompts", help="Prompt set (YAML or JSON) of more candidates, in training or not."),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show every score, the margin, and the nearest logged queries.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Recommend a prompt for each query, without calling an LLM.

    `--in queries.jsonl --out recommendations.jsonl` does a file of any length, row by row. Prompts that were not in
    training win only where training has shown that such prompts pay; else they are listed.

    Example: prompt-oirl recommend recommender/ "Weng earns $12 an hour. She worked 50 minutes. How much did she earn?"
    """
    from prompt_oirl.cli.recommending import Asked, recommend_in_batch, recommend_queries

    asked = Asked(folder=folder, queries=tuple(queries or ()), prompts=prompts, as_json=as_json)
    if source is None:
        asked.check_queries(out=out, form=form, skip_bad=skip_bad)
        recommend_queries(asked, explain=explain)
    else:
        asked.check_batch(explain=explain)
        recommend_in_batch(asked, source, out, form=form, skip_bad=skip_bad)
