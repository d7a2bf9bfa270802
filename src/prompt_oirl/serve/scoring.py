"""Recommending within a budget of time: in the event loop where it is quick, in a few threads where it is not."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Literal

from prompt_oirl.recommender import Recommendation
from prompt_oirl.recommender.prepared import PreparedRecommender
from prompt_oirl.records import Query
from prompt_oirl.serve.gathering import GatheredScoring
from prompt_oirl.serve.scoring_threads import ScoringThreads

__all__ = ["BudgetedScoring", "ScoringFailure"]

ScoringFailure = Literal["failed", "late"]
"""`failed`: scoring raised. `late`: it took more than its budget, or there was no room for it to begin."""

_logger = logging.getLogger(__name__)


class BudgetedScoring:
    """Asks a recommender, and gives up in time; it belongs to one event loop.

    Work in threads cannot be ended. What is late there keeps its thread until it is done, and nothing is queued behind
    it for longer than the budget; so a recommender that hangs costs a few threads, and then nothing.

    Args:
        budget_seconds: For one query.
        threads: For what is not quick.
        waiting: Queries that may wait for a thread; more are late at once.
        quick_characters: Longer queries are not scored in the event loop, however quick the recommender is with others.
    """

    def __init__(
        self, budget_seconds: float, *, threads: int = 2, waiting: int = 6, quick_characters: int = 4_000
    ) -> None:
        self._budget = budget_seconds
        self._quick_characters = quick_characters
        self._threads = ScoringThreads(threads)
        self._idle = asyncio.Semaphore(threads)
        self._most_waiting = waiting
        self._n_waiting = 0
        self._reported: set[type[Exception]] = set()
        self._gathered = GatheredScoring()

    async def recommend(
        self, prepared: PreparedRecommender, query: str, among: Sequence[int] | None
    ) -> Recommendation | ScoringFailure:
        """Return the recommendation, or what kept it from being made; whatever is raised, this does not raise."""
        if not prepared.is_quick or len(query) > self._quick_characters:
            return await self._in_thread(prepared, query, among)
        started = time.perf_counter()
        try:
            found = await self._gathered.recommend(prepared, Query(query), among)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong, a request gets the best single prompt
            return self._failed(error)
        return found if time.perf_counter() - started <= self._budget else "late"

    def close(self) -> None:
        """End the threads that have nothing to do, and leave the others behind: nothing waits for them."""
        if self._threads.n_under_way:
            _logger.warning("stopping while late queries are still being scored: %d", self._threads.n_under_way)
        self._threads.close()

    async def _in_thread(
        self, prepared: PreparedRecommender, query: str, among: Sequence[int] | None
    ) -> Recommendation | ScoringFailure:
        try:
            async with asyncio.timeout(self._budget) as budget:
                if not await self._is_admitted():
                    return "late"
                scoring = self._threads.submit(partial(prepared.recommend, query, among=among))
                scoring.add_done_callback(partial(_release, asyncio.get_running_loop(), self._idle))
                return await asyncio.wrap_future(scoring)
        except TimeoutError as error:
            return "late" if budget.expired() else self._failed(error)
        except Exception as error:  # noqa: BLE001 - as above
            return self._failed(error)

    async def _is_admitted(self) -> bool:
        """Wait for a thread; False at once where too many wait already."""
        if self._idle.locked() and self._n_waiting >= self._most_waiting:
            return False
        self._n_waiting += 1
        try:
            return await self._idle.acquire()
        finally:
            self._n_waiting -= 1

    def _failed(self, error: Exception) -> ScoringFailure:
        """Report the first error of each type by that type alone: its text may repeat the query."""
        if type(error) not in self._reported:
            self._reported.add(type(error))
            _logger.warning(
                "scoring failed with %s: such queries get the best single prompt, and are counted in the metrics",
                type(error).__name__,
            )
        return "failed"


def _release(loop: asyncio.AbstractEventLoop, idle: asyncio.Semaphore, _: Future[Recommendation]) -> None:
    """Say in the event loop that a thread is idle; a loop that has ended needs to know nothing."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(idle.release)
