"""Put a finished folder in the place of another, such that at every moment one of the two is there whole."""

from __future__ import annotations

import ctypes
import glob
import os
import re
import shutil
import time
import uuid
from pathlib import Path

__all__ = ["put_in_place", "remove_left_overs", "temporary_beside"]

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_LEFT_OVER_SECONDS = 3600.0


def temporary_beside(folder: Path) -> Path:
    """Return the path of a hidden folder beside another, on the same file system."""
    return folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")


def put_in_place(temporary: Path, folder: Path) -> None:
    """Make a finished folder appear as `folder` in one step; what was there is removed afterwards.

    Where the system cannot exchange two folders (any but Linux), a former one is moved aside first, and back if the new
    one cannot take its place; whoever is killed between the two steps leaves the former one as `.NAME.*.former`.
    """
    if not folder.exists() or not any(folder.iterdir()):
        temporary.replace(folder)
    elif _exchange(temporary, folder):
        shutil.rmtree(temporary, ignore_errors=True)
    else:
        _replace_in_two_steps(temporary, folder)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; return False where the system cannot (see Linux' renameat2)."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    failed: int = renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    return failed == 0


def _replace_in_two_steps(temporary: Path, folder: Path) -> None:
    former = temporary.with_name(f"{temporary.name}.former")
    folder.replace(former)
    try:
        temporary.replace(folder)
    except OSError:
        former.replace(folder)
        raise
    shutil.rmtree(former, ignore_errors=True)


def remove_left_overs(folder: Path) -> None:
    """Remove what processes that were killed while they made `folder`, an hour ago or more, have left beside it."""
    left_over = re.compile(re.escape(f".{folder.name}.") + r"[0-9a-f]{32}(\.former)?")
    for path in folder.parent.glob(f".{glob.escape(folder.name)}.*"):
        try:
            is_old = time.time() - path.stat().st_mtime > _LEFT_OVER_SECONDS
        except FileNotFoundError:
            continue
        if is_old and left_over.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)
