"""`prompt-oirl reproduce`: the paper's tables from the released logs, and the leak-free ones."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from prompt_oirl.cli.options import HIGHEST_SEED, AsJson, DataFolder

__all__ = ["reproduce"]

_TABLES = (
    "Tables: leak_free, paper_protocol, reward_model, published, leakage, label_audit, correlation, headroom, "
    "data_size, portfolio, unseen_prompts."
)
"""Written out: importing them takes longer than help may."""


def reproduce(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for results.", show_default=False)],
    data: DataFolder = None,
    fast: Annotated[bool, typer.Option("--fast", help="One fold seed and all six prompts only: minutes.")] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", help=f"Compute this table only; can be given several times. {_TABLES}")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="First seed of the folds.", min=0, max=HIGHEST_SEED)] = 0,
    jobs: Annotated[int, typer.Option("--jobs", help="Worker processes.", min=1)] = 1,
    as_json: AsJson = False,
) -> None:
    """Compute the paper's tables from its released logs, and what becomes of them without leakage.

    Finished parts are kept: the same command goes on where it was stopped.

    Example: prompt-oirl reproduce --out out/reproduction --jobs 2
    """
    from prompt_oirl.cli.render import console, print_json, print_reproduction, progress_bar
    from prompt_oirl.reproduction.runner import reproduce as run
    from prompt_oirl.sources.data_folder import data_folder

    with progress_bar("reproducing") as advance:
        result = run(
            data_folder(data), out, fast=fast, only=tuple(only or ()), seed=seed, jobs=jobs,
            progress=lambda of_cell, done, total: advance(done, total, of_cell.cell.table),
        )  # fmt: skip
    if as_json:
        print_json(
            {
                "folder": str(out),
                "rows": len(result.rows),
                "computed": result.n_computed,
                "kept": result.n_kept,
                "figures": [str(path) for path in result.figures],
                "seconds": result.seconds,
            }
        )
        return
    print_reproduction(result.rows)
    figures = f"{len(result.figures)} in {out}/figures/" if result.figures else "none"
    console().print(
        f"{result.n_computed} parts computed, {result.n_kept} kept from before, in {result.seconds:.0f} s.\n"
        f"Rows: {out}/results.jsonl; tables: {out}/tables/; figures: {figures}.",
        markup=False,
    )
    if not result.figures and find_spec("matplotlib") is None:
        console().print(
            "Figures need matplotlib: pip install 'prompt-oirl[plots]', and the same command again.", markup=False
        )
