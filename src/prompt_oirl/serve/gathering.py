"""Score together what is asked at the same time: of many queries, each takes a fraction of the time of one alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from prompt_oirl.arrays import FloatArray
from prompt_oirl.recommender.prepared import PreparedRecommender
from prompt_oirl.records import Query

__all__ = ["GatheredScoring"]

_MOST_AT_ONCE = 32
"""Enough for arrays to pay; few enough for the event loop to get its turn after some milliseconds."""


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    prepared: PreparedRecommender
    query: Query
    scores: asyncio.Future[FloatArray]


class GatheredScoring:
    """Scores all queries of one turn of the event loop at its end; none waits for a query that is not there yet."""

    def __init__(self) -> None:
        self._asked: list[_Asked] = []

    async def scores(self, prepared: PreparedRecommender, query: Query) -> FloatArray:
        """Return (n_prompts,) the scores of a query; whatever scoring it raises is raised."""
        loop = asyncio.get_running_loop()
        asked = _Asked(prepared, query, loop.create_future())
        if not self._asked:
            loop.call_soon(self._score)
        self._asked.append(asked)
        return await asked.scores

    def _score(self) -> None:
        """Score the first of those that wait, all of one recommender; the others have the next turn."""
        prepared = self._asked[0].prepared
        together = [each for each in self._asked if each.prepared is prepared][:_MOST_AT_ONCE]
        chosen = set(map(id, together))
        self._asked = [each for each in self._asked if id(each) not in chosen]
        if self._asked:
            asyncio.get_running_loop().call_soon(self._score)
        wanted = [each for each in together if not each.scores.done()]  # done: its request was called off
        if wanted:
            _answer(prepared, wanted)


def _answer(prepared: PreparedRecommender, asked: Sequence[_Asked]) -> None:
    try:
        scores = prepared.scores_of([each.query for each in asked])
    except Exception as error:  # noqa: BLE001 - the error is that of a query, and raised where that is waited for
        if len(asked) == 1:
            asked[0].scores.set_exception(error)
        else:
            for each in asked:
                _answer(prepared, [each])
    else:
        for each, of_one in zip(asked, scores, strict=True):
            each.scores.set_result(of_one)
