"""The simulated LLM in a process of its own, from the program that asks it."""

from __future__ import annotations

import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import IO

from prompt_oirl.errors import LLMError

__all__ = ["llm_process"]

_MODULE = "prompt_oirl.testing.llm_server"
_SECONDS_TO_STOP = 10.0


@contextmanager
def llm_process(*arguments: str, seconds_to_start: float = 60.0) -> Iterator[str]:
    """Run `prompt_oirl.testing.llm_server` while the block runs, and yield its address.

    Ctrl-C in a terminal does not reach it, so that calls under way can be finished. When this process ends in whatever
    way, its standard input closes, and it stops too.

    Args:
        arguments: Of the server, such as `--world 0`.
        seconds_to_start: After which it is given up.

    Raises:
        LLMError: It did not start; the message has what it said.
    """
    command = [sys.executable, "-P", "-m", _MODULE, *arguments]
    with TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
        )
        try:
            yield _address(process, errors, seconds_to_start)
        finally:
            _stop(process)


def _address(process: subprocess.Popen[str], errors: IO[str], seconds: float) -> str:
    """Return the line that the server writes when it is ready."""
    stdout = process.stdout
    is_ready = stdout is not None and bool(select.select([stdout], [], [], seconds)[0])
    address = stdout.readline().strip() if stdout is not None and is_ready else ""
    if address:
        return address
    _stop(process)
    errors.seek(0)
    said = errors.read().strip().splitlines()[-1:]
    why = f"it said: {said[0]}" if said else "it said nothing"
    how = "ended" if is_ready else f"was not ready after {seconds:g} s"
    raise LLMError(
        f"the simulated LLM did not start: python -m {_MODULE} {how}; {why}. It needs a free port on 127.0.0.1"
    )


def _stop(process: subprocess.Popen[str]) -> None:
    """Close the server's standard input and wait for its end; its last words, the counts, are not kept."""
    try:
        process.communicate(timeout=_SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
