from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as NoConnectionError

from prompt_oirl.errors import ParameterError, StoreError
from prompt_oirl.stores.database import Database, WayOut, is_full

WAY_OUT = WayOut(again="ring the bell", another="the other one")


def write(database: Database, *statements: str) -> None:
    with database.writing() as connection:
        for statement in statements:
            connection.execute(text(statement))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    with closing(Database(f"sqlite:///{path}", way_out=WAY_OUT, busy_seconds=0.2)) as database:
        yield database


def test_a_file_that_another_process_writes_to_is_waited_for_as_long_as_said(path: Path, database: Database) -> None:
    write(database, "CREATE TABLE words (word text)")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(StoreError, match=r"locked: another process has held it for 0\.2 s; end that one"):
            write(database, "INSERT INTO words VALUES ('one')")
        assert 0.1 < time.monotonic() - began < 30
        other.execute("ROLLBACK")
    write(database, "INSERT INTO words VALUES ('one')")


def test_a_full_disk_says_what_who_opened_it_is_to_do(database: Database) -> None:
    write(database, "CREATE TABLE words (word text)")
    with pytest.raises(StoreError, match=r"is kept\. Free some space, and ring the bell$") as caught:
        write(database, "PRAGMA max_page_count = 2", "INSERT INTO words VALUES (hex(zeroblob(100000)))")
    assert is_full(caught.value)


def test_a_file_of_another_kind_says_what_else_to_use(path: Path, database: Database) -> None:
    path.write_bytes(b"these are no tables, but some notes that somebody wrote\n" * 100)
    with pytest.raises(StoreError, match=r"not a database.*Put back a copy of it, or use the other one$") as caught:
        write(database, "CREATE TABLE words (word text)")
    assert not is_full(caught.value)


def test_other_tables_say_what_else_to_use(database: Database) -> None:
    with pytest.raises(StoreError, match=r"no such table.*or use the other one$"):
        write(database, "INSERT INTO words VALUES ('one')")


def test_what_a_row_refers_to_has_to_be_there(database: Database) -> None:
    write(database, "CREATE TABLE words (word text PRIMARY KEY)")
    write(database, "CREATE TABLE rhymes (word text NOT NULL REFERENCES words (word))")
    for value in ("'bell'", "NULL"):
        with pytest.raises(ParameterError, match="a row refers to one that is not there, or lacks a value"):
            write(database, f"INSERT INTO rhymes VALUES ({value})")


def test_whatever_sqlalchemy_raises_is_an_error_of_the_store(path: Path, database: Database) -> None:
    with (
        pytest.raises(StoreError, match=rf"^{path}: TimeoutError, all are taken; .*ring the bell$") as caught,
        database.writing(),
    ):
        raise NoConnectionError("all are taken", code="3o7r")
    assert not is_full(caught.value)
