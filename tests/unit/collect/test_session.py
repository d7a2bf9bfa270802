"""Sessions: rounds go on where they were, grids grow, strategies do not mix, failures are asked once more."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import numpy as np
import pytest

from prompt_oirl.collect import session as session_module
from prompt_oirl.collect.client.concurrency import AdaptiveConcurrency
from prompt_oirl.collect.engine import Ending
from prompt_oirl.collect.plan.tokens import CharacterCounter
from prompt_oirl.collect.session import Session, foreseen, ledger_of, planned
from prompt_oirl.collect.strategies.protocol import FullGrid, Strategy
from prompt_oirl.collect.strategies.random_cells import RandomFraction
from prompt_oirl.collect.strategies.uncertain import Uncertain
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import StoreError
from prompt_oirl.grading import get_grader
from prompt_oirl.records import Query, Question
from prompt_oirl.runs.outcomes import Completion, Failure, Outcome
from prompt_oirl.runs.store import RunStore

GRADER = get_grader("numeric")
FAILURE = Failure("timeout", "60 s")


class Favourite:
    """A reward model that likes the prompts in their order, without learning."""

    gives_probabilities = False

    def fit(self, demonstrations: Demonstrations) -> Favourite:
        return self

    def score(self, queries: Any, prompts: Any) -> Any:
        return -np.arange(len(prompts))[None, :] * np.linspace(0.1, 3, len(queries))[:, None]


STRATEGIES: dict[str, Strategy] = {
    "full": FullGrid(),
    "random": RandomFraction(0.5, seed=1),
    "random-cells": RandomFraction(0.5, seed=1, whole_queries=False),
    "uncertain": Uncertain(0.5, seed=1, n_rounds=4, model=Favourite),
}
every_strategy = pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
drawn_strategies = pytest.mark.parametrize("strategy", list(STRATEGIES.values())[1:], ids=list(STRATEGIES)[1:])


def made(run: Any, strategy: Strategy, *, n_samples: int = 1, questions: Any = None, **fields: Any) -> Session:
    return Session(run.store, questions or run.questions, run.prompts, n_samples, strategy, GRADER, **fields)


async def buy(session: Session, run: Any, client: Any, *, stop_after: int | None = None, **caps: float) -> Ending:
    stop = asyncio.Event()

    def count(progress: Any) -> None:
        if stop_after is not None and progress.done >= stop_after:
            stop.set()

    return await session.buy(
        client, run.ledger(**caps), concurrency=AdaptiveConcurrency(4), stop=stop, on_progress=count
    )


def bought(run: Any) -> dict[tuple[str, str, int], float]:
    return {
        (each.cell.query_id, each.cell.prompt_id, each.cell.sample): each.cell.propensity
        for each in run.store.outcomes()
    }


@every_strategy
async def test_all_that_is_wanted_is_bought_once_and_then_nothing(small_run, scripted_client, strategy) -> None:
    run, client = small_run(40, 3), scripted_client()
    assert await buy(made(run, strategy), run, client) == "done"
    assert len(client.asked) == len(set(client.asked)) == len(bought(run))
    again = made(run, strategy)
    assert again.next_plan() is None
    assert await buy(again, run, client) == "done"
    assert len(client.asked) == len(bought(run))
    plan = again.plan()
    assert (plan.counts.to_come, plan.counts.answered, plan.counts.chosen) == (0, len(bought(run)), len(bought(run)))


@every_strategy
@pytest.mark.parametrize("every", [7, 20])
async def test_a_run_that_is_stopped_ends_as_one_that_is_not(small_run, scripted_client, strategy, every) -> None:
    undisturbed, run, client = small_run(40, 3), small_run(40, 3), scripted_client()
    await buy(made(undisturbed, strategy), undisturbed, scripted_client())
    endings = ["interrupted"]
    while endings[-1] == "interrupted":
        endings.append(await buy(made(run, strategy), run, client, stop_after=every))
        assert set(run.store.states().values()) <= {"answered", "planned"}
    assert len(endings) > 3
    assert bought(run) == bought(undisturbed)
    assert len(client.asked) == len(bought(run)), "nothing was asked twice"


@drawn_strategies
async def test_a_drawn_cell_has_the_probability_it_was_drawn_with(small_run, scripted_client, strategy) -> None:
    run = small_run(40, 3)
    await buy(made(run, strategy), run, scripted_client())
    propensities = set(bought(run).values())
    if isinstance(strategy, Uncertain):
        assert len(propensities) > 3
        assert min(propensities) >= 0.1
    else:
        assert propensities == {0.5}
    assert 20 < len(bought(run)) < 100


async def test_rounds_are_drawn_when_the_last_one_is_bought(small_run, scripted_client) -> None:
    run, client, seen = small_run(40, 3), scripted_client(), []

    class Watching(Uncertain):
        def next_round(self, queries: Any, prompts: Any, *, state: Any, demonstrations: Any) -> Any:
            if state is not None:
                seen.append(Counter(run.store.states().values()))
            return super().next_round(queries, prompts, state=state, demonstrations=demonstrations)

    await buy(made(run, Watching(0.5, n_rounds=4, model=Favourite)), run, client)
    assert len(seen) == 4
    assert all(set(each) == {"answered"} for each in seen)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("full", "random"),
        ("full", "uncertain"),
        ("random", "full"),
        ("random", "random-cells"),
        ("random", "uncertain"),
        ("uncertain", "random"),
        ("uncertain", "full"),
    ],
)
async def test_strategies_do_not_mix_and_nothing_is_spent_to_find_that_out(
    small_run, scripted_client, first: str, second: str
) -> None:
    run, client = small_run(20), scripted_client()
    await buy(made(run, STRATEGIES[first]), run, client, stop_after=1)
    n_asked = len(client.asked)
    more = (*run.questions, Question(Query("What is new?"), "1"))
    with pytest.raises(StoreError, match="cannot be mixed"):
        made(run, STRATEGIES[second], questions=more)
    assert len(run.store.queries()) == 20, "what is refused registers nothing"
    assert len(client.asked) == n_asked
    assert await buy(made(run, STRATEGIES[first]), run, client) == "done"


async def test_another_worker_may_begin_to_draw_at_the_same_time(small_run, scripted_client, monkeypatch) -> None:
    run = small_run(20)
    plan = RunStore.plan

    def faster(self: RunStore, cells: Any, **fields: Any) -> bool:
        monkeypatch.undo()
        other = made(run, STRATEGIES["random"])
        assert other.next_plan() is not None
        return plan(self, cells, **fields)

    monkeypatch.setattr(RunStore, "plan", faster)
    with pytest.raises(StoreError, match="cannot be mixed"):
        made(run, FullGrid())


@pytest.mark.usefixtures("shared_store")
@pytest.mark.parametrize("strategy", [STRATEGIES["random"], STRATEGIES["uncertain"]], ids=["random", "uncertain"])
async def test_two_workers_that_draw_at_once_draw_each_round_once(small_run, scripted_client, strategy) -> None:
    undisturbed, run, client = small_run(40, 3), small_run(40, 3), scripted_client(latency=lambda: 0.001)
    await buy(made(undisturbed, strategy), undisturbed, scripted_client())
    both = [made(run, strategy) for _ in range(2)]
    session_module._POLL_SECONDS, poll = 0.01, session_module._POLL_SECONDS
    try:
        assert await asyncio.gather(*(buy(each, run, client) for each in both)) == ["done", "done"]
    finally:
        session_module._POLL_SECONDS = poll
    assert bought(run) == bought(undisturbed)
    assert len(client.asked) == len(bought(run))


async def test_a_round_that_another_worker_draws_meanwhile_is_not_passed_over(
    small_run, scripted_client, monkeypatch
) -> None:
    """Between this worker's look at the states and its draw, another one draws and buys nothing of it yet."""
    run, strategy = small_run(40, 3), STRATEGIES["uncertain"]
    mine, other = made(run, strategy), made(run, strategy)
    plan = mine.plan

    def plan_and_be_slow() -> Any:
        seen = plan()
        monkeypatch.undo()
        assert other.next_plan() is not None
        return seen

    monkeypatch.setattr(mine, "plan", plan_and_be_slow)
    first = mine.next_plan()
    assert first is not None
    assert first.counts.to_come == plan().counts.to_come == len(run.store.states())


@pytest.mark.usefixtures("shared_store")
async def test_what_others_hold_is_waited_for(small_run, scripted_client, monkeypatch) -> None:
    monkeypatch.setattr(session_module, "_POLL_SECONDS", 0.01)
    run, client = small_run(), scripted_client()
    held = [call.cell for call in run.calls()[:4]]
    run.store.claim(held, worker="another", seconds=60)
    buying = asyncio.create_task(buy(made(run, FullGrid()), run, client))
    await asyncio.sleep(0.3)
    assert len(client.asked) == 8
    assert not buying.done()
    run.store.release("another")
    assert await buying == "done"
    assert len(client.asked) == 12


@pytest.mark.usefixtures("shared_store")
async def test_a_wait_for_others_can_be_stopped(small_run, scripted_client) -> None:
    run, stop = small_run(), asyncio.Event()
    run.store.claim([call.cell for call in run.calls()], worker="another", seconds=60)
    buying = asyncio.create_task(
        made(run, FullGrid()).buy(scripted_client(), run.ledger(), concurrency=AdaptiveConcurrency(1), stop=stop)
    )
    await asyncio.sleep(0.1)
    stop.set()
    async with asyncio.timeout(1):
        assert await buying == "interrupted"


@every_strategy
async def test_a_grid_may_grow(small_run, scripted_client, strategy) -> None:
    run, client = small_run(40, 3, is_registered=False), scripted_client()
    few = run.questions[:25]
    await buy(Session(run.store, few, run.prompts[:2], 1, strategy, GRADER), run, client)
    before = bought(run)
    await buy(made(run, strategy), run, client)
    after = bought(run)
    assert len(after) == len(client.asked) > len(before)
    assert {key: after[key] for key in before} == before, "what was bought stays as it was"
    assert {prompt_id for _, prompt_id, _ in set(after) - set(before)} == {"p0", "p1", "p2"}
    assert made(run, strategy).next_plan() is None


@drawn_strategies
async def test_a_drawn_grid_is_all_that_is_registered(small_run, scripted_client, strategy) -> None:
    run, client = small_run(40, 3), scripted_client()
    await buy(made(run, strategy), run, client)
    again = Session(run.store, run.questions[:3], run.prompts[:1], 1, strategy, GRADER)
    assert (len(again.questions), len(again.prompts)) == (40, 3)
    assert again.next_plan() is None


@every_strategy
async def test_further_samples_are_bought_with_the_probability_of_their_pair(
    small_run, scripted_client, strategy
) -> None:
    run, client = small_run(40, 3, seed=5), scripted_client()
    await buy(made(run, strategy), run, client)
    before = bought(run)
    grid = run.grid(n_samples=3)
    shown = foreseen(grid, strategy, run.store)
    assert shown.counts.to_come == 2 * len(before)
    assert set(run.store.states().values()) == {"answered"}, "a look stores nothing"
    await buy(made(run, strategy, n_samples=3), run, client)
    after = bought(run)
    assert after == {(*key[:2], sample): propensity for key, propensity in before.items() for sample in range(3)}
    assert made(run, strategy, n_samples=3).next_plan() is None
    assert made(run, strategy, n_samples=1).next_plan() is None


@every_strategy
async def test_failed_cells_are_asked_once_more_on_demand(small_run, scripted_client, strategy) -> None:
    run = small_run(40, 3)
    answers = scripted_client()
    client = scripted_client(script=lambda text, earlier: FAILURE if "3" in text else None)
    await buy(made(run, strategy), run, client)
    failed = [text for text in client.asked if "3" in text]
    assert len(failed) > 5
    n_asked = len(client.asked)
    assert await buy(made(run, strategy), run, client) == "done"
    assert len(client.asked) == n_asked, "without the demand they are left"

    assert await buy(made(run, strategy, retry_failed=True), run, client) == "done"
    assert sorted(client.asked[n_asked:]) == sorted(failed), "each once, though they fail again"

    session = made(run, strategy, retry_failed=True)
    assert await buy(session, run, answers, max_calls=run.store.spending().requests + 3) == "budget"
    assert session.plan().counts.to_come == len(failed) - 3, "those not asked are still to come"
    assert await buy(made(run, strategy, retry_failed=True), run, answers) == "done"
    assert len(answers.asked) == len(failed)
    assert run.store.failures() == {}


@every_strategy
async def test_what_is_foreseen_is_then_bought(small_run, scripted_client, strategy) -> None:
    run, client = small_run(40, 3), scripted_client()
    grid = run.grid()
    unseen = foreseen(grid, strategy, None)
    first = foreseen(grid, strategy, run.store)
    assert first.chosen.tolist() == unseen.chosen.tolist()
    assert run.store.states() == {}
    assert run.store.noted("strategy") is None, "a look stores nothing"
    session = made(run, strategy)
    plan = session.next_plan()
    assert plan is not None
    assert plan.chosen.tolist() == first.chosen.tolist()
    assert planned(grid, strategy, run.store).counts == plan.counts
    if not isinstance(strategy, Uncertain):
        await buy(session, run, client)
        assert {call.messages[-1].content for call in first.calls()} == set(client.asked)


async def test_an_empty_round_is_followed_by_the_next_one(small_run, scripted_client) -> None:
    run, client = small_run(3, 1), scripted_client()
    strategy = Uncertain(0.1, seed=0, n_rounds=3, model=Favourite)
    assert await buy(made(run, strategy), run, client) == "done"
    assert made(run, strategy).next_plan() is None


async def test_progress_is_of_all_rounds(small_run, scripted_client) -> None:
    run, client, seen = small_run(40, 3), scripted_client(), []
    await made(run, STRATEGIES["uncertain"]).buy(
        client, run.ledger(), concurrency=AdaptiveConcurrency(4), stop=asyncio.Event(), on_progress=seen.append
    )
    assert [each.done for each in seen] == list(range(1, len(client.asked) + 1))
    assert seen[-1].left == 0
    assert {each.limit for each in seen} == {4}


async def test_a_ledger_begins_with_what_the_run_has_spent(small_run, scripted_client) -> None:
    def uncounted(text: str, earlier: int) -> Outcome | None:
        return Completion("four " * 20, "m") if "Wording 0" in text else None

    run = small_run()
    await buy(made(run, FullGrid()), run, scripted_client(script=uncounted))
    ledger = ledger_of(
        run.store, budget=run.ledger().budget, price=None, counter=CharacterCounter(), max_answer_tokens=None
    )
    assert ledger.spending == run.store.spending()
    assert ledger.spending.uncounted == 6
    assert ledger.tokens > ledger.spending.tokens + 6 * 20, "what was not counted is estimated"
    assert ledger.n_settled == 0
