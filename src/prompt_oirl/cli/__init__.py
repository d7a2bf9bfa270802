"""The command line: thin commands that parse, call one function of the library, and render."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run `prompt-oirl`; errors of the package's own tree end with one message and exit code 1."""
    from prompt_oirl.cli.app import app
    from prompt_oirl.cli.render import error_console
    from prompt_oirl.errors import PromptOIRLError

    try:
        app()
    except PromptOIRLError as error:
        error_console().print(f"[bold red]error:[/bold red] {_escape(str(error))}", soft_wrap=True, highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        error_console().print("stopped; the same command goes on where it can")
        sys.exit(130)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
