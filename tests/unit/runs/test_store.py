"""What is SQLite's alone; what every database keeps is in the contract suite."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from prompt_oirl.errors import ParameterError, StoreError
from prompt_oirl.records import Prompt, Query, Question
from prompt_oirl.runs.cells import Cell, CellKeys
from prompt_oirl.runs.configuration import RunConfiguration
from prompt_oirl.runs.outcomes import Completion
from prompt_oirl.runs.store import RunStore, StoredOutcome

CONFIGURATION = RunConfiguration("a-model", "http://127.0.0.1:1/v1")
PROMPT = Prompt.from_text("Think.", id="think")
QUESTIONS = tuple(Question(Query(f"What is {n} + {n}?"), str(2 * n)) for n in range(200))
ANSWER = Completion("4", "a-model")


def cell(n: int) -> Cell:
    query = QUESTIONS[n].query
    return Cell(CellKeys(CONFIGURATION).of(PROMPT.messages(query)), query.id, PROMPT.id)


def open_store(path: Path, *, configuration: RunConfiguration | None = CONFIGURATION) -> RunStore:
    store = RunStore.open(f"sqlite:///{path}", configuration=configuration)
    if configuration is not None:
        store.register(QUESTIONS, [PROMPT])
    return store


def claim(store: RunStore, *numbers: int) -> list[Cell]:
    return store.claim([cell(n) for n in numbers], worker="me", seconds=60)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with three answers."""
    path = tmp_path / "store.sqlite"
    with open_store(path) as store:
        store.save([StoredOutcome(cell(n), ANSWER) for n in range(3)])
    return path


def test_a_store_in_memory_is_refused() -> None:
    with pytest.raises(ParameterError, match="memory"):
        RunStore.open("sqlite://", configuration=CONFIGURATION)


@pytest.mark.parametrize("url", ["mysql://user@host/runs", "store.sqlite", "", "postgresql://user:hidden@host"])
def test_other_addresses_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ParameterError, match="postgresql://user@host/database") as caught:
        RunStore.open(url, configuration=CONFIGURATION)
    assert "hidden" not in str(caught.value)


def test_no_store_is_made_where_one_is_expected(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no such file"):
        open_store(tmp_path / "store.sqlite", configuration=None)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").touch()
    with pytest.raises(StoreError, match="there is no run in it"):
        open_store(tmp_path / "store.sqlite", configuration=None)


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="the folder must be there"):
        open_store(tmp_path / "nowhere" / "store.sqlite")


@pytest.mark.parametrize("configuration", [CONFIGURATION, None])
def test_a_file_of_another_kind_is_left_as_it_is(tmp_path: Path, configuration: RunConfiguration | None) -> None:
    path = tmp_path / "store.sqlite"
    path.write_bytes(b"these are no tables, but some notes that somebody wrote\n" * 100)
    content = path.read_bytes()
    with pytest.raises(StoreError, match=r"not a database.*--out"):
        open_store(path, configuration=configuration)
    assert path.read_bytes() == content


@pytest.mark.parametrize("kept", [0.3, 0.5, 0.9])
def test_a_truncated_store_is_refused(path: Path, kept: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(StoreError, match=r"malformed.*Put back a copy"):
        open_store(path)


def execute(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize("configuration", [CONFIGURATION, None])
@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE metadata SET value = '0' WHERE name = 'schema_version'", "version 0, and this is for version 1"),
        ("UPDATE metadata SET value = '99' WHERE name = 'schema_version'", "version 99, and this is for version 1"),
        ("DELETE FROM metadata WHERE name = 'schema_version'", r"version \(none\)"),
        ("DELETE FROM metadata WHERE name = 'configuration'", "not the configuration of a run"),
        ("UPDATE metadata SET value = '{}' WHERE name = 'configuration'", "not the configuration of a run"),
        ("DROP TABLE metadata", "the tables .*cells.* of something else"),
        ("ALTER TABLE metadata RENAME COLUMN value TO text", "not the tables of this kind of store"),
        ("DROP TABLE grades", "damaged, has no table grades"),
    ],
)
def test_a_store_of_another_version_or_a_damaged_one_is_refused(
    path: Path, statement: str, named: str, configuration: RunConfiguration | None
) -> None:
    execute(path, statement)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=named):
        RunStore.open(f"sqlite:///{path}", configuration=configuration)
    assert path.read_bytes() == before


def test_writes_are_durable_and_read_beside_a_writer(path: Path) -> None:
    with open_store(path) as store:
        with store._database.reading() as connection:
            pragmas = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            }
        assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
        with store._database.writing():
            assert len(store.states()) == 3


def test_the_scan_of_states_reads_no_answer(path: Path) -> None:
    connection = sqlite3.connect(path)
    (plan,) = connection.execute("EXPLAIN QUERY PLAN SELECT key, state FROM cells WHERE purpose = 'answer'").fetchall()
    connection.close()
    assert "COVERING INDEX cells_by_state" in plan[-1]


def test_what_was_saved_outlives_a_killed_process(tmp_path: Path) -> None:
    program = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_store import *
store = open_store(Path({str(tmp_path / "store.sqlite")!r}))
claim(store, 0, 1, 2)
store.save([StoredOutcome(cell(0), ANSWER)])
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == -9, done.stderr
    with open_store(tmp_path / "store.sqlite") as store:
        assert list(store.states().values()).count("answered") == 1
        assert store.release() == 2
        assert claim(store, 0, 1, 2) == [cell(1), cell(2)]


def full_after(store: RunStore, more_pages: int) -> None:
    """Let the file grow by so many pages only."""

    def limit(connection: sqlite3.Connection, *_: object) -> None:
        (n_pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {n_pages + more_pages}")

    from sqlalchemy import event

    store._database._engine.dispose()
    event.listen(store._database._engine, "connect", limit)


def test_a_full_disk_keeps_what_was_saved_and_says_what_to_do(path: Path) -> None:
    with open_store(path) as store:
        full_after(store, more_pages=5)
        with pytest.raises(StoreError, match=r"full; everything that was saved before is kept\. Free some space"):
            store.save([StoredOutcome(cell(n), replace(ANSWER, text="x" * 4000)) for n in range(3, 200)])
        assert len(store.states()) == 3
        store.save([StoredOutcome(cell(3), ANSWER)])
    with open_store(path) as store:
        assert len(store.states()) == 4


def fill(folder: Path, *, leave: int) -> Path:
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    filler = folder / f"all but {leave}"
    filler.write_bytes(bytes(free - leave))
    return filler


def test_what_is_in_flight_when_the_disk_fills_up_is_still_saved(small_disk: Path) -> None:
    long = replace(ANSWER, text="x" * 30_000)
    with open_store(small_disk / "store.sqlite") as store:
        in_flight = claim(store, *range(60))
        filler = fill(small_disk, leave=2**16)
        store.save([StoredOutcome(each, long) for each in in_flight])
        assert store.spending().answered == 60
        with pytest.raises(StoreError, match=r"everything that was bought is saved\. Free some space"):
            claim(store, 60)
    with open_store(small_disk / "store.sqlite") as store:
        fill(small_disk, leave=0)
        with pytest.raises(StoreError, match="4 MiB cannot be written"):
            claim(store, 60)
        assert store.spending().answered == 60
        filler.unlink()
        assert claim(store, 60) == [cell(60)]
        assert (small_disk / "store.sqlite-reserve").stat().st_size == 4 * 2**20
    assert not (small_disk / "store.sqlite-reserve").exists()
