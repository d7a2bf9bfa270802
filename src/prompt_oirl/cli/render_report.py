"""What `prompt-oirl report` prints."""

from __future__ import annotations

from pathlib import Path

from prompt_oirl.cli.render import console
from prompt_oirl.report import Verdict

__all__ = ["print_report"]


def print_report(verdict: Verdict, page: Path, beside: Path) -> None:
    """Print the verdict and where the report lies."""
    out = console()
    out.print(verdict.action, style="bold", markup=False)
    out.print(verdict.evidence, markup=False)
    out.print(f"Written: {page} and {beside}", markup=False)
