from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prompt_oirl.errors import DataNotFoundError, MissingDependencyError, ParameterError, StoreError
from prompt_oirl.records import Prompt, Query, Question
from prompt_oirl.runs.cells import Cell, CellKeys
from prompt_oirl.runs.configuration import RunConfiguration
from prompt_oirl.runs.outcomes import Completion
from prompt_oirl.runs.run import Run, is_run
from prompt_oirl.runs.store import StoredOutcome
from prompt_oirl.stores.store_url import without_password

CONFIGURATION = RunConfiguration("a-model", "http://127.0.0.1:1/v1")
PROMPT = Prompt.from_text("Think.", id="think")
QUESTION = Question(Query("What is 2 + 2?"), "4")
CELL = Cell(bytes(16), QUESTION.query.id, PROMPT.id)
URL = "postgresql://me@127.0.0.1:1/runs"
"""Where no server listens."""


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_run_is_made_and_opened_again(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "first"
    assert not is_run(folder)
    with Run.create_or_open(folder, CONFIGURATION) as run:
        run.store.register([QUESTION], [PROMPT])
        run.store.save([StoredOutcome(CELL, Completion("4", "a-model"))])
    assert is_run(folder)
    assert names_in(folder) == ["run.json", "store.sqlite"]
    for again in (Run.create_or_open(str(folder), CONFIGURATION), Run.open(str(folder))):
        with again:
            assert again.folder == folder
            assert again.store.configuration == CONFIGURATION
            assert len(again.store.states()) == 1


def test_a_run_can_be_moved(tmp_path: Path) -> None:
    Run.create_or_open(tmp_path / "here", CONFIGURATION).close()
    (tmp_path / "here").rename(tmp_path / "there")
    with Run.open(tmp_path / "there") as run:
        assert run.store.name == str(tmp_path / "there" / "store.sqlite")
    assert json.loads((tmp_path / "there" / "run.json").read_text()) == {"format": 1, "store": None}


@pytest.mark.parametrize("make", ["nothing", "folder", "file"])
def test_what_is_no_run_is_not_opened(tmp_path: Path, make: str) -> None:
    path = tmp_path / "run"
    if make == "folder":
        path.mkdir()
    elif make == "file":
        path.touch()
    assert not is_run(path)
    with pytest.raises(DataNotFoundError, match=r"is no run.*prompt-oirl collect"):
        Run.open(path)


def test_an_empty_folder_becomes_a_run(tmp_path: Path) -> None:
    Run.create_or_open(tmp_path, CONFIGURATION).close()
    assert is_run(tmp_path)


def test_a_folder_of_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(StoreError, match=r"thesis\.tex; use another --out"):
        Run.create_or_open(tmp_path, CONFIGURATION)
    assert names_in(tmp_path) == ["thesis.tex"]


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(StoreError, match="is a file"):
        Run.create_or_open(tmp_path / "run", CONFIGURATION)


def test_a_run_that_was_killed_before_it_had_begun_is_made_again(tmp_path: Path) -> None:
    Run.create_or_open(tmp_path, CONFIGURATION).close()
    (tmp_path / "run.json").unlink()
    (tmp_path / ".run.0123.json").write_text("{")
    with Run.create_or_open(tmp_path, CONFIGURATION):
        assert is_run(tmp_path)


def test_another_configuration_is_refused(tmp_path: Path) -> None:
    with Run.create_or_open(tmp_path, CONFIGURATION) as run:
        run.store.register([QUESTION], [PROMPT])
        run.store.save([StoredOutcome(CELL, Completion("4", "a-model"))])
    with pytest.raises(StoreError, match=r"model: 'b-model' here, 'a-model' there.*another --out"):
        Run.create_or_open(tmp_path, replace(CONFIGURATION, model="b-model"))


def test_a_store_that_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    Run.create_or_open(tmp_path, CONFIGURATION).close()
    (tmp_path / "store.sqlite").unlink()
    with pytest.raises(StoreError, match=r"store\.sqlite: there is no such file"):
        Run.create_or_open(tmp_path, CONFIGURATION)
    assert names_in(tmp_path) == ["run.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 1}', "\xff"])
def test_a_damaged_file_of_a_run_is_refused(tmp_path: Path, text: str) -> None:
    Run.create_or_open(tmp_path, CONFIGURATION).close()
    (tmp_path / "run.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(StoreError, match=r"run\.json is damaged"):
        Run.open(tmp_path)


def test_a_later_format_is_refused(tmp_path: Path) -> None:
    Run.create_or_open(tmp_path, CONFIGURATION).close()
    (tmp_path / "run.json").write_text('{"format": 2, "store": {"kind": "new"}}')
    with pytest.raises(StoreError, match="format 2, and this is for format 1"):
        Run.open(tmp_path)


HOLD = """
import sys
from prompt_oirl.runs.run import Run
with Run.open(sys.argv[1]) as run, run.lock():
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_one_process_at_a_time_collects_and_a_killed_one_leaves_no_claim(tmp_path: Path) -> None:
    with Run.create_or_open(tmp_path, CONFIGURATION) as run:
        run.store.register([QUESTION], [PROMPT])
        command = [sys.executable, "-c", HOLD, str(tmp_path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "locked\n"
            with pytest.raises(StoreError, match=f"in use by process {holder.pid}"), run.lock():
                pass
            run.store.claim([CELL], worker="killed", seconds=1000)
            holder.kill()
        with run.lock():
            assert run.store.states() == {CELL.key: "planned"}
            assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
        with run.lock():
            pass


def test_postgresql_has_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Run.create_or_open(tmp_path, CONFIGURATION) as run:
        monkeypatch.setattr(type(run.store), "is_local", False)
        with run.lock(), run.lock():
            assert not (tmp_path / "lock").exists()


@pytest.mark.parametrize(
    "url",
    ["postgresql://me:hidden@127.0.0.1:1/runs", "postgresql://me@127.0.0.1:1/runs?password=hidden"],
)
def test_a_password_on_the_command_line_is_refused_and_not_repeated(tmp_path: Path, url: str) -> None:
    with pytest.raises(ParameterError, match=r"me@127\.0\.0\.1:1/runs.*PGPASSWORD") as caught:
        Run.create_or_open(tmp_path / "run", CONFIGURATION, store_url=url)
    assert "hidden" not in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("url", ["sqlite:///elsewhere.sqlite", "postgresql://me:hidden@host:port/runs", "mysql://h/d"])
def test_other_stores_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ParameterError) as caught:
        Run.create_or_open(tmp_path / "run", CONFIGURATION, store_url=url)
    assert "hidden" not in str(caught.value)


def everything_said(error: BaseException | None) -> str:
    """The texts and reprs of an error and of all that led to it."""
    said = ""
    while error is not None:
        said += f"{error!s} {error!r} {vars(error)}"
        error = error.__cause__ or error.__context__
    return said


@pytest.mark.parametrize(
    "url",
    ["postgresql://me:hid%2Fden@127.0.0.1:1/runs", "postgresql://me@127.0.0.1:1/runs?password=hid%2Fden"],
)
def test_a_server_that_is_not_there_is_said_without_the_password(tmp_path: Path, url: str) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(StoreError, match=r"me@127\.0\.0\.1:1/runs.*server runs.*createdb runs.*PGPASSWORD") as caught:
        Run.create_or_open(tmp_path / "run", CONFIGURATION, environment_url=url)
    assert "hid/den" not in everything_said(caught.value)
    assert "hid%2Fden" not in everything_said(caught.value)
    assert names_in(tmp_path / "run") == []


def test_a_missing_driver_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingDependencyError, match=r"prompt-oirl\[postgres\]"):
        Run.create_or_open(tmp_path, CONFIGURATION, store_url=URL)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Collects the addresses of the stores that are opened, in place of opening them."""
    addresses: list[Any] = []
    monkeypatch.setattr("prompt_oirl.runs.run.RunStore.open", lambda url, **_: addresses.append(url))
    return addresses


def make_run(folder: Path, store: str | None) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "run.json").write_text(json.dumps({"format": 1, "store": store}))


def test_the_password_comes_from_the_environment_and_is_kept_nowhere(tmp_path: Path, opened: list[Any]) -> None:
    secret = "postgresql://me:hidden@127.0.0.1:1/runs"
    Run.create_or_open(tmp_path, CONFIGURATION, environment_url=secret)
    assert json.loads((tmp_path / "run.json").read_text()) == {"format": 1, "store": URL}
    Run.open(tmp_path, environment_url=secret)
    Run.open(tmp_path)
    assert [url.password for url in opened] == ["hidden", "hidden", None]


def test_an_existing_run_stays_where_it_is(tmp_path: Path, opened: list[Any]) -> None:
    make_run(tmp_path, URL)
    Run.open(tmp_path, environment_url="postgresql://me:hidden@127.0.0.1:1/others")
    assert [without_password(url) for url in opened] == [URL]
    assert opened[0].password is None
    for elsewhere in (URL + "2", "postgresql://you@127.0.0.1:1/runs"):
        with pytest.raises(ParameterError, match=r"is postgresql://me@127\.0\.0\.1:1/runs, not .*leave --store out"):
            Run.create_or_open(tmp_path, CONFIGURATION, store_url=elsewhere)


def test_a_run_in_a_file_ignores_the_environment(tmp_path: Path) -> None:
    Run.create_or_open(tmp_path, CONFIGURATION).close()
    with Run.create_or_open(tmp_path, CONFIGURATION, environment_url=URL) as run:
        assert run.store.is_local


def test_a_run_that_has_asked_nothing_takes_another_configuration(tmp_path: Path) -> None:
    wrong = RunConfiguration("mistyped", "http://127.0.0.1:1/v1")
    right = RunConfiguration("typed", "http://127.0.0.1:1/v1")
    question, prompt = Question(Query("Is 7 prime?"), "yes"), Prompt.from_text("Think.", id="think")
    cell = Cell(CellKeys(wrong).of(prompt.messages(question.query)), question.query.id, prompt.id)
    with Run.create_or_open(tmp_path / "run", wrong) as run:
        run.store.register([question], [prompt])
        run.store.plan([cell], note=("strategy", "{}"))
    with Run.create_or_open(tmp_path / "run", right) as run:
        assert run.store.configuration == right
        assert (run.store.queries(), run.store.states(), run.store.noted("strategy")) == ((), {}, None)
    with Run.open(tmp_path / "run") as run:
        assert run.store.configuration == right
        run.store.register([question], [prompt])
        run.store.claim([cell], worker="w", seconds=60)
    with pytest.raises(StoreError, match="model: 'mistyped' here, 'typed' there"):
        Run.create_or_open(tmp_path / "run", wrong)
