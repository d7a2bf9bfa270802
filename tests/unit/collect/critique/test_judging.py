"""Having answers judged: each once, within the run's budget, and again only what failed."""

from __future__ import annotations

from typing import Any

import pytest

from prompt_oirl.collect.client.concurrency import AdaptiveConcurrency
from prompt_oirl.collect.collected import Collected
from prompt_oirl.collect.critique.critic import Critic
from prompt_oirl.collect.critique.judging import judge_answers
from prompt_oirl.collect.engine import Collection
from prompt_oirl.errors import LLMError
from prompt_oirl.runs.outcomes import Failure

CRITIC = Critic(template="{{query}} {{answer}}?", max_tokens=20)


async def answered(run: Any, client: Any) -> Any:
    calls = run.calls()
    await Collection(run.store, client, run.configuration.parameters, run.ledger(), AdaptiveConcurrency(4)).buy(calls)
    return run


async def judge(run: Any, client: Any, *, retry_failed: bool = False, seen: Any = None, **caps: float) -> Collected:
    return await judge_answers(
        run.store,
        CRITIC,
        client,
        run.ledger(**caps),
        concurrency=AdaptiveConcurrency(4),
        retry_failed=retry_failed,
        on_progress=seen.append if seen is not None else lambda _: None,
    )


async def test_each_answer_is_judged_once(small_run, scripted_client) -> None:
    run, client, seen = await answered(small_run(), scripted_client()), scripted_client(), []
    collected = await judge(run, client, seen=seen)
    assert (collected.ending, collected.n_calls, collected.to_come) == ("done", 12, 0)
    assert len(set(client.asked)) == 12
    assert all("answer to What is" in text for text in client.asked)
    assert collected.spending == run.store.spending()
    assert collected.spending.requests == 24, "the ledger has the answers too"
    assert run.store.spending("critique").answered == 12
    assert [each.left for each in seen] == list(range(11, -1, -1))
    assert Critic.noted(run.store) == CRITIC
    assert client.is_closed

    client = scripted_client()
    again = await judge(run, client)
    assert (again.ending, again.n_calls) == ("done", 0)
    assert (client.asked, client.n_checks, client.is_closed) == ([], 0, True)


async def test_failures_are_judged_again_on_demand(small_run, scripted_client) -> None:
    run = await answered(small_run(), scripted_client())
    failing = scripted_client(script=lambda text, earlier: Failure("timeout", "60 s") if "3" in text else None)
    collected = await judge(run, failing)
    assert (collected.n_calls, collected.spending.failed, collected.to_come) == (12, 2, 0)
    assert (await judge(run, scripted_client())).n_calls == 0
    part = await judge(run, scripted_client(), retry_failed=True, max_calls=25)
    assert (part.ending, part.n_calls, part.to_come) == ("budget", 1, 1)
    assert (await judge(run, scripted_client(), retry_failed=True)).n_calls == 1
    assert run.store.spending("critique").failed == 0


async def test_the_budget_is_of_answers_and_critiques_together(small_run, scripted_client) -> None:
    run, client = await answered(small_run(), scripted_client()), scripted_client()
    collected = await judge(run, client, max_calls=15)
    assert (collected.ending, collected.n_calls, collected.to_come) == ("budget", 3, 9)
    assert collected.refusal == "max_calls=15: 15 spent, the next call may take 1"


async def test_an_error_closes_the_client(small_run, scripted_client) -> None:
    run = await answered(small_run(), scripted_client())
    client = scripted_client(script=lambda text, earlier: LLMError("no access"))
    with pytest.raises(LLMError):
        await judge(run, client)
    assert client.is_closed


async def test_failures_are_not_judged(small_run, scripted_client) -> None:
    failing = scripted_client(script=lambda text, earlier: Failure("timeout", "60 s") if "3" in text else None)
    run = await answered(small_run(), failing)
    assert (await judge(run, scripted_client())).n_calls == 10
