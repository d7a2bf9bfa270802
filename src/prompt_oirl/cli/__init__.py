"""The command line: thin commands that parse, call one function of the library, and render."""

from __future__ import annotations

import sys
import warnings

__all__ = ["main"]

_INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended, as shells count it."""


def main() -> None:
    """Run `prompt-oirl`; expected errors end with one line on standard error and exit code 1."""
    try:
        _run()
    except KeyboardInterrupt:  # before a command has begun: it takes seconds to load
        sys.stderr.write("stopped\n")
        sys.exit(_INTERRUPTED)


def _run() -> None:
    from prompt_oirl.cli.app import app
    from prompt_oirl.cli.render import print_error, print_warning, tolerate_encoding
    from prompt_oirl.errors import PromptOIRLError

    tolerate_encoding()
    warnings.showwarning = print_warning
    try:
        app(prog_name="prompt-oirl")
    except PromptOIRLError as error:
        print_error(str(error))
        sys.exit(1)
    except OSError as error:
        print_error(
            f"{error.filename or 'a file'}: {error.strerror or error}; name another path, or make this one free"
        )
        sys.exit(1)
    except SystemExit as end:
        if end.code == _INTERRUPTED:
            sys.stderr.write("stopped; what was saved before is kept\n")
        raise
