"""The application: every command by its name."""

from __future__ import annotations

from typing import Annotated

import typer

from prompt_oirl.cli import demo, download, evaluate, inspect, recommend, reproduce, train

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


app.command("demo")(demo.demo)
app.command("inspect")(inspect.inspect)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("recommend")(recommend.recommend)
app.command("reproduce")(reproduce.reproduce)
app.command("download")(download.download)
