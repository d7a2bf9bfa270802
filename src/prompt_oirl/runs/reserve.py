"""Space kept free on the disk of a store, so that what is bought when the disk fills up can still be saved."""

from __future__ import annotations

import os
from pathlib import Path

from prompt_oirl.errors import StoreError

__all__ = ["Reserve"]

_SIZE = 4 * 2**20


class Reserve:
    """A file that takes space until the space is needed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_made = False
        self.was_needed = False
        """Whether the space has been given up."""

    def make(self) -> None:
        """Take the space, or see that there is none before anything is bought.

        Raises:
            StoreError: There is no space, or it has been needed already.
        """
        if self.was_needed:
            raise _no_space(self._path, "the disk is full; everything that was bought is saved")
        if self._is_made:
            return
        try:
            if not self._path.exists() or self._path.stat().st_size < _SIZE:
                # Random bytes, for some file systems store zeros in no space.
                self._path.write_bytes(os.urandom(_SIZE))
        except OSError as error:
            self._path.unlink(missing_ok=True)
            raise _no_space(self._path, f"{_SIZE // 2**20} MiB cannot be written ({error.strerror})") from error
        self._is_made = True

    def give_up(self) -> bool:
        """Free the space; False where it was not taken."""
        had_space = self._path.exists()
        self._path.unlink(missing_ok=True)
        self._is_made, self.was_needed = False, had_space
        return had_space

    def close(self) -> None:
        """Free the space that this object took."""
        if self._is_made:
            self._path.unlink(missing_ok=True)
            self._is_made = False


def _no_space(path: Path, problem: str) -> StoreError:
    return StoreError(f"{path.parent}: {problem}. Free some space, and run the same command again")
