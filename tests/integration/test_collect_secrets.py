"""A key planted in the environment is in no file, no output, no log and no exception, however a run ends."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import httpx2
import pytest

from prompt_oirl.collect.client.openai_client import OpenAIClient
from prompt_oirl.errors import LLMError
from prompt_oirl.records import Message
from prompt_oirl.runs.configuration import SamplingParameters
from prompt_oirl.testing import Faults, SimulatedLLM, WorldAnswerer

KEY = 'Kx7/planted+key=%9"Xv-0123456789abcdef'
"""Each encoding of it is another text."""

LOGS = {"OPENAI_LOG": "debug", "PYTHONASYNCIODEBUG": "1", "PYTHONFAULTHANDLER": "1"}
N_QUERIES = 20

BUG = """
import sys
from prompt_oirl.{module} import {name} as patched
def fail(*arguments, **more):
    raise RuntimeError("a bug")
patched.{method} = fail
from prompt_oirl.cli import main
main()
"""


def encodings(key: str) -> Iterator[bytes]:
    """Yield what the key may look like."""
    for text in {key, quote(key), quote(key, safe=""), quote_plus(key), json.dumps(key)[1:-1], repr(key)[1:-1]}:
        yield text.encode()
    for start in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(bytes(start) + key.encode())[4:-4]
    yield key.encode().hex().encode()
    yield key.encode("utf-16-le")
    yield key.encode()[:24]  # cut
    yield key.encode()[-24:]


def check_absent(*texts: str | bytes, folder: Path | None = None) -> None:
    """Check all texts, and every name and byte below a folder."""
    found = {f"text {number}": text.encode() if isinstance(text, str) else text for number, text in enumerate(texts)}
    for path in () if folder is None else folder.rglob("*"):
        found[str(path)] = str(path).encode() + (path.read_bytes() if path.is_file() else b"")
    for name, content in found.items():
        for form in encodings(KEY):
            assert form not in content, f"{name} holds the key"


@pytest.fixture
def grid(make_grid):
    return make_grid(N_QUERIES)


@pytest.fixture
def llm(grid):
    with SimulatedLLM([WorldAnswerer(grid.world)], key=KEY) as llm:
        yield llm


def ended(process, *, within: float = 60) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=within)
    return process.returncode, out, err


def test_the_search_finds_a_key(tmp_path: Path) -> None:
    for form in (KEY, quote(KEY), base64.b64encode(f"Bearer {KEY}".encode()).decode(), f"sent {KEY[:30]}…"):
        (tmp_path / "file").write_text(form, encoding="utf-8")
        with pytest.raises(AssertionError, match="holds the key"):
            check_absent(folder=tmp_path)
        with pytest.raises(AssertionError, match="holds the key"):
            check_absent(form)
    (tmp_path / "file").unlink()
    check_absent("[redacted]", folder=tmp_path)


@pytest.mark.slow
def test_runs_that_succeed(grid, llm, spawn, tmp_path: Path) -> None:
    secret = {"OPENAI_API_KEY": KEY}
    run = tmp_path / "run"
    texts: list[str] = []
    commands = (
        grid.collect(llm.base_url, run, "--plan"),
        grid.collect(llm.base_url, run, "--max-calls", 30),
        grid.collect(llm.base_url, run, "--json", "--grader", "numeric"),
        ["export", run, "--to", tmp_path / "run.jsonl"],
        ["export", run, "--to", tmp_path / "run.parquet", "--json"],
        ["critique", run, "--json"],
        ["inspect", run],
    )
    for command in commands:
        code, out, err = ended(spawn(*command, **secret, **LOGS))
        assert code in (0, 3), err
        texts += [out, err]
    assert "HTTP Request: POST" in texts[3], "nothing was logged that could have shown the key"
    assert llm.by_status.keys() == {200}
    check_absent(*texts, folder=tmp_path)


def test_a_key_of_another_variable(grid, llm, spawn, tmp_path: Path) -> None:
    command = grid.collect(llm.base_url, tmp_path / "run", "--api-key-env", "MY_KEY")
    code, out, err = ended(spawn(*command, MY_KEY=KEY, **LOGS))
    assert code == 0, err
    check_absent(out, err, folder=tmp_path)


def test_a_refused_key_that_the_server_repeats(grid, spawn, tmp_path: Path) -> None:
    with SimulatedLLM([WorldAnswerer(grid.world)], key="another") as llm:
        refused = httpx2.post(f"{llm.base_url}/chat/completions", headers={"Authorization": f"Bearer {KEY}"})
        assert (refused.status_code, KEY in refused.json()["error"]["message"]) == (401, True)
        n_before = llm.requests
        command = grid.collect(llm.base_url, tmp_path / "run", "--json")
        code, out, err = ended(spawn(*command, OPENAI_API_KEY=KEY, **LOGS))
        assert llm.requests == n_before
    assert code == 1
    assert "$OPENAI_API_KEY" in err
    assert "HTTP 401" in err
    check_absent(out, err, folder=tmp_path)


def test_a_key_that_is_refused_in_the_middle(grid, llm, spawn, read_run, wait_until, tmp_path: Path) -> None:
    llm.faults = Faults(latency=0.05)
    process = spawn(*grid.collect(llm.base_url, tmp_path / "run"), OPENAI_API_KEY=KEY, **LOGS)
    wait_until(lambda: llm.by_status[200] > 20)
    llm._endpoint._key = "withdrawn"
    code, out, err = ended(process)
    assert (code, "HTTP 401" in err) == (1, True), err
    stored = read_run(tmp_path / "run")
    assert stored.contents(grid) == set(llm.counts.answered)
    assert not stored.failures
    check_absent(out, err, folder=tmp_path)


def test_failures_and_their_messages(grid, spawn, read_run, tmp_path: Path) -> None:
    with SimulatedLLM([WorldAnswerer(grid.world)], key=KEY, faults=Faults(server_error=0.4, truncated=0.2)) as llm:
        command = grid.collect(llm.base_url, tmp_path / "run", "--max-attempts", 1)
        code, out, err = ended(spawn(*command, OPENAI_API_KEY=KEY, **LOGS))
    assert code == 0, err
    assert read_run(tmp_path / "run").failures
    check_absent(out, err, folder=tmp_path)
    exporting = spawn("export", tmp_path / "run", "--to", tmp_path / "run.jsonl", "--ungraded", OPENAI_API_KEY=KEY)
    assert ended(exporting)[0] == 0
    check_absent(folder=tmp_path)


@pytest.mark.parametrize(
    ("module", "name", "method"),
    [
        ("runs.store", "RunStore", "make_room"),
        ("runs.store", "RunStore", "save"),
        ("collect.client.openai_client", "OpenAIClient", "_read"),
        ("collect.client.openai_client", "OpenAIClient", "complete"),
    ],
)
def test_a_crash_by_a_bug(module: str, name: str, method: str, grid, llm, spawn, tmp_path: Path) -> None:
    code = BUG.format(module=module, name=name, method=method)
    crashed, out, err = ended(
        spawn(*grid.collect(llm.base_url, tmp_path / "run"), code=code, OPENAI_API_KEY=KEY, **LOGS)
    )
    assert crashed == 1
    assert "RuntimeError: a bug" in err
    check_absent(out, err, folder=tmp_path)


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGABRT, signal.SIGINT], ids=lambda sent: sent.name)
def test_a_process_that_is_ended(sent: signal.Signals, grid, llm, spawn, wait_until, tmp_path: Path) -> None:
    llm.faults = Faults(hang=0.2)
    process = spawn(*grid.collect(llm.base_url, tmp_path / "run"), OPENAI_API_KEY=KEY, **LOGS)
    wait_until(lambda: llm.counts.in_flight >= 10)
    for _ in range(2):
        process.send_signal(sent)
        time.sleep(0.3)
    code, out, err = ended(process)
    assert code == (130 if sent == signal.SIGINT else -sent)
    check_absent(out, err, folder=tmp_path)


@pytest.mark.parametrize("server_key", ["another", KEY], ids=["refused", "accepted"])
def test_exceptions_with_all_that_hangs_on_them(server_key: str, grid, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tracebacks with the local variables of every frame, as error trackers send them."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    async def fail(base_url: str) -> tuple[str, str]:
        client = OpenAIClient("no such model", base_url, max_attempts=1)
        try:
            await client.complete([Message("user", "Hello?")], SamplingParameters())
        except LLMError as error:
            shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
            return (
                shown,
                f"{error!r} {vars(error)} {client!r} {client._openai!r} {error.__cause__!r} {error.__context__!r}",
            )
        finally:
            await client.close()
        pytest.fail("it did not fail")

    with SimulatedLLM([WorldAnswerer(grid.world)], key=server_key) as llm:
        shown, reprs = asyncio.run(fail(llm.base_url))
    assert ("HTTP 401" if server_key != KEY else "HTTP 404") in shown
    check_absent(shown, reprs)
