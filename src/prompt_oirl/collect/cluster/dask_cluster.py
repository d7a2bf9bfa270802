"""A Dask cluster whose workers buy chunks: everything that is known of Dask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from prompt_oirl.collect.cluster.chunk import Bought, Chunk, Site, buy_chunk, check_site, portable
from prompt_oirl.errors import LLMError, ParameterError, PromptOIRLError
from prompt_oirl.optional import import_optional

__all__ = ["DaskCluster", "connected"]

_SECONDS_TO_CONNECT = 15
_PACKAGE = "prompt-oirl"


class DaskCluster:
    """Made by `connected`, and belongs to its event loop."""

    def __init__(self, address: str, client: Any) -> None:
        self.address = address
        self._client = client

    def __repr__(self) -> str:
        return f"DaskCluster({self.address!r})"

    async def n_threads(self) -> int:
        """Return how many chunks the workers that are there now can buy at once.

        Raises:
            LLMError: The scheduler is gone.
        """
        try:
            return sum((await self._client.nthreads()).values())
        except OSError as error:
            raise self._lost(error) from error

    async def check(self, site: Site) -> set[str]:
        """Find out on every worker whether chunks can be bought there.

        Returns:
            What looks wrong to some, though calls may succeed.

        Raises:
            LLMError: A worker finds that no call can succeed.
            ParameterError: There is no worker, or one without this version of the package or without a key.
            StoreError: A worker cannot reach the store.
            MissingDependencyError: A worker misses an optional package.
        """
        found = await self._client.run(_check, site, on_error="return")
        if not found:
            raise ParameterError(
                f"scheduler={self.address!r} has no workers; start some where prompt-oirl is installed: dask worker "
                f"{self.address}"
            )
        warnings = [_judge(worker, answer) for worker, answer in found.items()]
        return {warning for warning in warnings if warning}

    async def buy(self, chunk: Chunk) -> Bought:
        """Have a worker buy a chunk; where one dies, Dask gives its chunk to another. Cancelled, it is called off.

        Raises:
            LLMError: There is nobody to buy it: one worker after another has died of it, or the scheduler is gone.
        """
        future = self._client.submit(_buy, chunk, key=chunk.name)
        try:
            bought: Bought = await future
        except asyncio.CancelledError:
            await future.cancel()
            raise
        except (CancelledError, OSError, _killed_worker()) as error:
            raise self._lost(error) from error
        finally:
            future.release()
        return bought

    def _lost(self, error: BaseException) -> LLMError:
        return LLMError(
            f"the Dask cluster at {self.address} is lost ({error}); what was stored is kept. See to the scheduler and "
            "to the logs of the workers, then run the same command again"
        )


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[DaskCluster]:
    """Yield the cluster of a scheduler for as long as the block runs.

    Raises:
        ParameterError: The scheduler cannot be reached.
        MissingDependencyError: Dask is not installed.
    """
    distributed = import_optional("distributed", extra="dask")
    client = distributed.Client(address, asynchronous=True, set_as_default=False, timeout=_SECONDS_TO_CONNECT)
    try:
        await _started(client, address)
        yield DaskCluster(address, client)
    finally:
        await client.close()


async def _started(client: Any, address: str) -> None:
    try:
        await client
    except (OSError, ValueError, ImportError) as error:
        raise ParameterError(
            f"scheduler={address!r} cannot be reached ({error}); start one with: dask scheduler, and give the address "
            "that it prints, such as tcp://host:8786"
        ) from error


def _buy(chunk: Chunk) -> Bought:
    """Buy a chunk on a worker, until its future is cancelled or whoever made it is gone."""
    worker = import_optional("distributed", extra="dask").get_worker()
    key = worker.get_current_task()

    def is_wanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is not None and task.state == "executing"

    return buy_chunk(chunk, is_wanted=is_wanted)


_Answer = tuple[str, str | PromptOIRLError | None]
"""The version of this package that a worker has, and what looks wrong to it or keeps it from buying."""


async def _check(site: Site) -> _Answer:
    try:
        return version(_PACKAGE), await check_site(site)
    except PromptOIRLError as error:
        return version(_PACKAGE), portable(error)


def _judge(worker: str, answer: _Answer | Exception) -> str | None:
    """Return what looks wrong to a worker, and raise what keeps it from buying."""
    here = version(_PACKAGE)
    if isinstance(answer, Exception):
        raise ParameterError(
            f"the worker {worker} cannot work ({type(answer).__name__}: {answer}); install prompt-oirl {here} there"
        ) from answer
    there, found = answer
    if there != here:
        raise ParameterError(f"the worker {worker} has prompt-oirl {there}, and {here} is needed; install it there")
    if isinstance(found, PromptOIRLError):
        raise type(found)(f"the worker {worker}: {found}")
    return found


def _killed_worker() -> type[Exception]:
    killed_worker: type[Exception] = import_optional("distributed", extra="dask").KilledWorker
    return killed_worker
