from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from pathlib import Path
from subprocess import PIPE

import pytest

from prompt_oirl.errors import StoreError
from prompt_oirl.records import Prompt
from prompt_oirl.runs.configuration import RunConfiguration
from prompt_oirl.runs.store import RunStore
from prompt_oirl.serve.decision import Decision, Feedback
from prompt_oirl.serve.decisions.log import StoredDecisionLog
from prompt_oirl.serve.decisions.store import DecisionStore
from prompt_oirl.serve.protocols import LogState
from prompt_oirl.testing.decision_log_contract import DECISION_LOG_CHECKS, OpenLog, check_decision_log

checks = pytest.mark.parametrize("check", DECISION_LOG_CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))

PROMPT = Prompt.from_text("Think.", id="think")


def opening(url: str) -> OpenLog:
    @asynccontextmanager
    async def open_log() -> AsyncIterator[StoredDecisionLog]:
        with DecisionStore.open(url) as store:
            async with StoredDecisionLog(store) as log:
                yield log

    return open_log


@checks
async def test_sqlite_keeps_the_contract(check: Callable[[OpenLog], Awaitable[None]], tmp_path: Path) -> None:
    await check(opening(f"sqlite:///{tmp_path / 'decisions.sqlite'}"))


@checks
async def test_postgresql_keeps_the_contract(
    check: Callable[[OpenLog], Awaitable[None]], new_postgresql_store: Callable[[], str]
) -> None:
    await check(opening(new_postgresql_store()))


class Kept:
    """A log in memory, as simple as one can be."""

    n_dropped = n_waiting = 0
    state = LogState()

    def __init__(self) -> None:
        self.decisions: dict[str, Decision] = {}
        self.rewards: dict[str, float] = {}

    def record(self, decision: Decision) -> None:
        self.n_waiting = 1
        self.decisions[decision.id] = decision

    async def give_feedback(self, feedback: Feedback) -> bool:
        if feedback.decision_id in self.decisions:
            self.rewards[feedback.decision_id] = feedback.reward
        return feedback.decision_id in self.decisions

    async def recent(self, limit: int = 50) -> Sequence[tuple[Decision, float | None]]:
        newest = sorted(self.decisions.values(), key=lambda each: each.created, reverse=True)
        return [(each, self.rewards.get(each.id)) for each in newest[:limit]]


def in_memory(kept: type[Kept]) -> Callable[[], OpenLog]:
    def make() -> Callable[[], AbstractAsyncContextManager[Kept]]:
        log = kept()

        @asynccontextmanager
        async def open_log() -> AsyncIterator[Kept]:
            yield log
            log.n_waiting = 0

        return open_log

    return make


def test_a_log_in_memory_can_keep_the_contract() -> None:
    check_decision_log(in_memory(Kept))


class Forgetful(Kept):
    """Keeps the first feedback."""

    async def give_feedback(self, feedback: Feedback) -> bool:
        self.rewards.setdefault(feedback.decision_id, feedback.reward)
        return feedback.decision_id in self.decisions


class Credulous(Kept):
    """Knows every decision."""

    async def give_feedback(self, feedback: Feedback) -> bool:
        await super().give_feedback(feedback)
        return True


@pytest.mark.parametrize(
    ("kept", "broken"), [(Forgetful, "the last feedback counts"), (Credulous, "an unknown decision is said")]
)
def test_the_suite_finds_what_is_broken(kept: type[Kept], broken: str) -> None:
    with pytest.raises(AssertionError, match=broken):
        check_decision_log(in_memory(kept))


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    if request.param == "postgresql":
        make: Callable[[], str] = request.getfixturevalue("new_postgresql_store")
        yield make
        return
    numbers = iter(range(100))
    yield lambda: f"sqlite:///{tmp_path / f'{next(numbers)}.sqlite'}"


def execute(url: str, *statements: str) -> None:
    from sqlalchemy import text

    from prompt_oirl.stores.database import Database

    database = Database(url)
    with database.writing() as connection:
        for statement in statements:
            connection.execute(text(statement))
    database.close()


def decision(number: int = 0) -> Decision:
    return Decision(
        query_id="q",
        query=None,
        prompt_id="think",
        score=0.5,
        propensity=1,
        choice="recommended",
        source="recommend",
        recommender="v1",
        seconds=0,
        created=number,
    )


REPLICA = """
import sys
from prompt_oirl.records import Prompt
from prompt_oirl.serve.decision import Decision
from prompt_oirl.serve.decisions.store import DecisionStore

fields = dict(query=None, prompt_id="think", score=0.5, propensity=1, choice="recommended", source="recommend")
print("ready", flush=True)
sys.stdin.readline()
with DecisionStore.open(sys.argv[1]) as store:
    store.register("v1", [Prompt.from_text("Think.", id="think"), Prompt.from_text("Answer.", id="answer")])
    store.save([Decision(query_id="q", recommender="v1", seconds=0, **fields) for _ in range(20)])
"""


def test_several_replicas_make_a_store_at_once(new_url: Callable[[], str]) -> None:
    url = new_url()
    command = [sys.executable, "-c", REPLICA, url]
    replicas = [subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) for _ in range(4)]
    for replica in replicas:
        assert replica.stdout is not None
        assert replica.stdout.readline() == "ready\n"
    for replica in replicas:
        assert replica.stdin is not None
        replica.stdin.write("go\n")
        replica.stdin.flush()
    for replica in replicas:
        replica.communicate(timeout=60)
    assert [replica.returncode for replica in replicas] == [0] * 4
    with DecisionStore.open(url, create=False) as store:
        assert len(store.recent(1000)) == 80
        assert [prompt.id for prompt in store.recommenders()["v1"]] == ["think", "answer"]


def test_decisions_come_in_their_order_page_by_page(
    new_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prompt_oirl.serve.decisions.store._BATCH", 7)
    given = [decision(number // 5) for number in range(50)]  # several at one time, on both sides of a page's end
    with DecisionStore.open(new_url()) as store:
        store.save(given[::-1], [Feedback(given[0].id, 0.5)])
        found = list(store.decisions())
        assert sorted(each.id for each, _ in found) == sorted(each.id for each in given)
        assert [each.created for each, _ in found] == [number // 5 for number in range(50)]
        assert {each.id: reward for each, reward in found if reward is not None} == {given[0].id: 0.5}
        following = store.decisions()
        next(following)
        store.save([decision(99)])
        assert len(list(following)) == 50


def test_a_decision_may_be_saved_twice(new_url: Callable[[], str]) -> None:
    given = decision()
    with DecisionStore.open(new_url()) as store:
        store.save([given])
        store.save([given, given, decision(1)])
        assert len(store.recent()) == 2


def test_all_feedback_is_kept(new_url: Callable[[], str]) -> None:
    url, given = new_url(), decision()
    with DecisionStore.open(url) as store:
        assert store.save([given], [Feedback(given.id, 1, 7.0), Feedback("0" * 32, 1)]) == (True, False)
        assert store.give_feedback(Feedback(given.id, 0.25, 6.0))
        assert store.recent() == [(given, 0.25)]
        from sqlalchemy import select

        from prompt_oirl.serve.decisions.schema import feedbacks

        with store._database.reading() as connection:
            kept = connection.execute(select(feedbacks.c.reward, feedbacks.c.created).order_by(feedbacks.c.number))
            assert [tuple(row) for row in kept] == [(1.0, 7.0), (0.25, 6.0)]


def test_prompts_come_with_the_first_decisions_of_their_version(new_url: Callable[[], str]) -> None:
    url = new_url()
    with DecisionStore.open(url) as store:
        store.register("v1", [PROMPT])
        store.save([decision()])
        store.register("v2", [Prompt.from_text("Answer.", id="think")])
        assert list(store.recommenders()) == ["v1"]
        store.save([decision(1)])
        assert {version: prompts[0].text for version, prompts in store.recommenders().items()} == {
            "v1": "Think.",
            "v2": "Answer.",
        }


@pytest.mark.parametrize(
    ("statements", "named"),
    [
        (["CREATE TABLE decisions (what text)"], "holds the tables decisions of something else"),
        (["CREATE TABLE metadata (name text, value text)"], "of something else"),
        (["CREATE TABLE metadata (title text)"], "metadata.name|does not exist"),
    ],
)
def test_tables_of_something_else_are_left_alone(new_url: Callable[[], str], statements: list[str], named: str) -> None:
    url = new_url()
    execute(url, *statements)
    for create in (True, False):
        with pytest.raises(StoreError, match=named):
            DecisionStore.open(url, create=create)


def test_the_store_of_a_run_is_left_alone(new_url: Callable[[], str]) -> None:
    url, configuration = new_url(), RunConfiguration("a-model", "http://127.0.0.1:1/v1")
    RunStore.open(url, configuration=configuration).close()
    with pytest.raises(StoreError, match=r"tables metadata of something else; use another store, .* of its own"):
        DecisionStore.open(url)
    RunStore.open(url).close()


def test_decisions_are_no_store_of_a_run(new_url: Callable[[], str]) -> None:
    url, configuration = new_url(), RunConfiguration("a-model", "http://127.0.0.1:1/v1")
    DecisionStore.open(url).close()
    for given in (configuration, None):
        with pytest.raises(StoreError, match=r"tables metadata of something else; use another --out"):
            RunStore.open(url, configuration=given)
    DecisionStore.open(url).close()


@pytest.mark.parametrize("version", ["0", "2"])
def test_another_version_is_said(new_url: Callable[[], str], version: str) -> None:
    url = new_url()
    DecisionStore.open(url).close()
    execute(url, f"UPDATE metadata SET value = '{version}' WHERE name = 'schema_version'")
    with pytest.raises(StoreError, match=f"a store of version {version}, and this is for version 1; use the version"):
        DecisionStore.open(url)


def test_a_missing_table_is_said(new_url: Callable[[], str]) -> None:
    url = new_url()
    DecisionStore.open(url).close()
    execute(url, "DROP TABLE feedbacks")
    with pytest.raises(StoreError, match="damaged, has no table feedbacks"):
        DecisionStore.open(url)


def test_where_nothing_is_nothing_is_made(new_url: Callable[[], str], tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there are no decisions in it; name the store"):
        DecisionStore.open(new_url(), create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_password_is_not_shown(postgresql_server: str) -> None:
    url = postgresql_server.format(database="nowhere").replace("postgres@", "postgres:hunter2@")
    with pytest.raises(StoreError) as raised:
        DecisionStore.open(url)
    assert "hunter2" not in str(raised.value)


def test_a_database_that_cannot_hold_every_text_is_refused(postgresql_server: str) -> None:
    import psycopg

    with psycopg.connect(postgresql_server.format(database="postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE latin_decisions ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(StoreError, match=r"encoding is LATIN1.*UTF8"):
        DecisionStore.open(postgresql_server.format(database="latin_decisions"))


async def test_decisions_wait_while_postgresql_is_down(
    new_postgresql_store: Callable[[], str], postgresql_outage: Callable[[], AbstractContextManager[None]]
) -> None:
    first, second = decision(1), decision(2)
    with DecisionStore.open(new_postgresql_store()) as store:
        async with StoredDecisionLog(store, most_waiting=2) as log:
            log.record(first)
            await log.flush()
            with postgresql_outage():
                log.record(second)
                with pytest.raises(StoreError):
                    await log.give_feedback(Feedback(first.id, 1))
                log.record(decision(3))
                log.record(decision(4))
                with pytest.raises(StoreError):
                    await log.recent()
                assert (log.n_waiting, log.n_dropped) == (2, 1)
            for _ in range(1000):
                if not log.n_waiting:
                    break
                await asyncio.sleep(0.02)
            assert await log.give_feedback(Feedback(second.id, 1))
            assert [(each.created, reward) for each, reward in await log.recent()] == [(3, None), (2, 1.0), (1, None)]


async def test_a_log_begins_while_postgresql_is_down(
    new_postgresql_store: Callable[[], str],
    postgresql_outage: Callable[[], AbstractContextManager[None]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    url, first = new_postgresql_store(), decision(1)
    with postgresql_outage():
        with pytest.raises(StoreError, match="See that the server runs"):
            DecisionStore.open(url)
        store = DecisionStore.open(url, may_be_down=True)
        store.register("v1", [PROMPT])
        log = await StoredDecisionLog(store, most_waiting=2).__aenter__()
        for each in (first, decision(2), decision(3)):
            log.record(each)
        with pytest.raises(StoreError, match="See that the server runs"):
            await log.give_feedback(Feedback(first.id, 1))
        await asyncio.sleep(1)  # it is tried more than once
        assert (log.n_waiting, log.n_dropped, log.state.name) == (2, 1, "failing")
    with store:
        for _ in range(1000):
            if log.state.name == "writing":
                break
            await asyncio.sleep(0.02)
        assert (log.n_waiting, log.state) == (0, LogState())
        assert await log.give_feedback(Feedback(first.id, 1))
        assert [(each.created, reward) for each, reward in await log.recent()] == [(2, None), (1, 1.0)]
        assert store.recommenders() == {"v1": (PROMPT,)}
        await log.__aexit__()
    assert "See that the server runs" in caplog.messages[0]
    assert len(set(caplog.messages)) == len(caplog.messages)  # while it starts it may say something else
    assert caplog.messages[-1].endswith("works again; 1 decisions were dropped")


def test_a_server_that_refuses_is_not_down(postgresql_server: str) -> None:
    for wrong in (postgresql_server.format(database="nowhere"), postgresql_server.format(database="postgres&port=no")):
        with pytest.raises(StoreError):
            DecisionStore.open(wrong, may_be_down=True)


async def test_a_log_goes_on_after_postgresql_has_closed_its_connections(
    new_postgresql_store: Callable[[], str],
) -> None:
    url, given = new_postgresql_store(), decision()
    with DecisionStore.open(url) as store:
        async with StoredDecisionLog(store) as log:
            await log.flush()
            execute(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
            log.record(given)
            assert await log.give_feedback(Feedback(given.id, 1))
