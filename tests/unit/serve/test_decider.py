"""Decisions: as the recommender says, at random with a known propensity, or the best single prompt."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from prompt_oirl.errors import DataError, ParameterError, UnseenPromptError
from prompt_oirl.records import SLOT, text_hash
from prompt_oirl.serve.active import ActiveRecommender
from prompt_oirl.serve.decider import Decider
from prompt_oirl.serve.metrics import Metrics
from prompt_oirl.serve.protocols import Decided
from prompt_oirl.serve.settings import ServeSettings
from prompt_oirl.testing import SyntheticWorld

QUERY = "Weng earns $12 an hour. She worked 50 minutes. How much did she earn?"
QUERIES = [query.text for query in SyntheticWorld(n_queries=60, interaction=3, seed=9).queries]

MakeDecider = Callable[..., Decider]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def make_decider(active, log, metrics):
    deciders: list[Decider] = []

    def make(active: ActiveRecommender = active, *, seed: int = 0, **settings: object) -> Decider:
        decider = Decider(
            active, ServeSettings(**{"budget_seconds": 5.0} | settings), metrics=metrics, log=log, random=Random(seed)
        )
        deciders.append(decider)
        return decider

    yield make
    for decider in deciders:
        decider.close()


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"prompt_oirl_{name}", labels)


async def decide_all(decider: Decider, queries: list[str]) -> list[Decided]:
    return [await decider.decide(query, source="recommend") for query in queries]


async def test_it_decides_as_the_recommender_recommends(make_decider, active, log, metrics) -> None:
    decided = await decide_all(make_decider(), QUERIES)
    expected = [active.prepared.recommend(query) for query in QUERIES]
    assert [each.recommendation for each in decided] == expected
    assert len({each.recommendation.prompt.id for each in decided}) > 1
    assert log.decisions == [each.decision for each in decided]
    for query, decision, recommendation in zip(QUERIES, log.decisions, expected, strict=True):
        assert decision.query_id == text_hash(query)
        assert decision.query is None
        assert decision.prompt_id == recommendation.prompt.id
        assert decision.score == recommendation.score
        assert (decision.propensity, decision.choice, decision.source) == (1.0, "recommended", "recommend")
        assert decision.recommender == active.version
        assert decision.candidates is None
        assert 0 < decision.seconds < 60
        assert abs(decision.created - time.time()) < 600
    assert len({each.id for each in log.decisions}) == len(QUERIES)
    assert value(metrics, "decisions_total", choice="recommended", source="recommend") == len(QUERIES)
    assert value(metrics, "decision_seconds_count") == len(QUERIES)


async def test_texts_are_logged_only_if_asked_for(make_decider, log) -> None:
    await make_decider(log_queries=True).decide(QUERY, source="gateway")
    assert (log.decisions[0].query, log.decisions[0].source) == (QUERY, "gateway")


async def test_candidates_are_those_named_each_once(make_decider, active, log) -> None:
    ids = [prompt.id for prompt in active.prepared.prompts]
    decided = await make_decider().decide(QUERY, source="recommend", candidates=[ids[3], ids[1], ids[3]])
    assert decided.decision.candidates == (ids[3], ids[1])
    among = {decided.decision.prompt_id, *(each.prompt.id for each in decided.recommendation.runners_up)}
    assert among == {ids[3], ids[1]}
    only = await make_decider().decide(QUERY, source="recommend", candidates=[ids[4]])
    assert only.decision.prompt_id == ids[4]


@pytest.mark.parametrize(
    ("query", "candidates", "error"),
    [
        ("", None, DataError),
        (" \n\t", None, DataError),
        ("half \ud800", None, DataError),
        (QUERY, ["nobody"], UnseenPromptError),
        (QUERY, [], ParameterError),
    ],
)
async def test_what_cannot_be_decided_is_refused_and_not_logged(
    make_decider, log, metrics, query: str, candidates: list[str] | None, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await make_decider(explore=0.5).decide(query, source="recommend", candidates=candidates)
    assert log.decisions == []
    assert value(metrics, "scoring_failures_total", kind="failed") == 0


def best_single(active: ActiveRecommender) -> str:
    return active.prepared.prompts[active.prepared.best_single].id


def assert_fallback(decided: Decided, active: ActiveRecommender) -> None:
    assert decided.decision.prompt_id == decided.recommendation.prompt.id == best_single(active)
    assert (decided.decision.choice, decided.decision.score, decided.decision.propensity) == ("fallback", None, 1.0)
    assert decided.decision.query_id == text_hash(QUERY)
    assert decided.recommendation.query.text == QUERY


@pytest.mark.parametrize("is_quick", [True, False])
@pytest.mark.parametrize("error", [ValueError(QUERY), DataError(QUERY), TimeoutError(QUERY), MemoryError(QUERY)])
async def test_scoring_that_fails_gives_the_best_single_prompt(
    make_decider, make_behaving, metrics, log, caplog, is_quick: bool, error: Exception
) -> None:
    def fail(_: str) -> None:
        raise error

    active = make_behaving(fail, is_quick=is_quick)
    decider = make_decider(active, explore=0.9)
    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            assert_fallback(await decider.decide(QUERY, source="recommend"), active)
    assert value(metrics, "scoring_failures_total", kind="failed") == 3
    assert value(metrics, "scoring_failures_total", kind="late") == 0
    assert value(metrics, "decisions_total", choice="fallback", source="recommend") == len(log.decisions) == 3
    assert [record.getMessage().count(type(error).__name__) for record in caplog.records] == [1]
    assert QUERY not in caplog.text


async def test_scoring_that_is_late_gives_the_best_single_prompt(make_decider, make_behaving, metrics) -> None:
    active = make_behaving(lambda _: time.sleep(0.02))
    assert_fallback(await make_decider(active, budget_seconds=0.01).decide(QUERY, source="recommend"), active)
    assert value(metrics, "scoring_failures_total", kind="late") == 1


async def test_a_fallback_is_one_of_the_candidates(make_decider, make_behaving) -> None:
    def fail(_: str) -> None:
        raise ValueError

    active = make_behaving(fail)
    others = [prompt.id for prompt in active.prepared.prompts if prompt.id != best_single(active)][:2]
    decided = await make_decider(active).decide(QUERY, source="recommend", candidates=others)
    assert decided.decision.choice == "fallback"
    assert decided.decision.prompt_id in others


async def test_longer_work_does_not_hold_up_the_event_loop(make_decider, make_behaving) -> None:
    where: list[str] = []

    def work(_: str) -> None:
        where.append(threading.current_thread().name)
        time.sleep(0.05)

    decider = make_decider(make_behaving(work, is_quick=False))
    deciding = asyncio.ensure_future(decider.decide(QUERY, source="recommend"))
    n_ticks = 0
    while not deciding.done():
        await asyncio.sleep(0.001)
        n_ticks += 1
    assert deciding.result().decision.choice == "recommended"
    assert n_ticks > 5
    assert where[0].startswith("scoring")


async def test_what_is_quick_is_done_at_once_and_a_long_query_in_a_thread(make_decider, make_behaving) -> None:
    where: list[str] = []
    active = make_behaving(lambda _: where.append(threading.current_thread().name))
    decider = make_decider(active)
    await decider.decide(QUERY, source="recommend")
    await decider.decide(QUERY * 100, source="recommend")
    assert where[0] == threading.current_thread().name
    assert where[1].startswith("scoring")


async def test_work_that_hangs_does_not_pile_up_and_is_used_again_when_it_goes_on(
    make_decider, make_behaving, metrics
) -> None:
    goes_on = threading.Event()
    begun: list[str] = []

    def hang(query: str) -> None:
        begun.append(query)
        goes_on.wait(30)

    active = make_behaving(hang, is_quick=False)
    decider = make_decider(active, budget_seconds=0.3)
    n_threads = threading.active_count()
    try:
        decided = await asyncio.gather(*(decider.decide(QUERY, source="recommend") for _ in range(40)))
        assert {each.decision.choice for each in decided} == {"fallback"}
        at_once = [each for each in decided if each.decision.seconds < 0.2]
        assert len(at_once) == 32, "two were begun and six waited; the others need not have"
        for _ in range(3):
            assert_fallback(await decider.decide(QUERY, source="recommend"), active)
        assert len(begun) == 2
        assert threading.active_count() - n_threads <= 2
    finally:
        goes_on.set()
    deadline = time.monotonic() + 10
    while (await decider.decide(QUERY, source="recommend")).decision.choice == "fallback":
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    assert value(metrics, "scoring_failures_total", kind="late") >= 43
    assert value(metrics, "scoring_failures_total", kind="failed") == 0


async def test_a_request_that_is_cancelled_stays_cancelled(make_decider, make_behaving) -> None:
    decider = make_decider(make_behaving(lambda _: time.sleep(0.05), is_quick=False))
    deciding = asyncio.ensure_future(decider.decide(QUERY, source="recommend"))
    await asyncio.sleep(0.01)
    deciding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await deciding


async def test_exploring_logs_the_exact_propensity_of_what_is_chosen(make_decider, active) -> None:
    explore, n = 0.3, len(active.prepared.prompts)
    recommended = active.prepared.recommend(QUERY)
    decided = await decide_all(make_decider(explore=explore), [QUERY] * 4_000)
    for each in decided:
        is_recommended = each.decision.prompt_id == recommended.prompt.id
        expected = 1 - explore + explore / n if is_recommended else explore / n
        assert each.decision.propensity == pytest.approx(expected, abs=1e-15)
        assert each.decision.choice in (("recommended", "explored") if is_recommended else ("explored",))
    by_prompt = Counter(each.decision.prompt_id for each in decided)
    propensities = {each.decision.prompt_id: each.decision.propensity for each in decided}
    assert len(by_prompt) == n
    assert sum(propensities.values()) == pytest.approx(1)
    for prompt, count in by_prompt.items():
        p = propensities[prompt]
        assert abs(count - 4_000 * p) < 4.5 * math.sqrt(4_000 * p * (1 - p))
    n_explored = sum(each.decision.choice == "explored" for each in decided)
    assert abs(n_explored - 4_000 * explore) < 4.5 * math.sqrt(4_000 * explore * (1 - explore))


async def test_an_explored_recommendation_has_every_candidate_once_best_first(make_decider, active) -> None:
    scores = dict(zip([prompt.id for prompt in active.prepared.prompts], active.prepared.score(QUERY), strict=True))
    for each in await decide_all(make_decider(explore=1.0), [QUERY] * 30):
        found = each.recommendation
        assert found.prompt.id == each.decision.prompt_id
        assert found.score == each.decision.score == pytest.approx(scores[found.prompt.id])
        others = [other.prompt.id for other in found.runners_up]
        assert sorted([found.prompt.id, *others]) == sorted(scores)
        runners_up = [other.score for other in found.runners_up]
        if each.decision.propensity and found.prompt != active.prepared.recommend(QUERY).prompt:
            assert runners_up == sorted(runners_up, reverse=True)
            assert "drawn at random" in found.reason


async def test_exploring_everything_is_uniform_among_the_candidates(make_decider, active) -> None:
    ids = [prompt.id for prompt in active.prepared.prompts][:3]
    decider = make_decider(explore=1.0)
    decided = [await decider.decide(QUERY, source="recommend", candidates=ids) for _ in range(60)]
    assert {each.decision.prompt_id for each in decided} == set(ids)
    assert {each.decision.propensity for each in decided} == {1 / 3}
    only = await decider.decide(QUERY, source="recommend", candidates=ids[:1])
    assert only.decision.propensity == 1


async def test_what_is_drawn_is_the_same_for_the_same_seed(make_decider) -> None:
    async def drawn(seed: int) -> list[str]:
        decided = await decide_all(make_decider(explore=0.7, seed=seed), QUERIES)
        return [each.decision.prompt_id for each in decided]

    assert await drawn(1) == await drawn(1) != await drawn(2)


async def test_without_exploration_nothing_is_drawn(make_decider, active, log, metrics) -> None:
    class Untouched(Random):
        def random(self) -> float:
            raise AssertionError

    decider = Decider(active, ServeSettings(), metrics=metrics, log=log, random=Untouched())
    await decide_all(decider, QUERIES)


def test_what_is_no_text_gets_the_best_single_prompt(make_decider, active, log, metrics) -> None:
    decided = make_decider(explore=1.0).best_single(source="gateway")
    assert decided.decision.prompt_id == best_single(active)
    assert (decided.decision.query_id, decided.decision.query, decided.decision.score) == ("", None, None)
    assert (decided.decision.propensity, decided.decision.choice) == (1.0, "fallback")
    assert decided.recommendation.query.text == SLOT
    assert log.decisions == [decided.decision]
    assert value(metrics, "scoring_failures_total", kind="failed") == 0
    assert value(metrics, "decisions_total", choice="fallback", source="gateway") == 1


async def test_it_works_without_a_log(active, metrics) -> None:
    decided = await Decider(active, ServeSettings(), metrics=metrics).decide(QUERY, source="recommend")
    assert decided.decision.choice in ("recommended", "fallback")


async def test_the_recommended_prompt_drawn_at_random_says_both(make_decider, active) -> None:
    recommended = active.prepared.recommend(QUERY)
    decided = await decide_all(make_decider(explore=1.0), [QUERY] * 60)
    reasons = {each.recommendation.reason for each in decided if each.recommendation.prompt == recommended.prompt}
    assert reasons == {f"drawn at random, to learn from, and recommended too: {recommended.reason}"}
