"""Save outcomes as they come, many in one transaction, and tell each caller when its own is durable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prompt_oirl.collect.cell_store import CellStore, in_store
from prompt_oirl.runs.rows import StoredOutcome

__all__ = ["Saver", "saving_to"]

_TURNS = 2
"""Of the event loop: in the first an answer is read, in the second its outcome is handed in."""


class Saver:
    """A group commit: a transaction costs as much as some ten rows in it, so outcomes that come together share one.

    They gather for as long as the event loop has others at hand, and no longer: while callers wait for a transaction,
    they ask for nothing.

    Args:
        store: Where outcomes go.
        enough: Outcomes that are written without waiting for more.
    """

    def __init__(self, store: CellStore, *, enough: int = 16) -> None:
        self._store = store
        self._enough = enough
        self._waiting: list[tuple[StoredOutcome, asyncio.Future[None]]] = []
        self._has_work = asyncio.Event()
        self._is_closed = False

    async def save(self, result: StoredOutcome) -> None:
        """Return when the outcome is durable. It is written even if the caller is cancelled meanwhile.

        Raises:
            StoreError: It could not be written.
        """
        saved: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((result, saved))
        self._has_work.set()
        await saved

    def close(self) -> None:
        """Let `write_until_closed` end when it has written what has gathered."""
        self._is_closed = True
        self._has_work.set()

    async def write_until_closed(self) -> None:
        """Write batches as they gather."""
        while not self._is_closed or self._waiting:
            await self._has_work.wait()
            self._has_work.clear()
            await self._gather()
            batch, self._waiting = self._waiting, []
            if batch:
                await self._write(batch)

    async def _gather(self) -> None:
        """Return when there are enough, or when the event loop has nothing to do that could lead to more."""
        n_before = 0
        while n_before < len(self._waiting) < self._enough:
            n_before = len(self._waiting)
            for _ in range(_TURNS):
                await asyncio.sleep(0)

    async def _write(self, batch: list[tuple[StoredOutcome, asyncio.Future[None]]]) -> None:
        try:
            await in_store(self._store, lambda: self._store.save([result for result, _ in batch]))
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            for _, saved in batch:
                if not saved.done():
                    saved.set_exception(error)
        else:
            for _, saved in batch:
                if not saved.done():
                    saved.set_result(None)


@asynccontextmanager
async def saving_to(store: CellStore, *, enough: int = 16) -> AsyncIterator[Saver]:
    """Yield a saver; when the block ends, wait until what it was given is written. See `Saver`."""
    saver = Saver(store, enough=enough)
    writing = asyncio.create_task(saver.write_until_closed())
    try:
        yield saver
    finally:
        saver.close()
        await asyncio.shield(writing)
