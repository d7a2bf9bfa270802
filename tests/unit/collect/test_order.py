"""Orders: a look that stores nothing, and what became of what was ordered."""

from __future__ import annotations

import os
import signal
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from prompt_oirl.collect.client.concurrency import AdaptiveConcurrency
from prompt_oirl.collect.collected import Collected
from prompt_oirl.collect.order import Order
from prompt_oirl.collect.plan.budget import Budget
from prompt_oirl.collect.plan.prices import Price
from prompt_oirl.collect.plan.tokens import MeasuredCounter
from prompt_oirl.collect.strategies.random_cells import RandomFraction
from prompt_oirl.collect.strategies.uncertain import Uncertain
from prompt_oirl.errors import LLMError, StoreError
from prompt_oirl.grading import get_grader
from prompt_oirl.runs.cells import Cell
from prompt_oirl.runs.outcomes import Completion, Failure
from prompt_oirl.runs.spending import Spending
from prompt_oirl.runs.store import StoredOutcome


def order(run: Any, **fields: Any) -> Order:
    return Order(configuration=run.configuration, questions=run.questions, prompts=run.prompts, **fields)


async def collect(run: Any, client: Any, **fields: Any) -> Collected:
    return await order(run, **fields).collect(run.store, client, concurrency=AdaptiveConcurrency(4))


@pytest.mark.parametrize(
    "strategy", [RandomFraction(0.5), Uncertain(0.5, n_rounds=1), None], ids=["random", "uncertain", "full"]
)
def test_a_plan_stores_nothing(small_run, strategy) -> None:
    run = small_run(is_registered=False)
    fields = {} if strategy is None else {"strategy": strategy, "grader": get_grader("numeric")}
    for store in (None, run.store):
        plan, estimate = order(run, **fields).plan(store)
        assert (plan.counts.to_come == 12) if strategy is None else (0 < plan.counts.to_come <= 12)
        assert estimate.calls == plan.counts.to_come
    assert run.store.queries() == run.store.prompts() == ()
    assert run.store.states() == {}
    assert run.store.noted("strategy") is None


async def test_a_plan_of_a_run_says_what_is_left_and_measures_on_what_is_there(small_run, scripted_client) -> None:
    run = small_run(20)
    await collect(run, scripted_client(), budget=Budget(max_calls=30))
    plan, estimate = order(run, price=Price(input=1e6, output=1e6)).plan(run.store)
    assert (plan.counts.answered, plan.counts.to_come, estimate.calls) == (30, 10, 10)
    assert estimate.completion_tokens == 50, "5 for each, as before"
    assert estimate.usd == estimate.prompt_tokens + 50
    assert isinstance(order(run).counter(run.store), MeasuredCounter)


async def test_a_plan_of_a_drawn_run_has_what_is_new_too(small_run, scripted_client) -> None:
    run, strategy = small_run(40, 2, is_registered=False), RandomFraction(0.5)
    few = replace(order(run, strategy=strategy), questions=run.questions[:20])
    await few.collect(run.store, scripted_client(), concurrency=AdaptiveConcurrency(4))
    n_bought = len(run.store.states())
    grown = replace(order(run, strategy=strategy), questions=run.questions[15:])
    plan, _ = grown.plan(run.store)
    assert plan.counts.answered == n_bought
    assert plan.counts.to_come > 0
    collected = await grown.collect(run.store, scripted_client(), concurrency=AdaptiveConcurrency(4))
    assert collected.n_calls == plan.counts.to_come


async def test_a_plan_with_another_strategy_is_refused(small_run, scripted_client) -> None:
    run = small_run()
    await collect(run, scripted_client())
    with pytest.raises(StoreError, match="cannot be mixed"):
        order(run, strategy=RandomFraction(0.5)).plan(run.store)
    drawn = small_run()
    await collect(drawn, scripted_client(), strategy=RandomFraction(0.5))
    with pytest.raises(StoreError, match="cannot be mixed"):
        order(drawn).plan(drawn.store)


async def test_what_is_collected_is_counted(small_run, scripted_client) -> None:
    run, client = small_run(), scripted_client()
    failing = scripted_client(script=lambda text, earlier: Failure("timeout", "60 s") if "3" in text else None)
    price = Price(input=1e5, output=1e6)
    first = await collect(run, failing, price=price)
    spending = Spending(requests=12, answered=10, failed=2, prompt_tokens=100, completion_tokens=50)
    assert first == Collected("done", None, 12, spending, 60.0, 0)
    assert (failing.n_checks, failing.is_closed) == (1, True)

    again = await collect(run, client, price=price)
    assert again == replace(first, n_calls=0)
    assert (client.n_checks, client.is_closed) == (0, True), "where nothing is to come nobody is asked"

    client = scripted_client()
    last = await collect(run, client, price=price, retry_failed=True)
    assert (last.n_calls, last.spending.failed, last.spending.requests) == (2, 0, 14)
    record = last.to_dict()
    assert (record["ending"], record["spending"]["tokens"], record["to_come"]) == ("done", 180, 0)


async def test_a_budget_that_is_reached_says_which_and_what_is_left(small_run, scripted_client) -> None:
    run = small_run()
    collected = await collect(run, scripted_client(), budget=Budget(max_calls=5))
    assert (collected.ending, collected.n_calls, collected.to_come) == ("budget", 5, 7)
    assert collected.refusal == "max_calls=5: 5 spent, the next call may take 1"


async def test_a_budget_counts_critiques_too(small_run, scripted_client) -> None:
    run = small_run()
    await collect(run, scripted_client(), budget=Budget(max_calls=2))
    answered = next(run.store.outcomes()).cell
    critique = Cell(b"c" * 16, answered.query_id, answered.prompt_id, purpose="critique", subject=answered.key)
    run.store.save([StoredOutcome(critique, Completion("right", "m", attempts=3))])
    collected = await collect(run, scripted_client(), budget=Budget(max_calls=7))
    assert (collected.n_calls, collected.spending.requests) == (2, 7)


async def test_ctrl_c_finishes_what_is_under_way(small_run, scripted_client) -> None:
    run, said = small_run(20), []
    client = scripted_client(latency=lambda: 0.02)

    def press(progress: Any) -> None:
        if progress.done == 1:
            os.kill(os.getpid(), signal.SIGINT)

    collected = await order(run).collect(
        run.store,
        client,
        concurrency=AdaptiveConcurrency(4),
        on_progress=press,
        on_drain=lambda: said.append("draining"),
    )
    assert collected.ending == "interrupted"
    assert collected.n_calls == len(client.asked) < 12
    assert collected.to_come == 40 - len(client.asked)
    assert Counter(run.store.states().values())["answered"] == len(client.asked)
    assert said == ["draining"]


async def test_a_check_that_fails_asks_for_nothing_and_closes(small_run, scripted_client, monkeypatch) -> None:
    run, client = small_run(), scripted_client()

    async def refuse() -> None:
        raise LLMError("no key")

    monkeypatch.setattr(client, "check", refuse)
    with pytest.raises(LLMError, match="no key"):
        await collect(run, client)
    assert client.asked == []
    assert client.is_closed


async def test_what_is_refused_before_a_call_closes_the_client_too(small_run, scripted_client) -> None:
    run, client = small_run(), scripted_client()
    await collect(run, scripted_client())
    with pytest.raises(StoreError):
        await collect(run, client, strategy=RandomFraction(0.5))
    assert client.is_closed
