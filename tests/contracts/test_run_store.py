from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from prompt_oirl.errors import StoreError
from prompt_oirl.records import Prompt, Query, Question
from prompt_oirl.runs.cells import Cell
from prompt_oirl.runs.configuration import RunConfiguration
from prompt_oirl.runs.outcomes import Completion
from prompt_oirl.runs.run import Run
from prompt_oirl.runs.store import RunStore, StoredOutcome
from prompt_oirl.testing.store_contract import RUN_STORE_CHECKS, check_run_store

checks = pytest.mark.parametrize("check", RUN_STORE_CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))

CONFIGURATION = RunConfiguration("a-model", "http://127.0.0.1:1/v1")
PROMPT = Prompt.from_text("Think.", id="think")
QUESTION = Question(Query("What is 2 + 2?"), "4")
CELL = Cell(bytes(16), QUESTION.query.id, PROMPT.id)


@checks
def test_sqlite_keeps_the_contract(check: Callable[[str], None], tmp_path: Path) -> None:
    check(f"sqlite:///{tmp_path / 'store.sqlite'}")


@checks
def test_postgresql_keeps_the_contract(check: Callable[[str], None], new_postgresql_store: Callable[[], str]) -> None:
    check(new_postgresql_store())


def test_the_suite_gives_every_check_a_database_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    urls: list[str] = []
    monkeypatch.setattr("prompt_oirl.testing.store_contract.RUN_STORE_CHECKS", (urls.append, urls.append))
    numbers = iter("12")
    check_run_store(lambda: next(numbers))
    assert urls == ["1", "2"]


def test_the_suite_finds_a_store_that_loses_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = RunStore.save
    monkeypatch.setattr(RunStore, "save", lambda self, results: save(self, results[1:]))
    (every_field, *_) = RUN_STORE_CHECKS
    with pytest.raises(AssertionError, match="outcomes come back as they were"):
        every_field(f"sqlite:///{tmp_path / 'store.sqlite'}")


def execute(url: str, *statements: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def test_two_machines_share_a_run(tmp_path: Path, new_postgresql_store: Callable[[], str]) -> None:
    url = new_postgresql_store()
    with (
        Run.create_or_open(tmp_path / "here", CONFIGURATION, store_url=url) as here,
        Run.create_or_open(tmp_path / "there", CONFIGURATION, store_url=url) as there,
    ):
        here.store.register([QUESTION], [PROMPT])
        with here.lock(), there.lock():
            assert here.store.claim([CELL], worker="here", seconds=60) == [CELL]
            assert there.store.claim([CELL], worker="there", seconds=60) == []
        here.store.save([StoredOutcome(CELL, Completion("4", "a-model"))])
        assert there.store.states() == {CELL.key: "answered"}
        assert not here.store.is_local
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["run.json"]
    with Run.open(tmp_path / "here") as again:
        assert again.store.name == json.loads((tmp_path / "here" / "run.json").read_text())["store"]
        assert again.store.states() == {CELL.key: "answered"}
    with pytest.raises(StoreError, match="model: 'b-model' here, 'a-model' there"):
        Run.create_or_open(tmp_path / "there", replace(CONFIGURATION, model="b-model"))


def test_postgresql_measures_leases_with_its_own_clock(
    new_postgresql_store: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunStore.open(new_postgresql_store(), configuration=CONFIGURATION) as store:
        store.register([QUESTION], [PROMPT])
        monkeypatch.setattr("prompt_oirl.runs.store.time.time", lambda: 0.0)
        store.claim([CELL], worker="a", seconds=1000)
        monkeypatch.setattr("prompt_oirl.runs.store.time.time", lambda: 1e12)
        assert store.claim([CELL], worker="b", seconds=1000) == []


def test_a_store_goes_on_after_postgresql_has_closed_its_connections(new_postgresql_store: Callable[[], str]) -> None:
    url = new_postgresql_store()
    with RunStore.open(url, configuration=CONFIGURATION) as store:
        store.register([QUESTION], [PROMPT])
        execute(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        store.note("after", "all")
        assert store.noted("after") == "all"


def test_a_missing_database_is_said(postgresql_server: str) -> None:
    with pytest.raises(StoreError, match=r'"nowhere" does not exist.*createdb nowhere'):
        RunStore.open(postgresql_server.format(database="nowhere"), configuration=CONFIGURATION)


def test_a_missing_schema_is_said(postgresql_server: str) -> None:
    url = postgresql_server.format(database="postgres") + "&options=-csearch_path%3Dnowhere"
    with pytest.raises(StoreError, match="there is no run in it"):
        RunStore.open(url)
    with pytest.raises(StoreError, match="CREATE SCHEMA"):
        RunStore.open(url, configuration=CONFIGURATION)


def test_a_database_that_cannot_hold_every_text_is_refused(postgresql_server: str) -> None:
    server = postgresql_server.format(database="postgres")
    execute(server, "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(StoreError, match=r"encoding is LATIN1.*UTF8"):
        RunStore.open(postgresql_server.format(database="latin"), configuration=CONFIGURATION)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("CREATE TABLE queries (what text)", "holds the tables queries of something else"),
        ("CREATE TABLE metadata (name text, value text)", r"version \(none\)"),
        ("CREATE TABLE metadata (title text)", "does not exist"),
    ],
)
def test_tables_of_something_else_are_left_alone(
    new_postgresql_store: Callable[[], str], statement: str, named: str
) -> None:
    url = new_postgresql_store()
    execute(url, statement)
    with pytest.raises(StoreError, match=named):
        RunStore.open(url, configuration=CONFIGURATION)
    with pytest.raises(StoreError, match=named):
        RunStore.open(url)


def test_what_the_user_may_not_write_is_said(new_postgresql_store: Callable[[], str]) -> None:
    url = new_postgresql_store()
    execute(url, "CREATE ROLE guest LOGIN")
    with pytest.raises(StoreError, match=r"(permission denied|no schema).*run the same command again"):
        RunStore.open(url.replace("postgres@", "guest@"), configuration=CONFIGURATION)
