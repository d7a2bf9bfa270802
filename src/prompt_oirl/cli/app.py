"""The application: every command by its name."""

from __future__ import annotations

from typing import Annotated

import typer

from prompt_oirl.cli import (
    collect,
    critique,
    demo,
    download,
    evaluate,
    export,
    grade,
    inspect,
    recommend,
    report,
    reproduce,
    serve,
    train,
)

__all__ = ["app"]

app = typer.Typer(
    name="prompt-oirl",
    help="Learn from logs which prompt works for which query, and recommend one per query without calling the LLM.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"prompt-oirl {version('prompt-oirl')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None: ...


app.command("demo", short_help="Run the whole loop on simulated logs.")(demo.demo)
app.command("collect", short_help="Ask an LLM every query with every prompt.")(collect.collect)
app.command("grade", short_help="Grade the answers of a run, again if need be.")(grade.grade)
app.command("critique", short_help="Have the LLM judge its own answers.")(critique.critique)
app.command("export", short_help="Write a run as a file of logs.")(export.export)
app.command("inspect", short_help="Say what is in a file of logs.")(inspect.inspect)
app.command("train", short_help="Learn a recommender from logs and save it.")(train.train)
app.command("evaluate", short_help="Evaluate a recommender on held-out logs.")(evaluate.evaluate)
app.command("report", short_help="Say on one page whether choosing per query pays.")(report.report)
app.command("recommend", short_help="Recommend a prompt for each query.")(recommend.recommend)
app.command("serve", short_help="Recommend over HTTP; a gateway to an LLM.")(serve.serve)
app.command("reproduce", short_help="Compute the paper's tables, and leak-free ones.")(reproduce.reproduce)
app.command("download", short_help="Fetch the released logs and question sets.")(download.download)
