"""Recommend together for what is asked at the same time: of many queries, each takes a fraction of the time of one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from prompt_oirl.recommender import Recommendation
from prompt_oirl.recommender.prepared import PreparedRecommender
from prompt_oirl.records import Query

__all__ = ["GatheredScoring"]

_MOST_AT_ONCE = 32
"""Enough for arrays to pay; few enough for the event loop to get its turn after some milliseconds."""


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    prepared: PreparedRecommender
    query: Query
    among: Sequence[int] | None
    answer: asyncio.Future[Recommendation]


class GatheredScoring:
    """Scores all queries of two turns of the event loop together; none waits for a query that is not there yet."""

    def __init__(self) -> None:
        self._asked: list[_Asked] = []

    async def recommend(
        self, prepared: PreparedRecommender, query: Query, among: Sequence[int] | None
    ) -> Recommendation:
        """Return the recommendation for a query; whatever making it raises is raised."""
        loop = asyncio.get_running_loop()
        asked = _Asked(prepared, query, among, loop.create_future())
        if not self._asked:
            # Two turns: what lies ready at the connections now is read in the next one. Nearly three times as many
            # queries come together so, and a query that is alone waits some microseconds.
            loop.call_soon(loop.call_soon, self._answer_next)
        self._asked.append(asked)
        return await asked.answer

    def _answer_next(self) -> None:
        """Answer the first of those that wait, all of one recommender and candidates; the others have the next turn."""
        first = self._asked[0]
        together: list[_Asked] = []
        others: list[_Asked] = []
        for each in self._asked:
            fits = each.prepared is first.prepared and each.among == first.among and len(together) < _MOST_AT_ONCE
            (together if fits else others).append(each)
        self._asked = others
        if others:
            asyncio.get_running_loop().call_soon(self._answer_next)
        wanted = [each for each in together if not each.answer.done()]  # done: its request was called off
        if wanted:
            _answer(wanted)


def _answer(asked: Sequence[_Asked]) -> None:
    prepared, queries = asked[0].prepared, [each.query for each in asked]
    try:
        recommendations = prepared.rank(queries, prepared.scores_of(queries), among=asked[0].among)
        answers = list(zip(asked, recommendations, strict=True))
    except Exception as error:  # noqa: BLE001 - the error is that of a query, and raised where that is waited for
        if len(asked) == 1:
            asked[0].answer.set_exception(error)
        else:
            for each in asked:
                _answer([each])
    else:
        for each, recommendation in answers:
            each.answer.set_result(recommendation)
