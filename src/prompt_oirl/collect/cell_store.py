"""Where cells are claimed before they are bought, and where their outcomes go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from prompt_oirl.runs.cells import Cell
from prompt_oirl.runs.rows import StoredOutcome
from prompt_oirl.runs.spending import Spending

__all__ = ["CellStore", "in_store"]


class CellStore(Protocol):
    """What a collection needs of a run's store; see `RunStore` for each of these."""

    @property
    def is_local(self) -> bool:
        """Whether it is here and this process's alone: nothing has to be claimed in it, and saving needs no thread."""
        ...

    def make_room(self) -> None:
        """Keep space free for what is about to be bought, or raise where there is none."""
        ...

    def claim(self, cells: Sequence[Cell], *, worker: str, seconds: float, retry_failed: bool = False) -> list[Cell]:
        """Take cells for a worker for so many seconds; return those that it holds now."""
        ...

    def renew(self, worker: str, seconds: float) -> None:
        """Let what a worker holds expire only so many seconds from now."""
        ...

    def release(self, worker: str | None = None) -> int:
        """Give back what a worker holds, and return how many cells that were."""
        ...

    def save(self, results: Sequence[StoredOutcome]) -> None:
        """Store outcomes; they are safe when this returns."""
        ...

    def spending(self) -> Spending:
        """Return what the run has cost."""
        ...


_T = TypeVar("_T")


async def in_store(store: CellStore, work: Callable[[], _T]) -> _T:
    """Do something in a store: in a thread where it may take a while, else here.

    SQLite gives Python's lock back at every row. Beside a busy event loop a thread then waits for it row by row, and
    calls wait with it: saves of some rows took twenty times as long as they do here, about a millisecond.
    """
    return work() if store.is_local else await asyncio.to_thread(work)
