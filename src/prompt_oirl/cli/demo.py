"""`prompt-oirl demo`: the whole loop on simulated logs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prompt_oirl.cli.options import AsJson, Seed

__all__ = ["demo"]


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for logs, recommender and evaluation.")] = Path(
        "prompt-oirl-demo"
    ),
    queries: Annotated[int, typer.Option("--queries", help="Distinct simulated queries.", min=200)] = 2000,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Run the whole loop on simulated logs, where the truth is known: grade, learn, evaluate, recommend.

    Example: prompt-oirl demo --out prompt-oirl-demo
    """
    from prompt_oirl.cli.render import print_demo, print_json, working
    from prompt_oirl.testing.demo import run_demo

    with working("simulating logs, learning from them, evaluating"):
        found = run_demo(out, n_queries=queries, seed=seed)
    if as_json:
        print_json(found.to_dict())
    else:
        print_demo(found)
