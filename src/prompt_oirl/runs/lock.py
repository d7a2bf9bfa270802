"""A lock that one process holds on a run's folder, and that the operating system drops when the process ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prompt_oirl.errors import StoreError

__all__ = ["locked"]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file, which is made if need be, for as long as the block runs. Needs a POSIX system.

    Raises:
        StoreError: Another process holds it; the message has its number.
    """
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise StoreError(
                f"{path.parent} is in use by process {file.read().strip() or '(unknown)'}, which collects into it; "
                "wait for it or end it, or collect with several processes into PostgreSQL (--store)"
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
