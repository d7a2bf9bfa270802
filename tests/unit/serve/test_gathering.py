"""Queries that are asked for at the same time are scored together; each gets its own scores, or its own error."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from prompt_oirl.arrays import FloatArray
from prompt_oirl.recommender import Recommendation
from prompt_oirl.records import Prompt, Query
from prompt_oirl.serve.gathering import GatheredScoring

PROMPT = Prompt.from_text("Think.", id="p")


class Lengths:
    """Scores two prompts by the length of a query, and refuses the queries it is given."""

    def __init__(self, *refused: str) -> None:
        self.batches: list[int] = []
        self._refused = refused

    def scores_of(self, queries: Sequence[Query]) -> FloatArray:
        self.batches.append(len(queries))
        if any(query.text in self._refused for query in queries):
            raise ValueError("refused")
        return np.array([[len(query.text), 0.0] for query in queries])

    def rank(
        self, queries: Sequence[Query], scores: FloatArray, *, among: Sequence[int] | None = None
    ) -> list[Recommendation]:
        column = 0 if among is None else among[0]
        rows = zip(queries, scores.tolist(), strict=True)
        return [Recommendation(query, PROMPT, row[column], (), "for a test") for query, row in rows]


def texts(n: int) -> list[str]:
    return ["x" * length for length in range(1, n + 1)]


async def ask(gathered: GatheredScoring, prepared: Lengths, text: str, among: Sequence[int] | None = None) -> float:
    recommendation = await gathered.recommend(prepared, Query(text), among)  # type: ignore[arg-type]
    assert recommendation.query.text == text
    return recommendation.score


async def test_each_gets_its_own_scores_of_one_batch() -> None:
    gathered, prepared = GatheredScoring(), Lengths()
    scores = await asyncio.gather(*(ask(gathered, prepared, text) for text in texts(20)))
    assert scores == list(range(1, 21))
    assert prepared.batches == [20]


async def test_one_alone_does_not_wait_for_others() -> None:
    gathered, prepared = GatheredScoring(), Lengths()
    assert [await ask(gathered, prepared, text) for text in texts(3)] == [1, 2, 3]
    assert prepared.batches == [1, 1, 1]


async def test_what_is_asked_a_turn_later_comes_along() -> None:
    gathered, prepared = GatheredScoring(), Lengths()

    async def later(text: str) -> float:
        await asyncio.sleep(0)
        return await ask(gathered, prepared, text)

    scores = await asyncio.gather(ask(gathered, prepared, "x"), later("xx"), ask(gathered, prepared, "xxx"))
    assert scores == [1, 2, 3]
    assert prepared.batches == [3]


async def test_the_event_loop_has_its_turn_between_large_batches() -> None:
    gathered, prepared = GatheredScoring(), Lengths()
    turns: list[int] = []

    async def other() -> None:
        while sum(prepared.batches) < 100:
            turns.append(sum(prepared.batches))
            await asyncio.sleep(0)

    *scores, _ = await asyncio.gather(*(ask(gathered, prepared, text) for text in texts(100)), other())
    assert scores == list(range(1, 101))
    assert max(prepared.batches) == 32
    assert {0, 32, 64, 96} <= set(turns)


async def test_an_error_is_that_of_its_query_alone() -> None:
    gathered, prepared = GatheredScoring(), Lengths("xx")
    asked = (ask(gathered, prepared, text) for text in texts(4))
    first, refused, *others = await asyncio.gather(*asked, return_exceptions=True)
    assert [first, *others] == [1, 3, 4]
    assert isinstance(refused, ValueError)


async def test_recommenders_that_change_meanwhile_score_their_own_queries() -> None:
    gathered, old, new = GatheredScoring(), Lengths(), Lengths()
    asked = [ask(gathered, old if number % 3 else new, text) for number, text in enumerate(texts(9))]
    assert await asyncio.gather(*asked) == list(range(1, 10))
    assert (old.batches, new.batches) == ([6], [3])


@pytest.mark.parametrize("called_off", [0, 1, 2])
async def test_a_request_that_is_called_off_costs_the_others_nothing(called_off: int) -> None:
    gathered, prepared = GatheredScoring(), Lengths()
    tasks = [asyncio.create_task(ask(gathered, prepared, text)) for text in texts(3)]
    await asyncio.sleep(0)
    tasks[called_off].cancel()
    scores = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(scores.pop(called_off), asyncio.CancelledError)
    assert scores == [n for n in (1, 2, 3) if n != called_off + 1]


async def test_those_that_choose_among_others_have_a_batch_of_their_own() -> None:
    gathered, prepared = GatheredScoring(), Lengths()
    asked = [ask(gathered, prepared, text, (1,) if len(text) > 3 else None) for text in texts(5)]
    assert await asyncio.gather(*asked) == [1, 2, 3, 0, 0]
    assert prepared.batches == [3, 2]


@pytest.mark.parametrize("n", [1, 3])
async def test_too_few_recommendations_are_an_error_and_leave_nobody_waiting(
    n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    gathered, prepared = GatheredScoring(), Lengths()
    monkeypatch.setattr(prepared, "rank", lambda *_, **__: [])
    asked = asyncio.gather(*(ask(gathered, prepared, text) for text in texts(n)), return_exceptions=True)
    found = await asyncio.wait_for(asked, 5)
    assert [type(each) for each in found] == [ValueError] * n
