"""What cannot work ends with one line that names it and the way out: before anything is bought, or keeping what was."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from prompt_oirl.records import Query
from prompt_oirl.testing import Faults, SimulatedLLM, WorldAnswerer

N_QUERIES = 10
FREE_PORT = "http://127.0.0.1:9/v1"
"""Nobody listens there."""


@dataclass(frozen=True)
class Setting:
    """A grid, a server and a folder, of which a case spoils one."""

    grid: Any
    llm: SimulatedLLM
    out: Path
    base_url: str

    def command(self, *more: object) -> list[str]:
        return self.grid.collect(self.base_url, self.out, *more)


@pytest.fixture
def setting(make_grid, tmp_path: Path) -> Iterator[Setting]:
    grid = make_grid(N_QUERIES)
    with SimulatedLLM([WorldAnswerer(grid.world)]) as llm:
        yield Setting(grid, llm, tmp_path / "run", llm.base_url)


def check_refused(ended, *parts: str, code: int = 1) -> None:
    """Check that a command ended with one line that says what was wrong."""
    assert ended.code == code, ended
    assert ended.out == ""
    errors = [line for line in ended.err.splitlines() if line]
    assert errors, "nothing was said"
    assert errors[-1].startswith("error: ") if code == 1 else True
    assert "Traceback" not in ended.err
    assert len([line for line in errors if line.startswith("error: ")]) == (1 if code == 1 else 0)
    for part in parts:
        assert part in ended.err, f"{part!r} is not in {ended.err!r}"


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


Spoil = Callable[[Setting, Path], tuple[list[object], tuple[str, ...]]]
"""Returns further arguments, and what the message must hold."""


def duplicate_prompt_ids(setting: Setting, folder: Path) -> tuple[list[object], tuple[str, ...]]:
    path = written(folder / "bad.yaml", "- {id: same, text: One.}\n- {id: same, text: Two.}\n")
    return ["--prompts", path], (str(path), "prompt 2 of the list", "'same'", "distinct ids")


def same_wording_twice(setting: Setting, folder: Path) -> tuple[list[object], tuple[str, ...]]:
    path = written(folder / "bad.yaml", "- {id: one, text: Same.}\n- {id: two, text: Same.}\n")
    return ["--prompts", path], (str(path), "'two'", "'one'", "drop one of the two")


def no_slot(setting: Setting, folder: Path) -> tuple[list[object], tuple[str, ...]]:
    path = written(folder / "bad.yaml", "- {id: one, template: Think about it.}\n")
    return ["--prompts", path], (str(path), "prompt 1 of the list", "{{query}}")


def slot_with_single_braces(setting: Setting, folder: Path) -> tuple[list[object], tuple[str, ...]]:
    path = written(folder / "bad.yaml", "- {id: one, template: 'Think about {query}.'}\n")
    return ["--prompts", path], (str(path), "prompt 1 of the list", "{{query}}")


def no_prompts(setting: Setting, folder: Path) -> tuple[list[object], tuple[str, ...]]:
    path = written(folder / "bad.yaml", "")
    return ["--prompts", path], (str(path), "list of prompts")


def empty_query(setting: Setting, folder: Path) -> tuple[list[object], tuple[str, ...]]:
    path = written(folder / "bad.jsonl", '{"query": "How many?", "gold": "1"}\n{"query": " ", "gold": "2"}\n')
    return ["--queries", path], (str(path), "row 2", "'query' is empty", "drop the row or fill it in")


def no_queries(setting: Setting, folder: Path) -> tuple[list[object], tuple[str, ...]]:
    path = written(folder / "bad.csv", "query,gold\n")
    return ["--queries", path], (str(path), "no rows")


def missing_queries(setting: Setting, folder: Path) -> tuple[list[object], tuple[str, ...]]:
    return ["--queries", folder / "nowhere.jsonl"], ("nowhere.jsonl", "is no file")


def missing_gold(setting: Setting, folder: Path) -> tuple[list[object], tuple[str, ...]]:
    path = written(folder / "bad.jsonl", '{"query": "How many?", "gold": "1"}\n{"query": "How much?"}\n')
    return ["--queries", path, "--grader", "numeric"], (str(path), "row 2", "'gold' is empty", "fill in")


def gold_of_another_name(setting: Setting, folder: Path) -> tuple[list[object], tuple[str, ...]]:
    path = written(folder / "bad.csv", "query,golden\nHow many?,1\n")
    return ["--queries", path, "--grader", "numeric"], (str(path), "'golden'", "gold")


def gold_that_is_no_number(setting: Setting, folder: Path) -> tuple[list[object], tuple[str, ...]]:
    path = written(folder / "bad.csv", "query,gold\nHow many?,1\nHow much?,plenty\n")
    return ["--queries", path, "--grader", "numeric"], ("'plenty'", "'How much?'", "'numeric'", "correct it")


def two_golds(setting: Setting, folder: Path) -> tuple[list[object], tuple[str, ...]]:
    path = written(folder / "bad.csv", "query,gold\nHow many?,1\nHow many?,2\n")
    return ["--queries", path], (str(path), "row 3", "keep one of the two")


def unknown_grader(setting: Setting, folder: Path) -> tuple[list[object], tuple[str, ...]]:
    return ["--grader", "numerical"], ("'numerical'", "numeric")


def unknown_strategy(setting: Setting, folder: Path) -> tuple[list[object], tuple[str, ...]]:
    return ["--strategy", "radom"], ("'radom'", "random")


def uncertain_without_a_grader(setting: Setting, folder: Path) -> tuple[list[object], tuple[str, ...]]:
    return ["--strategy", "uncertain"], ("uncertain", "--grader")


def price_with_a_typo(setting: Setting, folder: Path) -> tuple[list[object], tuple[str, ...]]:
    path = written(folder / "prices.yaml", "simulated-llm: {input: 1.0, ouput: 2.0}\n")
    return ["--prices", path], (str(path), "'ouput'", "output")


def price_that_is_no_number(setting: Setting, folder: Path) -> tuple[list[object], tuple[str, ...]]:
    path = written(folder / "prices.json", '{"simulated-llm": {"input": "cheap", "output": 1}}')
    return ["--prices", path], (str(path), "'simulated-llm'", "'cheap'")


def cap_on_money_without_prices(setting: Setting, folder: Path) -> tuple[list[object], tuple[str, ...]]:
    return ["--max-usd", 1], ("max_usd=1", "'simulated-llm'", "price file")


def cap_on_money_without_this_price(setting: Setting, folder: Path) -> tuple[list[object], tuple[str, ...]]:
    path = written(folder / "prices.yaml", "simulated-lm: {input: 1.0, output: 2.0}\n")
    return ["--prices", path, "--max-usd", 1], (str(path), "'simulated-llm'", "simulated-lm")


def cap_of_nothing(setting: Setting, folder: Path) -> tuple[list[object], tuple[str, ...]]:
    return ["--max-calls", 0], ("max_calls=0", "at least 1")


def wrong_model(setting: Setting, folder: Path) -> tuple[list[object], tuple[str, ...]]:
    return ["--model", "simulated-lm"], ("'simulated-lm'", "HTTP 404", "/models lists the names")


def wrong_path(setting: Setting, folder: Path) -> tuple[list[object], tuple[str, ...]]:
    return ["--base-url", setting.base_url.removesuffix("/v1")], ("HTTP 404", "/v1")


def unreachable_endpoint(setting: Setting, folder: Path) -> tuple[list[object], tuple[str, ...]]:
    return ["--base-url", FREE_PORT], (FREE_PORT, "cannot be reached", "see that the server runs")


def no_address(setting: Setting, folder: Path) -> tuple[list[object], tuple[str, ...]]:
    return ["--base-url", "localhost:8000/v1"], ("localhost:8000/v1", "http://")


def key_in_the_address(setting: Setting, folder: Path) -> tuple[list[object], tuple[str, ...]]:
    return ["--base-url", "http://me:password@127.0.0.1:9/v1"], ("127.0.0.1", "environment variable")


def extra_that_is_no_json(setting: Setting, folder: Path) -> tuple[list[object], tuple[str, ...]]:
    return ["--extra", "top_k=20"], ("top_k=20", "JSON")


def store_of_another_kind(setting: Setting, folder: Path) -> tuple[list[object], tuple[str, ...]]:
    return ["--store", "mysql://host/db"], ("mysql", "postgresql://")


def folder_that_is_a_file(setting: Setting, folder: Path) -> tuple[list[object], tuple[str, ...]]:
    written(setting.out, "mine")
    return [], (str(setting.out), "another --out")


def folder_of_something_else(setting: Setting, folder: Path) -> tuple[list[object], tuple[str, ...]]:
    setting.out.mkdir()
    written(setting.out / "thesis.txt", "mine")
    return [], (str(setting.out), "thesis.txt", "another --out")


def folder_that_cannot_be_made(setting: Setting, folder: Path) -> tuple[list[object], tuple[str, ...]]:
    return ["--out", written(folder / "file", "mine") / "run"], (str(folder / "file"),)


SPOILT: tuple[Spoil, ...] = (
    duplicate_prompt_ids,
    same_wording_twice,
    no_slot,
    slot_with_single_braces,
    no_prompts,
    empty_query,
    no_queries,
    missing_queries,
    missing_gold,
    gold_of_another_name,
    gold_that_is_no_number,
    two_golds,
    unknown_grader,
    unknown_strategy,
    uncertain_without_a_grader,
    price_with_a_typo,
    price_that_is_no_number,
    cap_on_money_without_prices,
    cap_on_money_without_this_price,
    cap_of_nothing,
    wrong_model,
    wrong_path,
    unreachable_endpoint,
    no_address,
    key_in_the_address,
    extra_that_is_no_json,
    store_of_another_kind,
    folder_that_is_a_file,
    folder_of_something_else,
    folder_that_cannot_be_made,
)
CALLED: tuple[Spoil, ...] = (wrong_model, wrong_path, unreachable_endpoint)
"""Only known when the server is asked; the folder may be there then."""


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda spoil: spoil.__name__)
def test_nothing_is_bought(spoil: Spoil, setting: Setting, cli, read_run, tmp_path: Path) -> None:
    more, parts = spoil(setting, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    check_refused(cli(*setting.command(*more)), *parts)
    assert setting.llm.counts.answered.total() == 0
    if spoil in CALLED:
        assert setting.llm.requests <= 16  # each call in flight may have been refused
        assert not read_run(setting.out).outcomes
    else:
        assert setting.llm.requests == 0
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    if spoil in (wrong_model, wrong_path, unreachable_endpoint):
        shutil.rmtree(setting.out, ignore_errors=True)
        assert cli(*setting.command()).code == 0


@pytest.mark.parametrize("more", [(), ("--plan",)], ids=["collect", "plan"])
def test_a_gold_answer_that_cannot_be_read_costs_nothing(more, setting: Setting, cli, read_run, tmp_path: Path) -> None:
    rows = "query,gold\nHow many?,1\nHow much?,{}\n"
    queries = written(tmp_path / "two.csv", rows.format("plenty"))
    command = setting.command("--queries", queries)
    graded = (*command, "--grader", "numeric")
    check_refused(cli(*graded, *more), "'plenty'", Query("How much?").id, "'How much?'", "'numeric'", "correct it")
    assert setting.llm.requests == 0
    assert not setting.out.exists()

    assert cli(*command).code == 0  # without a grader any gold will do
    before = read_run(setting.out)
    check_refused(cli(*graded, "--samples", 2, *more), "'plenty'")
    assert read_run(setting.out) == before
    assert setting.llm.requests == 2 * len(setting.grid.world.prompts)

    written(queries, rows.format("3"))
    assert cli(*graded).code == 0
    assert setting.llm.requests == 2 * len(setting.grid.world.prompts)


@pytest.mark.parametrize("arguments", [["--samples", "0"], ["--concurrency", "no"], ["--no-such-option"]])
def test_wrong_usage_has_its_own_exit_code(arguments: list[str], setting: Setting, cli) -> None:
    check_refused(cli(*setting.command(*arguments)), arguments[0], code=2)
    assert setting.llm.requests == 0
    assert not setting.out.exists()


def test_no_key_for_openai(setting: Setting, cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def connect(*_: object) -> None:
        pytest.fail("it tried to reach somebody")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", connect)
    for base_url in ("https://api.openai.com/v1", "https://eu.api.openai.com/v1"):
        for key in (None, "", "  "):
            if key is not None:
                monkeypatch.setenv("OPENAI_API_KEY", key)
            ended = cli(*replace(setting, base_url=base_url, out=tmp_path / base_url[8:10]).command())
            check_refused(ended, "no key", "$OPENAI_API_KEY", "environment")
    ended = cli(*replace(setting, base_url="https://api.openai.com/v1").command("--api-key-env", "MY_KEY"))
    check_refused(ended, "no key", "$MY_KEY")


def test_a_wrong_key(setting: Setting, cli, monkeypatch: pytest.MonkeyPatch, read_run) -> None:
    with SimulatedLLM([WorldAnswerer(setting.grid.world)], key="right") as llm:
        command = replace(setting, base_url=llm.base_url).command()
        monkeypatch.setenv("OPENAI_API_KEY", "wrong-key")
        ended = cli(*command)
        check_refused(ended, "HTTP 401", "$OPENAI_API_KEY", "model 'simulated-llm'")
        assert "wrong-key" not in ended.err
        assert llm.requests == 0
        monkeypatch.setenv("OPENAI_API_KEY", "right")
        assert cli(*command).code == 0  # the folder that is there now does not stand in the way
    assert len(read_run(setting.out).answers) == setting.grid.n_cells


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        (["--temperature", 0.5], ("temperature: 0.5 here, None there",)),
        (["--model", "another"], ("model: 'another' here, 'simulated-llm' there",)),
        (["--base-url", FREE_PORT], ("base_url", FREE_PORT)),
        (["--max-answer-tokens", 9], ("max_tokens: 9 here, None there",)),
        (["--temperature", 0.5, "--plan"], ("temperature: 0.5 here, None there",)),
    ],
    ids=["temperature", "model", "address", "longest answer", "plan"],
)
def test_a_run_of_another_configuration(more, parts, setting: Setting, cli, read_run) -> None:
    assert cli(*setting.command("--max-calls", 20)).code == 3
    before = read_run(setting.out)
    check_refused(cli(*setting.command(*more)), str(setting.out), "Use the same settings", "another --out", *parts)
    assert read_run(setting.out) == before
    assert setting.llm.requests == 20


def test_a_prompt_whose_wording_has_changed(setting: Setting, cli, read_run, tmp_path: Path) -> None:
    assert cli(*setting.command("--max-calls", 20)).code == 3
    before = read_run(setting.out)
    name = setting.grid.world.prompts[0].id
    path = written(tmp_path / "changed.yaml", json.dumps([{"id": name, "text": "Another wording."}]))
    check_refused(cli(*setting.command("--prompts", path)), repr(name))
    assert read_run(setting.out) == before
    assert setting.llm.requests == 20


def test_a_second_process_in_the_same_run(setting: Setting, cli, spawn, wait_until, read_run) -> None:
    setting.llm.faults = Faults(hang=1.0)
    first = spawn(*setting.command("--concurrency", 4))
    wait_until(lambda: setting.llm.requests == 4)
    check_refused(cli(*setting.command()), str(setting.out), f"in use by process {first.pid}", "wait for it or end it")
    assert cli(*setting.command("--plan")).code == 0
    assert setting.llm.requests == 4
    first.kill()
    first.wait()
    setting.llm.faults = Faults()
    assert cli(*setting.command()).code == 0
    assert len(read_run(setting.out).answers) == setting.grid.n_cells


def execute(store: Path, statement: str) -> None:
    with sqlite3.connect(store) as connection:
        connection.execute(statement)
    connection.close()


def newer_schema(folder: Path) -> str:
    execute(folder / "store.sqlite", "UPDATE metadata SET value = '99' WHERE name = 'schema_version'")
    return "version 99"


def newer_format(folder: Path) -> str:
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    written(folder / "run.json", json.dumps(record | {"format": 99}))
    return "format 99"


def truncated(folder: Path) -> str:
    os.truncate(folder / "store.sqlite", 5000)
    return "damaged"


def overwritten(folder: Path) -> str:
    size = (folder / "store.sqlite").stat().st_size
    (folder / "store.sqlite").write_bytes(b"\xff" * size)
    return "damaged"


def emptied(folder: Path) -> str:
    (folder / "store.sqlite").write_bytes(b"")
    return "there is no run in it"


def gone(folder: Path) -> str:
    (folder / "store.sqlite").unlink()
    return "there is no such file"


def without_a_table(folder: Path) -> str:
    execute(folder / "store.sqlite", "DROP TABLE cells")
    return "damaged"


def run_file_that_is_no_json(folder: Path) -> str:
    written(folder / "run.json", "{")
    return "run.json is damaged"


@pytest.mark.parametrize(
    "damage",
    [newer_schema, newer_format, truncated, overwritten, emptied, gone, without_a_table, run_file_that_is_no_json],
    ids=lambda damage: damage.__name__,
)
def test_a_damaged_store_is_left_as_it_is(damage: Callable[[Path], str], setting: Setting, cli) -> None:
    assert cli(*setting.command("--max-calls", 20, "--grader", "numeric")).code == 3
    said = damage(setting.out)
    before = {
        path.name: path.read_bytes() for path in setting.out.iterdir() if not path.name.endswith(("-wal", "-shm"))
    }
    commands = (
        setting.command(),
        setting.command("--plan"),
        ["grade", setting.out, "--grader", "numeric"],
        ["export", setting.out, "--to", setting.out.with_suffix(".jsonl")],
        ["critique", setting.out],
        ["inspect", setting.out],
    )
    for command in commands:
        check_refused(cli(*command), str(setting.out), said)
    assert setting.llm.requests == 20
    for name, content in before.items():
        assert (setting.out / name).read_bytes() == content, name
    assert not setting.out.with_suffix(".jsonl").exists()


def test_a_disk_that_fills_up(small_disk: Path, make_grid, cli, read_run) -> None:
    """What was bought until then is kept, also what was in flight; with space again the same command goes on."""
    grid, run = make_grid(100), small_disk / "run"
    with SimulatedLLM([lambda messages: f"{messages[-1].content} {'x' * 30_000}"], faults=Faults(latency=0.02)) as llm:
        command = grid.collect(llm.base_url, run, "--concurrency", 8)
        check_refused(cli(*command), str(run), "Free some space, and run the same command again")
        n_asked = 0
        while n_asked < llm.requests:  # what was kept free for answers in flight is free again
            n_asked = llm.requests
            stored = read_run(run)
            assert stored.contents(grid) == set(llm.counts.answered) == set(llm.counts.received)
            assert 0 < len(stored.answers) < grid.n_cells
            check_refused(cli(*command), str(run), "Free some space, and run the same command again")
        assert read_run(run).answers == stored.answers

        subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
        assert cli(*command).code == 0
        assert llm.requests == grid.n_cells
    assert len(read_run(run).answers) == grid.n_cells
    assert not list(run.glob("*-reserve"))


def test_a_disk_without_any_space(small_disk: Path, make_grid, cli) -> None:
    grid = make_grid(N_QUERIES)
    free = os.statvfs(small_disk)
    (small_disk / "filler").write_bytes(bytes(free.f_bavail * free.f_frsize))
    with SimulatedLLM([WorldAnswerer(grid.world)]) as llm:
        command = grid.collect(llm.base_url, small_disk / "run")
        ended = cli(*command)
        check_refused(ended, str(small_disk))
        assert "space" in ended.err.lower()
        assert llm.requests == 0
        (small_disk / "filler").unlink()
        assert cli(*command).code == 0
