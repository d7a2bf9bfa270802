"""The engine: every cell bought once, nothing lost, and an end in every case."""

from __future__ import annotations

import asyncio
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prompt_oirl.collect import engine
from prompt_oirl.collect.client.concurrency import AdaptiveConcurrency
from prompt_oirl.collect.engine import Collection
from prompt_oirl.errors import LLMError, StoreError
from prompt_oirl.runs.outcomes import Completion, Failure, Outcome
from prompt_oirl.runs.store import RunStore

BUSY = Failure("server_error", "HTTP 503: busy", status=503, attempts=3)
BAD = Failure("bad_request", "HTTP 400: too long", status=400)


def collection(run: Any, client: Any, *, concurrency: int = 4, caps: dict[str, float] | None = None, **fields: Any):
    return Collection(
        run.store,
        client,
        run.configuration.parameters,
        run.ledger(**(caps or {})),
        AdaptiveConcurrency(concurrency),
        **fields,
    )


def states(run: Any) -> Counter[str]:
    return Counter(run.store.states().values())


@pytest.fixture
def saves(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., None]], None]:
    """Puts something before every save of every store."""
    save = RunStore.save

    def before(action: Callable[..., None]) -> None:
        def saving(self: RunStore, results: Any) -> None:
            action(results)
            save(self, results)

        monkeypatch.setattr(RunStore, "save", saving)

    return before


@pytest.mark.usefixtures("shared_store")
async def test_every_cell_is_bought_once_with_the_seed_of_its_sample(small_run, scripted_client) -> None:
    run, client = small_run(seed=10), scripted_client()
    assert await collection(run, client).buy(run.calls(n_samples=2)) == "done"
    assert len(client.asked) == len(set(client.asked)) == 24
    assert {text[-3:] for text in client.asked} == {"#10", "#11"}
    assert states(run) == {"answered": 24}
    assert client.most_in_flight <= 4

    assert await collection(run, client).buy(run.calls(n_samples=2)) == "done"
    assert len(client.asked) == 24, "what is there is not asked for again"


async def test_no_calls_are_done_at_once(small_run, scripted_client) -> None:
    assert await collection(small_run(), scripted_client()).buy([]) == "done"


@pytest.mark.usefixtures("shared_store")
async def test_a_slot_is_held_until_its_outcome_is_durable(small_run, scripted_client, saves) -> None:
    run, client, may_save = small_run(20), scripted_client(), threading.Event()
    saves(lambda results: may_save.wait(10))
    told: list[Outcome] = []
    buying = asyncio.create_task(collection(run, client, on_outcome=told.append).buy(run.calls()))
    try:
        await asyncio.sleep(0.2)
        assert len(client.asked) == 4, "asked and not durable: as many as there are slots"
        assert told == []
    finally:
        may_save.set()
    assert await buying == "done"
    assert len(told) == 40


async def test_an_outcome_is_told_of_when_it_is_durable_and_settled(small_run, scripted_client) -> None:
    run, client = small_run(), scripted_client()
    bought = collection(run, client)
    seen: list[tuple[int, int]] = []
    bought.on_outcome = lambda outcome: seen.append((run.store.spending().answered, bought.ledger.n_settled))
    await bought.buy(run.calls())
    assert [settled for _, settled in seen] == list(range(1, 13))
    assert all(stored >= settled for stored, settled in seen)


async def test_an_llm_error_launches_nothing_more_drains_the_others_and_is_raised(small_run, scripted_client) -> None:
    run = small_run(20)
    first = run.calls()[0].messages[-1].content
    error = LLMError("no access")
    latencies = iter([0.0] + [0.1] * 100)
    client = scripted_client(
        script=lambda text, earlier: error if text == first else None, latency=lambda: next(latencies)
    )
    with pytest.raises(LLMError) as caught:
        await collection(run, client).buy(run.calls())
    assert caught.value is error
    assert len(client.asked) <= 5
    assert states(run)["answered"] == len(client.asked) - 1, "those in flight were waited for and stored"
    assert states(run)["claimed"] == 0, "what was claimed and not asked for is free again"
    assert run.store.spending().requests == len(client.asked) - 1


@pytest.mark.parametrize("kind", [StoreError, ZeroDivisionError])
async def test_a_save_that_fails_stops_and_keeps_what_was_saved(
    small_run, scripted_client, saves, kind: type[Exception]
) -> None:
    run, client = small_run(20), scripted_client(latency=lambda: 0.001)
    told: list[Outcome] = []
    is_full = True

    def fail_when_full(results: Any) -> None:
        if is_full and told:
            raise kind("the disk is full")

    saves(fail_when_full)
    with pytest.raises(kind, match="disk is full"):
        await collection(run, client, on_outcome=told.append).buy(run.calls())
    assert states(run)["answered"] == len(told) > 0
    assert states(run)["claimed"] == 0
    assert len(client.asked) < 40
    is_full = False
    assert await collection(run, client).buy(run.calls()) == "done"
    assert states(run) == {"answered": 40}


@pytest.mark.usefixtures("shared_store")
async def test_a_claim_that_fails_waits_for_the_calls_in_flight(small_run, scripted_client, monkeypatch) -> None:
    run, client, claim = small_run(20), scripted_client(latency=lambda: 0.05), RunStore.claim
    numbers = iter(range(100))

    def claiming(self: RunStore, *arguments: Any, **fields: Any) -> Any:
        if next(numbers) == 1:
            raise StoreError("the disk is full")
        return claim(self, *arguments, **fields)

    monkeypatch.setattr(RunStore, "claim", claiming)
    with pytest.raises(StoreError, match="disk is full"):
        await collection(run, client).buy(run.calls())
    assert states(run) == {"answered": 8}, "the first claim's calls"


async def test_what_calls_are_read_from_may_fail_too(small_run, scripted_client) -> None:
    run, client = small_run(), scripted_client(latency=lambda: 0.02)

    def calls() -> Any:
        yield from run.calls()[:8]
        raise StoreError("cannot be read")

    with pytest.raises(StoreError, match="cannot be read"):
        await collection(run, client).buy(calls())
    assert states(run) == {"answered": 8}


async def test_a_report_that_fails_loses_nothing(small_run, scripted_client) -> None:
    run, client = small_run(), scripted_client(latency=lambda: 0.01)

    def broken_pipe(_: Outcome) -> None:
        raise BrokenPipeError("no reader")

    bought = collection(run, client, on_outcome=broken_pipe)
    with pytest.raises(BrokenPipeError):
        await bought.buy(run.calls())
    assert states(run)["answered"] == len(client.asked) == bought.ledger.n_settled
    assert bought.concurrency.in_flight == 0


async def test_only_failures_in_a_row_stop_the_run(small_run, scripted_client) -> None:
    run, client = small_run(100), scripted_client(script=lambda text, earlier: BUSY)
    with pytest.raises(
        LLMError, match=r"50 calls in a row .* 3 attempts: server_error, HTTP 503: busy.*--retry-failed"
    ):
        await collection(run, client).buy(run.calls())
    assert 50 <= len(client.asked) < 50 + 4
    assert states(run)["failed"] == len(client.asked), "each of them is stored"


@pytest.mark.parametrize("n_failures", [49, 40])
async def test_fewer_failures_or_some_between_answers_do_not_stop_it(
    small_run, scripted_client, n_failures: int
) -> None:
    run, numbers = small_run(100), iter(range(1000))
    client = scripted_client(script=lambda text, earlier: BUSY if next(numbers) % 50 < n_failures else None)
    assert await collection(run, client, concurrency=1).buy(run.calls()) == "done"
    assert states(run) == {"failed": 4 * n_failures, "answered": 200 - 4 * n_failures}


async def test_refusals_of_single_calls_stop_it_only_before_the_first_answer(small_run, scripted_client) -> None:
    run = small_run(100)
    with pytest.raises(LLMError, match=r"50 calls in a row.*bad_request, HTTP 400"):
        await collection(run, scripted_client(script=lambda text, earlier: BAD), concurrency=1).buy(run.calls())
    retrying = collection(run, scripted_client(script=lambda text, earlier: BAD), concurrency=1, retry_failed=True)
    assert await retrying.buy(run.calls()[:50] * 2) == "done", "these are known, and none but they are asked"

    run, numbers = small_run(100), iter(range(1000))
    client = scripted_client(script=lambda text, earlier: BAD if next(numbers) else None)
    assert await collection(run, client, concurrency=1).buy(run.calls()) == "done"


async def test_forbidden_calls_count_as_they_may_be_a_key_that_was_withdrawn(small_run, scripted_client) -> None:
    run, numbers = small_run(100), iter(range(1000))
    forbidden = Failure("bad_request", "HTTP 403: no", status=403)
    client = scripted_client(script=lambda text, earlier: forbidden if next(numbers) else None)
    with pytest.raises(LLMError, match="50 calls in a row"):
        await collection(run, client, concurrency=1).buy(run.calls())


@pytest.mark.usefixtures("shared_store")
async def test_stop_launches_nothing_more_and_saves_what_is_under_way(small_run, scripted_client) -> None:
    run, client = small_run(20), scripted_client()
    bought = collection(run, client)

    def stop_when_all_slots_are_taken() -> float:
        if client.in_flight == 4:
            bought.stop.set()
        return 0.05 if client.in_flight < 4 else 0.0

    client.latency = stop_when_all_slots_are_taken
    assert await bought.buy(run.calls()) == "interrupted"
    assert len(client.asked) == 4
    assert states(run) == {"answered": 4, "planned": 4}


async def test_stop_ends_a_search_for_free_cells(small_run, scripted_client) -> None:
    run, other = small_run(20), scripted_client()
    run.store.claim([call.cell for call in run.calls()], worker="another", seconds=60)
    bought = collection(run, other)
    bought.stop.set()
    assert await bought.buy(run.calls()) == "interrupted"
    assert other.asked == []


async def test_a_budget_waits_for_calls_in_flight_and_then_ends_it(small_run, scripted_client) -> None:
    run = small_run(20, max_tokens=100)
    client = scripted_client(latency=lambda: 0.01)
    # A call reserves 100 tokens and more for its answer, and takes 15: all that fit are made, few at a time.
    bought = collection(run, client, caps={"max_tokens": 300})
    assert await bought.buy(run.calls()) == "budget"
    assert client.most_in_flight == 2
    assert 10 <= len(client.asked) <= 15
    assert bought.ledger.reached == "max_tokens"
    assert run.store.spending().tokens == 15 * len(client.asked) <= 300
    assert states(run)["claimed"] == 0
    assert bought.concurrency.in_flight == 0


async def test_a_budget_in_calls_is_kept_to_the_call(small_run, scripted_client) -> None:
    run, client = small_run(20), scripted_client()
    assert await collection(run, client, caps={"max_calls": 7}).buy(run.calls()) == "budget"
    assert len(client.asked) == 7
    assert await collection(run, client, caps={"max_calls": 7}).buy(run.calls()) == "budget"
    assert len(client.asked) == 7, "a budget is of the whole run"


async def test_a_budget_that_waits_hears_of_an_error(small_run, scripted_client) -> None:
    run = small_run(20, max_tokens=100)
    client = scripted_client(script=lambda text, earlier: LLMError("no"), latency=lambda: 0.02)
    with pytest.raises(LLMError, match="no"):
        await collection(run, client, caps={"max_tokens": 130}).buy(run.calls())
    assert len(client.asked) == 1


async def test_a_cancellation_releases_claims_and_keeps_what_was_back(small_run, scripted_client, saves) -> None:
    run, may_save = small_run(20), threading.Event()
    latencies = iter([0.0, 0.0] + [60.0] * 100)
    client = scripted_client(latency=lambda: next(latencies))
    saves(lambda results: may_save.wait(10))
    bought = collection(run, client)
    buying = asyncio.create_task(bought.buy(run.calls()))
    await asyncio.sleep(0.1)
    buying.cancel()
    asyncio.get_running_loop().call_later(0.1, may_save.set)
    with pytest.raises(asyncio.CancelledError):
        await buying
    assert states(run)["answered"] == 2, "answers that had come were written"
    assert states(run)["claimed"] == 0
    assert client.in_flight == 0


async def test_a_cancellation_while_it_waits_for_the_budget_gives_the_slot_back(small_run, scripted_client) -> None:
    run, client = small_run(20, max_tokens=100), scripted_client(latency=lambda: 60)
    bought = collection(run, client, caps={"max_tokens": 130})
    buying = asyncio.create_task(bought.buy(run.calls()))
    while bought.concurrency.in_flight < 2:
        await asyncio.sleep(0.01)
    buying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await buying
    assert bought.concurrency.in_flight == 0


@pytest.mark.usefixtures("shared_store")
async def test_leases_are_renewed_while_calls_take_longer(small_run, scripted_client, monkeypatch) -> None:
    run, client = small_run(2, 1), scripted_client(latency=lambda: 0.5)
    renewed: list[tuple[str, float]] = []
    renew = RunStore.renew
    monkeypatch.setattr(RunStore, "renew", lambda self, *given: renewed.append(given) or renew(self, *given))
    bought = collection(run, client, lease_seconds=0.3)
    buying = asyncio.create_task(bought.buy(run.calls()))
    await asyncio.sleep(0.4)
    cells = [call.cell for call in run.calls()]
    assert run.store.claim(cells, worker="another", seconds=1) == [], "the lease would have run out"
    assert await buying == "done"
    assert len(renewed) >= 3
    assert set(renewed) == {(bought.worker, 0.3)}


async def test_a_lease_that_cannot_be_renewed_stops_it(small_run, scripted_client, monkeypatch) -> None:
    run, client = small_run(50, 1), scripted_client(latency=lambda: 0.05)

    def failing(*_: Any) -> None:
        raise StoreError("the server has gone away")

    monkeypatch.setattr(RunStore, "renew", failing)
    with pytest.raises(StoreError, match="gone away"):
        await collection(run, client, concurrency=1, lease_seconds=0.3).buy(run.calls())
    assert states(run)["claimed"] == 0
    assert states(run)["answered"] == len(client.asked) < 10


async def test_claims_that_cannot_be_given_back_are_an_error(small_run, scripted_client, monkeypatch) -> None:
    run = small_run()
    monkeypatch.setattr(RunStore, "release", lambda *_: (_ for _ in ()).throw(StoreError("locked")))
    with pytest.raises(StoreError, match="locked"):
        await collection(run, scripted_client()).buy(run.calls())
    assert states(run) == {"answered": 12}


@pytest.mark.usefixtures("shared_store")
async def test_two_collections_on_one_store_buy_different_cells(small_run, scripted_client) -> None:
    run, client = small_run(40), scripted_client(latency=lambda: 0.001)
    both = [collection(run, client) for _ in range(2)]
    assert await asyncio.gather(*(each.buy(run.calls()) for each in both)) == ["done", "done"]
    assert len(client.asked) == len(set(client.asked)) == 80
    assert min(each.ledger.n_settled for each in both) > 0, "they share the work"
    assert states(run) == {"answered": 80}


async def test_what_others_spend_counts_where_a_store_is_shared(small_run, scripted_client, monkeypatch) -> None:
    run, client = small_run(40), scripted_client(latency=lambda: 0.001)
    monkeypatch.setattr(RunStore, "is_local", False)
    monkeypatch.setattr(run.store, "_clock", time.time)
    monkeypatch.setattr(engine, "_SHARE_OF_TIME_IN_SUMS", 1.0)  # however slow the machine, it looks at every claim
    both = [collection(run, client, caps={"max_calls": 30}, concurrency=2) for _ in range(2)]
    assert await asyncio.gather(*(each.buy(run.calls()) for each in both)) == ["budget", "budget"]
    assert 30 <= len(client.asked) <= 30 + 2 * (2 + 4), "more by at most what the other claims and has in flight"


latencies = st.lists(st.sampled_from([0.0, 0.0, 0.001, 0.003]), min_size=1, max_size=8)
outcomes = st.sampled_from([None, None, None, BUSY, BAD, LLMError("no access"), StoreError("full"), ValueError("odd")])


@settings(max_examples=60, deadline=None)
@given(
    latencies=latencies,
    script=st.lists(outcomes, min_size=1, max_size=20),
    concurrency=st.integers(1, 6),
    max_calls=st.none() | st.integers(1, 30),
    max_tokens=st.none() | st.integers(1, 2000),
    stop_after=st.none() | st.integers(0, 10),
    most_failures=st.integers(2, 5),
)
def test_it_ends_and_every_cell_has_ended_or_is_free(
    latencies, script, concurrency, max_calls, max_tokens, stop_after, most_failures
) -> None:
    """Random latencies, failures, errors, limits and stops: no deadlock, no loss, no cell twice, no budget exceeded."""
    from prompt_oirl.collect.call import Call
    from prompt_oirl.collect.outage import OutageWatch
    from prompt_oirl.collect.plan.budget import Budget, Ledger
    from prompt_oirl.collect.plan.grid import Grid
    from prompt_oirl.collect.plan.tokens import CharacterCounter
    from prompt_oirl.records import Prompt, Query, Question
    from prompt_oirl.runs.configuration import RunConfiguration, SamplingParameters
    from prompt_oirl.runs.spending import Spending

    numbers, waits, asked, raised = iter(range(10**6)), random.Random(0), [], []

    class Client:
        async def complete(self, messages: Any, parameters: Any) -> Outcome:
            asked.append(messages[-1].content)
            await asyncio.sleep(waits.choice(latencies))
            outcome = script[next(numbers) % len(script)]
            if isinstance(outcome, Exception):
                raised.append(outcome)
                raise outcome
            return outcome or Completion("4", "m", prompt_tokens=20, completion_tokens=3)

    configuration = RunConfiguration("m", "http://127.0.0.1:1/v1", SamplingParameters(max_tokens=40))
    questions = tuple(Question(Query(f"What is {n}?")) for n in range(10))
    grid = Grid(questions, (Prompt.from_text("a", id="a"), Prompt.from_text("b", id="b")), 1, configuration)
    calls = [Call(grid.cell(number), grid.messages(number)) for number in range(len(grid))]
    with (
        tempfile.TemporaryDirectory() as folder,
        RunStore.open(f"sqlite:///{Path(folder) / 's.sqlite'}", configuration=configuration) as store,
    ):
        store.register(grid.queries, grid.prompts)
        told: list[Outcome] = []
        stop = asyncio.Event()

        def tell(outcome: Outcome) -> None:
            told.append(outcome)
            if stop_after is not None and len(told) >= stop_after:
                stop.set()

        bought = Collection(
            store,
            Client(),  # type: ignore[arg-type]
            configuration.parameters,
            Ledger(
                Budget(max_calls, max_tokens),
                spent=Spending(),
                price=None,
                counter=CharacterCounter(),
                max_answer_tokens=40,
            ),
            AdaptiveConcurrency(concurrency),
            outage=OutageWatch(most_failures),
            on_outcome=tell,
            stop=stop,
        )

        async def buy() -> str | None:
            async with asyncio.timeout(30):
                with suppress(LLMError, StoreError, ValueError):
                    return await bought.buy(calls)
            return None

        ending = asyncio.run(buy())
        ended = Counter(store.states().values())
        assert set(ended) <= {"answered", "failed", "planned"}
        assert ended["answered"] + ended["failed"] == len(told) == len(asked) - len(raised)
        assert len(asked) == len(set(asked))
        assert bought.concurrency.in_flight == 0
        spent = store.spending()
        # The attempts of a failure after the first are not reserved: see Ledger.
        assert max_calls is None or len(asked) <= max_calls
        assert max_tokens is None or spent.tokens <= max_tokens
        assert bought.ledger.spending == spent
        if ending == "done":
            assert len(asked) == len(calls)
        elif ending == "budget":
            assert bought.ledger.reached is not None
        elif ending is None:
            assert raised or told[-1] is not None


async def test_nothing_is_claimed_where_nobody_else_collects(small_run, scripted_client, monkeypatch) -> None:
    run = small_run()
    monkeypatch.setattr(RunStore, "claim", lambda *_, **__: pytest.fail("claimed"))
    assert await collection(run, scripted_client()).buy(run.calls()) == "done"
    assert states(run) == {"answered": 12}
