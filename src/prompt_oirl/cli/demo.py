"""`prompt-oirl demo`: the whole loop on a simulated LLM."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prompt_oirl.cli.options import AsJson, Seed

__all__ = ["demo"]

_INTERRUPTED = 130


def demo(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the run, logs, recommender and evaluation.")
    ] = Path("prompt-oirl-demo"),
    queries: Annotated[int, typer.Option("--queries", help="Distinct simulated queries.", min=200)] = 1700,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Run the whole loop on a simulated LLM, where the truth is known: collect, grade, learn, evaluate, recommend.

    The answers come over HTTP from a server that runs on this machine for as long as it is needed. The same command
    goes on where it was.

    Example: prompt-oirl demo --out prompt-oirl-demo
    """
    from prompt_oirl.cli.render import error_console, print_json
    from prompt_oirl.cli.render_demo import print_demo
    from prompt_oirl.cli.render_runs import collecting_progress, say_that_it_drains
    from prompt_oirl.testing.demo import run_demo

    say = error_console()
    with collecting_progress() as show:
        found = run_demo(
            out,
            n_queries=queries,
            seed=seed,
            on_step=lambda step: say.print(step, style="dim", markup=False),
            on_progress=show,
            on_drain=say_that_it_drains,
        )
    if found is None:
        say.print("Stopped. Run the same command to go on.")
        raise typer.Exit(_INTERRUPTED)
    if as_json:
        print_json(found.to_dict())
    else:
        print_demo(found)
