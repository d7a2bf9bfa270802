"""`prompt-oirl download`: fetch the released logs and the question sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["download"]


def download(
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder to fill; the user cache, where it is found again, if not given."),
    ] = None,
) -> None:
    """Fetch the paper's released logs and the question sets, verify every file, and go on where it stopped.

    Example: prompt-oirl download
    """
    from prompt_oirl.cli.render import console, progress_bar
    from prompt_oirl.sources.download import download as fetch

    with progress_bar("downloading") as advance:
        folder = fetch(out, progress=lambda done, total: advance(done, total, "verified"))
    console().print(f"All files are in {folder} and verified.", markup=False)
