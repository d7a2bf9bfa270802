"""A real inference server and the same model in process: a grid collected from both, graded and exported."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from prompt_oirl.collect.client.openai_client import OpenAIClient
from prompt_oirl.collect.client.protocol import LLMClient
from prompt_oirl.collect.local.client import LocalClient
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.prompts import write_prompts
from prompt_oirl.records import Prompt, Query
from prompt_oirl.runs.configuration import SamplingParameters
from prompt_oirl.runs.outcomes import Completion, Outcome
from prompt_oirl.runs.store import RunStore
from prompt_oirl.sources.tabular import read_demonstrations

pytestmark = pytest.mark.slow

QUERIES = [Query(f"Tom has {n} apples and buys {n * n} more{' and more' * (n % 5)}. How many?") for n in range(2, 32)]
PROMPTS = [
    Prompt.from_text("The answer is:", id="plain"),
    Prompt.from_text("Let's think step by step.", id="steps"),
    Prompt("first", "Think first, then answer.\n{{query}}"),
]
GREEDY = SamplingParameters(temperature=0, max_tokens=16)
N_CELLS = len(QUERIES) * len(PROMPTS)


@dataclass(frozen=True)
class Server:
    """`transformers serve` on loopback."""

    base_url: str
    model: str


@pytest.fixture(scope="module")
def server(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    command = Path(sys.executable).with_name("transformers")
    pytest.importorskip("accelerate", reason="accelerate is not installed: pip install 'transformers[serving]'")
    if not command.is_file():
        pytest.skip("`transformers serve` is not installed: pip install 'transformers[serving]'")
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ["serve", str(tiny_llama), "--device", "cpu", "--host", "127.0.0.1", "--port", str(port)]
    offline = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(folder)}
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen([command, *arguments], env=os.environ | offline, stdout=log, stderr=log) as process,
    ):
        try:
            wait_until_healthy(f"http://127.0.0.1:{port}/health", process, folder / "log")
            yield Server(f"http://127.0.0.1:{port}/v1", str(tiny_llama))
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()


def wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"the server did not start:\n{log.read_text(errors='replace')[-3000:]}")


@dataclass(frozen=True)
class Files:
    queries: Path
    prompts: Path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("grid")
    found = Files(folder / "queries.jsonl", folder / "prompts.yaml")
    rows = [{"query": query.text, "gold": str(n + n * n)} for n, query in enumerate(QUERIES, start=2)]
    found.queries.write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_prompts(PROMPTS, found.prompts)
    return found


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `prompt-oirl` in a process of its own, without a key and on one thread."""
    environment = {name: value for name, value in os.environ.items() if name != "OPENAI_API_KEY"}
    return subprocess.run(
        [Path(sys.executable).with_name("prompt-oirl"), *map(str, arguments)],
        env=environment | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def succeed(*arguments: object) -> str:
    ended = command(*arguments)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


async def grid_of(client: LLMClient) -> list[Outcome]:
    """Ask every cell, 16 at a time."""
    slots = asyncio.Semaphore(16)

    async def ask(query: Query, prompt: Prompt) -> Outcome:
        async with slots:
            return await client.complete(prompt.messages(query), GREEDY)

    await client.check()
    try:
        return list(await asyncio.gather(*(ask(query, prompt) for query in QUERIES for prompt in PROMPTS)))
    finally:
        await client.close()


def said(outcomes: list[Outcome]) -> list[tuple[str, int | None, int | None]]:
    assert all(isinstance(outcome, Completion) for outcome in outcomes), outcomes
    return [
        (outcome.text, outcome.prompt_tokens, outcome.completion_tokens)
        for outcome in outcomes
        if isinstance(outcome, Completion)
    ]


async def test_server_and_process_say_the_same(
    server: Server, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    of_server = said(await grid_of(OpenAIClient(server.model, server.base_url)))
    of_process = said(await grid_of(LocalClient(tiny_llama)))
    assert len(of_server) == N_CELLS
    assert of_process == of_server


def collected(run: Path) -> dict[tuple[str, str], str]:
    with RunStore.open(f"sqlite:///{run / 'store.sqlite'}") as store:
        outcomes = list(store.outcomes())
    answers = {
        (stored.cell.query_id, stored.cell.prompt_id): stored.outcome.text
        for stored in outcomes
        if isinstance(stored.outcome, Completion)
    }
    assert len(outcomes) == len(answers) == N_CELLS
    return answers


def graded(run: Path, exported: Path) -> Demonstrations:
    succeed("grade", run, "--grader", "numeric")
    succeed("export", run, "--to", exported)
    return read_demonstrations(exported)


def test_collect_grade_and_export(server: Server, tiny_llama: Path, files: Files, tmp_path: Path) -> None:
    grid = ("--queries", files.queries, "--prompts", files.prompts)
    sampling = ("--max-answer-tokens", 16, "--temperature", 0)
    remote, local = tmp_path / "remote", tmp_path / "local"
    buy_remote = ("--model", server.model, "--base-url", server.base_url, *sampling, "--out", remote, "--json")
    json.loads(succeed("collect", *grid, *buy_remote))
    json.loads(succeed("collect", *grid, "--local", tiny_llama, *sampling, "--out", local, "--json"))
    answers = collected(remote)
    assert collected(local) == answers
    assert len(set(answers.values())) > N_CELLS // 2  # the model tells its prompts apart

    json.loads(succeed("collect", *grid, *buy_remote))  # all is there
    assert collected(remote) == answers

    of_remote = graded(remote, tmp_path / "remote.parquet")
    of_local = graded(local, tmp_path / "local.jsonl")
    assert (of_remote.n_queries, of_remote.n_prompts) == (len(QUERIES), len(PROMPTS))
    assert (of_remote.trials == of_local.trials).all()
    assert (of_remote.successes == of_local.successes).all()
