"""Save outcomes as they come, many in one transaction, and tell each caller when its own is durable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from prompt_oirl.runs.store import RunStore, StoredOutcome

__all__ = ["Saver", "saving_to"]


class Saver:
    """A group commit: while one transaction is written, the outcomes of the next one gather."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._waiting: list[tuple[StoredOutcome, asyncio.Future[None]]] = []
        self._filled = asyncio.Event()

    async def save(self, result: StoredOutcome) -> None:
        """Return when the outcome is durable.

        Raises:
            StoreError: It could not be written.
        """
        saved: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((result, saved))
        self._filled.set()
        await saved

    async def write_forever(self) -> None:
        """Write batches as they gather, until cancelled; a batch under way is finished first."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            batch, self._waiting = self._waiting, []
            if batch:
                await asyncio.shield(asyncio.ensure_future(self._write(batch)))

    async def _write(self, batch: list[tuple[StoredOutcome, asyncio.Future[None]]]) -> None:
        try:
            await asyncio.to_thread(self._store.save, [result for result, _ in batch])
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            for _, saved in batch:
                if not saved.done():
                    saved.set_exception(error)
        else:
            for _, saved in batch:
                if not saved.done():
                    saved.set_result(None)


@asynccontextmanager
async def saving_to(store: RunStore) -> AsyncIterator[Saver]:
    """Yield a saver that writes for as long as the block runs."""
    saver = Saver(store)
    writing = asyncio.create_task(saver.write_forever())
    try:
        yield saver
    finally:
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing
