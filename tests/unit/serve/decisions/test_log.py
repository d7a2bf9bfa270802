from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_oirl.errors import MissingDependencyError, ParameterError, StoreError
from prompt_oirl.records import Prompt
from prompt_oirl.serve.decision import Decision, Feedback
from prompt_oirl.serve.decisions.log import StoredDecisionLog
from prompt_oirl.serve.decisions.opening import create_or_check
from prompt_oirl.serve.decisions.rows import decision_of, decision_row
from prompt_oirl.serve.decisions.store import DecisionStore
from prompt_oirl.serve.protocols import LogState
from prompt_oirl.stores.database import Database

MakeDecision = Callable[..., Decision]

any_text = st.text(st.characters(exclude_categories=()), max_size=30)
decisions = st.builds(
    Decision,
    query_id=any_text,
    query=st.none() | any_text,
    prompt_id=any_text,
    score=st.none() | st.floats(allow_nan=False),
    propensity=st.floats(0, 1, exclude_min=True),
    candidates=st.none() | st.lists(any_text, max_size=4).map(tuple),
    choice=st.sampled_from(["recommended", "explored", "fallback"]),
    source=st.sampled_from(["recommend", "gateway", "playground"]),
    recommender=any_text,
    seconds=st.floats(0, 1e6),
    created=st.floats(0, 1e12),
)


@given(st.lists(decisions, min_size=1, max_size=5))
def test_any_decision_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, taken: list[Decision]) -> None:
    with DecisionStore.open(f"sqlite:///{tmp_path_factory.mktemp('any') / 'decisions.sqlite'}") as store:
        store.save(taken)
        by_time = sorted(taken, key=lambda each: (each.created, each.id))
        assert [each for each, _ in store.decisions()] == by_time
        assert [each for each, _ in store.recent()] == by_time[::-1]


@given(decisions)
def test_any_decision_is_a_row(decision: Decision) -> None:
    assert decision_of(tuple(decision_row(decision).values())) == decision


def test_a_score_that_is_no_number_is_none(make_decision: MakeDecision) -> None:
    assert decision_row(make_decision(score=float("nan")))["score"] is None


async def until(is_so: Callable[[], object], *, within: float = 20.0) -> None:
    deadline = time.monotonic() + within
    while not is_so():
        assert time.monotonic() < deadline, f"it was not so within {within:g} s"
        await asyncio.sleep(0.01)


async def stored(log: StoredDecisionLog) -> dict[str, float | None]:
    return {decision.id: reward for decision, reward in await log.recent(100_000)}


@pytest.mark.parametrize("name", ["most_waiting", "gather_seconds", "answer_seconds", "close_seconds"])
def test_arguments_are_positive(store: DecisionStore, name: str) -> None:
    with pytest.raises(ParameterError, match=rf"{name}=0\b.*positive numbers are needed"):
        StoredDecisionLog(store, **{name: 0})  # type: ignore[arg-type]


async def test_decisions_are_stored_without_being_asked_for(store: DecisionStore, make_decision: MakeDecision) -> None:
    async with StoredDecisionLog(store) as log:
        log.record(make_decision())
        assert log.n_waiting == 1
        await until(lambda: not log.n_waiting)
        assert len(store.recent()) == 1


async def test_decisions_gather_into_one_transaction(
    store: DecisionStore, make_decision: MakeDecision, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    save = store.save

    def counted(taken: list[Decision], given: list[Feedback]) -> tuple[bool, ...]:
        sizes.append(len(taken))
        return save(taken, given)

    monkeypatch.setattr(store, "save", counted)
    async with StoredDecisionLog(store, gather_seconds=0.5) as log:
        for _ in range(20):
            log.record(make_decision())
            await asyncio.sleep(0.001)
        await until(lambda: not log.n_waiting)
    assert max(sizes) == 20


async def test_decisions_may_be_recorded_before_the_log_is_entered(
    store: DecisionStore, make_decision: MakeDecision
) -> None:
    log = StoredDecisionLog(store)
    log.record(make_decision())
    with pytest.raises(StoreError, match="the decision log is closed; enter it"):
        await log.flush()
    async with log:
        assert len(await log.recent()) == 1
    with pytest.raises(StoreError, match="the decision log is closed"):
        await log.give_feedback(Feedback("0" * 32, 1))
    async with log:
        log.record(make_decision())
    assert len(store.recent()) == 2


async def test_recording_neither_raises_nor_waits_when_the_store_is_gone(
    store: DecisionStore, make_decision: MakeDecision, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    first, second, beyond = make_decision(created=1), make_decision(created=2), make_decision(created=3)
    caplog.set_level(logging.WARNING)
    async with StoredDecisionLog(store, most_waiting=2) as log:
        log.record(first)
        await log.flush()
        here.rename(there)
        log.record(second)
        with pytest.raises(StoreError, match="unable to open"):
            await log.flush()
        log.record(make_decision(created=2.5))
        log.record(beyond)
        assert (log.n_waiting, log.n_dropped) == (2, 1)
        with pytest.raises(StoreError, match="unable to open"):
            await log.give_feedback(Feedback(first.id, 1))
        with pytest.raises(StoreError, match="unable to open"):
            await log.recent()
        there.rename(here)
        await until(lambda: not log.n_waiting)
        assert await log.give_feedback(Feedback(second.id, 1))
        assert list((await stored(log)).values()) == [None, 1.0, None]
        assert not await log.give_feedback(Feedback(beyond.id, 1))
    assert len([each for each in caplog.messages if "wait in memory" in each]) == 1
    assert caplog.messages[-1].endswith("works again; 1 decisions were dropped")


async def test_a_store_that_is_lost_is_made_again_with_its_prompts_and_said(
    store: DecisionStore, make_decision: MakeDecision, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.register("v1", [Prompt.from_text("Think.", id="think")])
    async with StoredDecisionLog(store) as log:
        log.record(make_decision(created=1))
        await log.flush()
        (tmp_path / "here").rename(tmp_path / "lost")
        (tmp_path / "here").mkdir()
        log.record(make_decision(created=2))
        await log.flush()
        assert [each.created for each, _ in await log.recent()] == [2]
        assert list(store.recommenders()) == ["v1"]
    assert len([each for each in caplog.messages if "decisions.sqlite was removed or replaced" in each]) == 1


async def test_a_store_that_another_process_holds(
    store: DecisionStore, make_decision: MakeDecision, tmp_path: Path
) -> None:
    holder = sqlite3.connect(tmp_path / "here" / "decisions.sqlite", isolation_level=None)
    given = make_decision()
    async with StoredDecisionLog(store, answer_seconds=0.3) as log:
        holder.execute("BEGIN IMMEDIATE")
        log.record(given)
        with pytest.raises(StoreError, match=r"no answer within 0.3 s; see what holds it"):
            await log.give_feedback(Feedback(given.id, 1))
        for _ in range(100):
            log.record(make_decision())
        assert (log.n_waiting, log.n_dropped) == (101, 0)
        holder.execute("ROLLBACK")
        await until(lambda: not log.n_waiting)
        assert await log.give_feedback(Feedback(given.id, 1))
    holder.close()


async def test_closing_takes_no_longer_than_it_may(
    store: DecisionStore, make_decision: MakeDecision, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    holder = sqlite3.connect(tmp_path / "here" / "decisions.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    async with StoredDecisionLog(store, close_seconds=0.5) as log:
        for _ in range(3):
            log.record(make_decision())
        await asyncio.sleep(0.2)
    assert time.monotonic() - started < 5
    assert (log.n_waiting, log.n_dropped) == (0, 3)
    assert "could not be written in time: 3 decisions are lost" in caplog.text
    holder.execute("ROLLBACK")
    holder.close()
    await until(lambda: not any(each.name == "decision-log" for each in threading.enumerate()))


async def test_closing_tries_once_more_and_does_not_wait_for_the_next_attempt(
    store: DecisionStore, make_decision: MakeDecision, tmp_path: Path
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    async with StoredDecisionLog(store) as log:
        here.rename(there)
        log.record(make_decision())
        with pytest.raises(StoreError):
            await log.flush()
        await asyncio.sleep(1)  # it is between attempts that are some time apart
        there.rename(here)
        started = time.monotonic()
    assert time.monotonic() - started < 4
    assert (log.n_waiting, log.n_dropped, len(store.recent())) == (0, 0, 1)


async def test_closing_without_a_store_drops_and_counts(
    store: DecisionStore, make_decision: MakeDecision, tmp_path: Path
) -> None:
    async with StoredDecisionLog(store) as log:
        (tmp_path / "here").rename(tmp_path / "there")
        log.record(make_decision())
    assert (log.n_waiting, log.n_dropped) == (0, 1)


async def test_one_decision_that_is_refused_takes_no_other_with_it(
    store: DecisionStore, make_decision: MakeDecision, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = make_decision(), make_decision(prompt_id=None)
    async with StoredDecisionLog(store) as log:
        for decision in (good, bad):
            log.record(decision)
        assert await log.give_feedback(Feedback(good.id, 0.5))
        assert await stored(log) == {good.id: 0.5}
        assert (log.n_waiting, log.n_dropped) == (0, 1)
    assert "a decision is lost" in caplog.text


async def test_more_decisions_than_one_transaction_takes_come_before_their_feedback(
    store: DecisionStore, make_decision: MakeDecision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prompt_oirl.serve.decisions.log._BATCH", 10)
    taken = [make_decision(created=number) for number in range(40)]
    async with StoredDecisionLog(store) as log:
        for decision in taken:
            log.record(decision)
        assert await asyncio.gather(*(log.give_feedback(Feedback(each.id, 1)) for each in taken)) == [True] * 40
        assert set((await stored(log)).values()) == {1.0}


async def test_feedback_that_is_given_up_before_it_is_stored_stops_nothing(
    store: DecisionStore, make_decision: MakeDecision
) -> None:
    given = make_decision()
    async with StoredDecisionLog(store) as log:
        log.record(given)
        for _ in range(20):
            task = asyncio.ensure_future(log.give_feedback(Feedback(given.id, 1)))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await log.give_feedback(Feedback(given.id, 0))
        assert await stored(log) == {given.id: 0.0}


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)


async def test_a_full_disk(small_disk: Path, make_decision: MakeDecision) -> None:
    with DecisionStore.open(f"sqlite:///{small_disk / 'decisions.sqlite'}") as store:
        async with StoredDecisionLog(store) as log:
            known = make_decision(created=0)
            log.record(known)
            await log.flush()
            filler = small_disk / "filler"
            fill(filler)
            for number in range(50):
                log.record(make_decision(query="q" * 10_000, created=1 + number))
            with pytest.raises(StoreError, match="full"):
                await log.flush()
            assert (log.n_waiting, log.n_dropped) == (50, 0)
            filler.unlink()
            await until(lambda: not log.n_waiting)
            assert await log.give_feedback(Feedback(known.id, 1))
            assert len(await stored(log)) == 51


async def test_recording_takes_little_time_of_the_event_loop(store: DecisionStore, make_decision: MakeDecision) -> None:
    log, taken = StoredDecisionLog(store), [make_decision() for _ in range(5_000)]
    started = time.thread_time()
    for decision in taken:
        log.record(decision)
    assert (time.thread_time() - started) / len(taken) < 5e-6  # measured: 0.3 microseconds


async def test_an_unknown_error_is_a_problem_of_the_store_and_not_the_end_of_the_log(
    store: DecisionStore,
    make_decision: MakeDecision,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    save, n_failures = store.save, 2

    def failing(taken: list[Decision], given: list[Feedback]) -> tuple[bool, ...]:
        nonlocal n_failures
        if n_failures:
            n_failures -= 1
            raise RuntimeError("What is 2 plus 3?")
        return save(taken, given)

    monkeypatch.setattr(store, "save", failing)
    given = make_decision()
    async with StoredDecisionLog(store) as log:
        log.record(given)
        with pytest.raises(StoreError, match=r"decisions\.sqlite: RuntimeError while it was written$"):
            await log.flush()
        await until(lambda: not log.n_waiting)
        assert await log.give_feedback(Feedback(given.id, 1))
        assert (await stored(log), log.n_dropped) == ({given.id: 1.0}, 0)
    assert len([each for each in caplog.messages if "RuntimeError" in each]) == 1
    assert "plus" not in caplog.text


async def test_a_store_that_does_not_answer_is_made_when_something_is_saved(
    tmp_path: Path, make_decision: MakeDecision, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path, opening, is_up = tmp_path / "decisions.sqlite", create_or_check, False

    def open_if_up(database: Database) -> None:
        if not is_up:
            raise StoreError("the server does not answer")
        opening(database)

    monkeypatch.setattr("prompt_oirl.serve.decisions.store.create_or_check", open_if_up)
    with pytest.raises(StoreError, match="does not answer"):
        DecisionStore.open(f"sqlite:///{path}", may_be_down=True)  # a file needs no server
    monkeypatch.setattr(Database, "is_reachable", lambda _: False)
    with DecisionStore.open(f"sqlite:///{path}", may_be_down=True) as store:
        store.register("v1", [Prompt.from_text("Think.", id="think")])
        began = time.time()
        async with StoredDecisionLog(store, most_waiting=2) as log:
            await until(lambda: log.state.name == "failing")  # before anything is recorded
            assert began <= (log.state.failing_since or 0) <= time.time()
            for _ in range(3):
                log.record(make_decision())
            await asyncio.sleep(0.5)  # it is tried more than once
            assert (log.n_waiting, log.n_dropped, path.exists()) == (2, 1, False)
            is_up = True
            await until(lambda: log.state == LogState())
            assert (len(store.recent()), list(store.recommenders())) == (2, ["v1"])
    assert caplog.messages == [
        "the server does not answer; decisions wait in memory until the store works",
        f"{path} works again; 1 decisions were dropped",
    ]


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("mysql://user@host/database", ParameterError),
        ("sqlite:////no/such/folder/decisions.sqlite", StoreError),
        ("postgresql://user@host/database?sslmode=no", StoreError),
    ],
)
def test_what_will_never_work_is_no_store_that_is_down(url: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        DecisionStore.open(url, may_be_down=True)


def test_without_its_driver_postgresql_is_not_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingDependencyError, match=r"prompt-oirl\[postgres\]"):
        DecisionStore.open("postgresql://user@127.0.0.1:1/database", may_be_down=True)


async def test_another_problem_of_a_store_that_fails_is_said_too(
    store: DecisionStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    problems = ["it is down", "it is down", "holds the tables of something else"]

    def failing(*_: object) -> tuple[bool, ...]:
        if problems:
            raise StoreError(problems.pop(0))
        return ()

    monkeypatch.setattr(store, "save", failing)
    async with StoredDecisionLog(store) as log:
        await until(lambda: not problems and log.state.name == "writing")
    said = [each.partition(";")[0] for each in caplog.messages]
    assert said[:2] == ["it is down", "holds the tables of something else"]
    assert len(said) == 3


async def test_the_state_follows_the_log(store: DecisionStore, make_decision: MakeDecision, tmp_path: Path) -> None:
    holder = sqlite3.connect(tmp_path / "here" / "decisions.sqlite", isolation_level=None)
    log = StoredDecisionLog(store, answer_seconds=0.3)
    assert log.state == LogState("ended")
    async with log:
        assert log.state == LogState("writing")
        await log.flush()
        holder.execute("BEGIN IMMEDIATE")
        began = time.time()
        log.record(make_decision())
        await until(lambda: log.state.name == "failing")  # though the store has not refused it yet
        assert began <= (log.state.failing_since or 0) <= time.time()
        holder.execute("ROLLBACK")
        await until(lambda: log.state == LogState("writing"))
    assert log.state == LogState("ended")
    holder.close()


async def test_a_thread_that_is_ended_by_a_mistake_begins_again(
    store: DecisionStore,
    make_decision: MakeDecision,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("prompt_oirl.serve.decisions.log._LONGEST_PAUSE", 0.3)
    log, given, mistakes = StoredDecisionLog(store), make_decision(), [RuntimeError("What is 2 plus 3?")]
    write = log._write

    def mistaken() -> str | None:
        if mistakes:
            raise mistakes.pop()
        return write()

    monkeypatch.setattr(log, "_write", mistaken)
    log.record(given)
    async with log:
        await until(lambda: log.state.name == "failing")
        await until(lambda: not log.n_waiting)
        assert await log.give_feedback(Feedback(given.id, 1))
        assert (log.state, await stored(log)) == (LogState("writing"), {given.id: 1.0})
    assert "the decision log was ended by RuntimeError; it begins again" in caplog.messages
    assert "plus" not in caplog.text
