"""A group commit: batches, errors to those whose batch it was, and nothing lost when callers go away."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from prompt_oirl.collect.saver import saving_to
from prompt_oirl.errors import StoreError
from prompt_oirl.runs.cells import Cell
from prompt_oirl.runs.outcomes import Completion
from prompt_oirl.runs.store import StoredOutcome


class SlowStore:
    """Writes when it is told to; refuses the batches whose numbers it is given."""

    is_local = False

    def __init__(self, *refused: int) -> None:
        self.may_write = threading.Event()
        self.batches: list[list[str]] = []
        self.written: list[str] = []
        self._refused = refused

    def save(self, results: Sequence[StoredOutcome]) -> None:
        self.batches.append([each.cell.query_id for each in results])
        number = len(self.batches) - 1
        assert self.may_write.wait(10)
        if number in self._refused:
            raise StoreError(f"batch {number} does not fit")
        self.written += self.batches[number]


def result(name: str) -> StoredOutcome:
    return StoredOutcome(Cell(name.encode().ljust(16), name, "p"), Completion("4", "m"))


async def save_all(saver, *names: str) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(saver.save(result(name))) for name in names]
    await asyncio.sleep(0.05)
    return tasks


async def test_what_gathers_while_a_batch_is_written_is_the_next_batch() -> None:
    store = SlowStore()
    async with saving_to(store) as saver:  # type: ignore[arg-type]
        tasks = await save_all(saver, "a") + await save_all(saver, "b", "c", "d")
        assert not any(task.done() for task in tasks), "none is durable yet"
        store.may_write.set()
        await asyncio.gather(*tasks)
    assert store.batches == [["a"], ["b", "c", "d"]]


async def test_an_error_reaches_all_of_its_batch_and_no_others() -> None:
    store = SlowStore(1)
    async with saving_to(store) as saver:  # type: ignore[arg-type]
        tasks = await save_all(saver, "a") + await save_all(saver, "b", "c")
        store.may_write.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await saver.save(result("d"))
    assert results[0] is None
    assert [str(each) for each in results[1:]] == ["batch 1 does not fit"] * 2
    assert store.written == ["a", "d"], "it goes on after an error"


@pytest.mark.parametrize("refused", [(), (0,), (1,)])
async def test_callers_that_are_cancelled_disturb_nobody(refused: tuple[int, ...]) -> None:
    store = SlowStore(*refused)
    async with saving_to(store) as saver:  # type: ignore[arg-type]
        first, second = await save_all(saver, "a", "b")
        third, fourth = await save_all(saver, "c", "d")
        first.cancel()
        third.cancel()
        await asyncio.sleep(0)
        store.may_write.set()
        results = await asyncio.gather(first, second, third, fourth, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert isinstance(results[2], asyncio.CancelledError)
    assert [isinstance(results[1], StoreError), isinstance(results[3], StoreError)] == [
        number in refused for number in range(2)
    ]
    assert store.written == [
        name for number, batch in enumerate(["ab", "cd"]) for name in batch if number not in refused
    ]


async def test_a_block_that_is_cancelled_ends_when_all_is_written() -> None:
    store = SlowStore()
    inside = asyncio.Event()

    async def work() -> None:
        async with saving_to(store) as saver, asyncio.TaskGroup() as tasks:  # type: ignore[arg-type]
            tasks.create_task(saver.save(result("a")))
            await asyncio.sleep(0.05)
            tasks.create_task(saver.save(result("b")))
            await asyncio.sleep(0.05)
            inside.set()

    working = asyncio.create_task(work())
    await inside.wait()
    working.cancel()
    await asyncio.sleep(0.05)
    assert not working.done(), "a batch is being written"
    store.may_write.set()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert store.written == ["a", "b"]


async def test_a_block_without_outcomes_ends() -> None:
    async with asyncio.timeout(5), saving_to(SlowStore()):  # type: ignore[arg-type]
        pass
