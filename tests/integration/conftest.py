"""A grid of a synthetic world as files, commands in this process or their own, and what a run's store holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from prompt_oirl.cli import main
from prompt_oirl.prompts import write_prompts
from prompt_oirl.records import Question
from prompt_oirl.runs.outcomes import Completion, Failure, Outcome
from prompt_oirl.runs.run import Run, is_run
from prompt_oirl.testing import SyntheticWorld, content_hash

MODEL = "simulated-llm"


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: object
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.out, self.err
        return json.loads(self.out)


@dataclass(frozen=True)
class GridFiles:
    """Queries and prompts of a world as files."""

    world: SyntheticWorld
    queries: Path
    prompts: Path

    @property
    def questions(self) -> tuple[Question, ...]:
        return tuple(Question(query, self.world.golds[query]) for query in self.world.queries)

    @property
    def n_cells(self) -> int:
        return len(self.world.queries) * len(self.world.prompts)

    def content_of(self) -> dict[tuple[str, str], str]:
        """What the server counts the request of each query and prompt under."""
        return {
            (query.id, prompt.id): content_hash(prompt.messages(query))
            for query in self.world.queries
            for prompt in self.world.prompts
        }

    def collect(self, base_url: str, out: Path, *more: object) -> list[str]:
        """The command that collects the whole grid."""
        grid = ("--queries", self.queries, "--prompts", self.prompts)
        return ["collect", *map(str, (*grid, "--model", MODEL, "--base-url", base_url, "--out", out, *more))]


@dataclass(frozen=True)
class Stored:
    """What a run's store holds."""

    outcomes: dict[bytes, Outcome]
    states: dict[bytes, str]
    pairs: dict[bytes, tuple[str, str]]
    """Query and prompt of each cell with an outcome."""

    @property
    def answers(self) -> dict[bytes, str]:
        return {key: each.text for key, each in self.outcomes.items() if isinstance(each, Completion)}

    @property
    def failures(self) -> dict[bytes, Failure]:
        return {key: each for key, each in self.outcomes.items() if isinstance(each, Failure)}

    def contents(self, grid: GridFiles, keys: object = None) -> set[str]:
        """What the server counts the answered cells under."""
        content_of = grid.content_of()
        return {content_of[self.pairs[key]] for key in (self.answers if keys is None else keys)}


@pytest.fixture(scope="session")
def contrasts_on() -> Callable[[Any], list[tuple[float, str]]]:
    """Returns the contrast with its background of each text that a page of the browser shows, and the text."""
    script = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")
    return lambda page: [(contrast, text) for contrast, text in page.evaluate(script)]


@pytest.fixture(scope="session")
def read_run() -> Callable[[Path], Stored]:
    """Returns what is stored in a folder; nothing where there is no run yet."""

    def read(folder: Path) -> Stored:
        if not is_run(folder):
            return Stored({}, {}, {})
        with Run.open(folder) as run:
            found = list(run.store.outcomes())
            states: dict[bytes, str] = dict(run.store.states())
        return Stored(
            {each.cell.key: each.outcome for each in found},
            states,
            {each.cell.key: (each.cell.query_id, each.cell.prompt_id) for each in found},
        )

    return read


@pytest.fixture
def make_grid(tmp_path: Path) -> Callable[..., GridFiles]:
    """Writes the queries, with their golds, and the six prompts of a world of so many queries."""

    def make(n_queries: int, *, folder: Path = tmp_path) -> GridFiles:
        world = SyntheticWorld(n_queries=n_queries)
        grid = GridFiles(world, folder / "queries.jsonl", folder / "prompts.yaml")
        rows = ({"query": query.text, "gold": world.golds[query]} for query in world.queries)
        grid.queries.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
        write_prompts(world.prompts, grid.prompts)
        return grid

    return make


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Runs a command in this process, without a key in the environment unless the test has put one there."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["prompt-oirl", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return Ended(ended.value.code or 0, printed.out, printed.err)

    return run


_MAIN = "from prompt_oirl.cli import main; main()"


@pytest.fixture
def spawn() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a command in a process of its own; what still runs in the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object, code: str = _MAIN, **environment: str) -> subprocess.Popen[str]:
        inherited = {name: value for name, value in os.environ.items() if name != "OPENAI_API_KEY"}
        process = subprocess.Popen(
            [sys.executable, "-W", "error::ResourceWarning", "-c", code, *map(str, arguments)],
            env=inherited | {"OMP_NUM_THREADS": "1"} | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def server_process() -> Iterator[Callable[..., tuple[str, Callable[[], dict[str, Any]]]]]:
    """Starts a simulated LLM in a process of its own; returns its address, and what stops it and returns its counts."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> tuple[str, Callable[[], dict[str, Any]]]:
        command = [sys.executable, "-m", "prompt_oirl.testing.llm_server", *map(str, arguments)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None

        def stop() -> dict[str, Any]:
            process.terminate()
            counts: dict[str, Any] = json.loads(process.communicate(timeout=30)[0])
            return counts

        return process.stdout.readline().strip(), stop

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., None]:
    """Waits until something is so, and fails if that takes too long."""

    def wait(is_so: Callable[[], object], *, within: float = 60.0) -> None:
        deadline = time.monotonic() + within
        while not is_so():
            if time.monotonic() > deadline:
                pytest.fail(f"it was not so within {within:g} s")
            time.sleep(0.002)

    return wait
