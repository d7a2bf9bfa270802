"""What docs/serving.md shows is what the service answers, in the page's order."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import prompt_oirl
from prompt_oirl.cli.app import app
from prompt_oirl.testing import SyntheticWorld
from prompt_oirl.testing.llm_process import llm_process

pytest.importorskip("aiohttp", reason="what the service needs is not installed: pip install 'prompt-oirl[serve]'")
httpx2 = pytest.importorskip("httpx2")

ADDRESS = "http://127.0.0.1:8080"
DECISION = "0123456789abcdef0123456789abcdef"
WORLD = SyntheticWorld(n_queries=300)
_SERVE = "from prompt_oirl.cli import main; main()"


@pytest.fixture
def served(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Serves the folder `recommender` when called, in front of a simulated LLM; returns the address."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    started: list[subprocess.Popen[str]] = []
    with llm_process("--world", "0", "--queries", "300") as upstream:

        def start() -> str:
            options = ["--port", "0", "--upstream", upstream, "--log-queries"]
            process = subprocess.Popen(
                [sys.executable, "-c", _SERVE, "serve", "recommender", *options],
                stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "500"},
            )  # fmt: skip
            started.append(process)
            assert process.stdout is not None
            said = process.stdout.readline()
            address = re.search(r"http://127\.0\.0\.1:\d+", said)
            assert address, said
            return address[0]

        yield start
        for process in started:
            process.terminate()
            process.communicate(timeout=30)
            assert process.returncode == 0


def run_command(line: str) -> None:
    name, *arguments = shlex.split(line, comments=True)
    assert name == "prompt-oirl"
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, f"{line}\n{result.output}\n{result.exception!r}"


def write_files() -> None:
    """Write the logs, one row a trial, and the queries."""
    trials = (
        {
            "query": trial.query.text,
            "prompt_id": trial.prompt.id,
            "prompt": trial.prompt.template,
            "correct": trial.reward,
        }
        for trial in WORLD.records
    )
    queries = ({"query": query.text} for query in WORLD.queries)
    for name, rows in {"logs": trials, "queries": queries}.items():
        Path(f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def use(address: str) -> None:
    """Ask for prompts as an application does, and say what came of them."""
    with httpx2.Client(base_url=address) as client:
        for query, probabilities in zip(WORLD.queries, WORLD.success_probabilities, strict=True):
            decided = client.post("/v1/recommend", json={"query": query.text}).json()
            column = [prompt.id for prompt in WORLD.prompts].index(decided["prompt_id"])
            reward = int(probabilities[column] > 0.5)
            given = client.post("/v1/feedback", json={"decision_id": decided["decision_id"], "reward": reward})
            assert given.status_code == 200


def run_curl(line: str) -> str:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed: apt-get install curl")
    command = [*shlex.split(line), "--noproxy", "*", "--fail-with-body"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, line + done.stdout + done.stderr
    return done.stdout


def check_shown(shown: str, answered: str) -> None:
    """What the page shows is the answer, with `…` for what differs from time to time."""
    pattern = ".*".join(map(re.escape, shown.strip().split("…")))
    assert re.fullmatch(pattern, answered.strip(), re.S), f"{shown}\n{answered}"


@pytest.mark.slow
def test_the_page_runs_from_the_top(
    repository: Path, served: Callable[[], str], code_of: Callable[[str], list[Any]]
) -> None:
    write_files()
    address, answer, decision, namespace = "", "", "", {}  # type: ignore[var-annotated]
    for language, text in code_of((repository / "docs" / "serving.md").read_text("utf-8")):
        here = text.strip().replace(ADDRESS, address).replace(DECISION, decision or DECISION)
        if language == "bash":
            for line in here.splitlines():
                if not line.startswith("prompt-oirl serve "):
                    run_command(line)
                elif not address:
                    address = served()
                    use(address)
        elif language == "sh" and here.startswith("curl "):
            answer = run_curl(here)
            if found := re.search(r'"decision_id":"(\w+)"', answer):
                decision = found[1]
        elif language == "sh" and here.startswith("cat "):
            subprocess.run(here, shell=True, check=True)
        elif language == "json":
            check_shown(here, answer)
        elif language == "python":
            exec(compile(here, "serving.md", "exec", dont_inherit=True), namespace)
    assert re.fullmatch("[0-9a-f]{32}", namespace["decision"])
    assert namespace["answer"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/recommend", "{", 400),
        ("/v1/recommend", '{"query": "a", "query": "b"}', 400),
        ("/v1/recommend", '{"query": NaN}', 400),
        ("/v1/recommend", "[]", 422),
        ("/v1/chat/completions", "[]", 400),
        ("/v1/recommend", "{}", 422),
        ("/v1/recommend", '{"query": "a", "queries": ["b"]}', 422),
        ("/v1/recommend", '{"query": " "}', 422),
        ("/v1/recommend", '{"query": "a", "other": 1}', 422),
        ("/v1/recommend", '{"query": 1}', 422),
        ("/v1/recommend", json.dumps({"query": 20_001 * "a"}), 422),
        ("/v1/recommend", '{"query": "a", "candidates": ["no such prompt"]}', 404),
        ("/v1/feedback", json.dumps({"decision_id": DECISION, "reward": 1.5}), 422),
        ("/v1/feedback", json.dumps({"decision_id": "none", "reward": 1}), 422),
        ("/v1/feedback", json.dumps({"decision_id": DECISION, "reward": 1}), 404),
        ("/v1/chat/completions", json.dumps({"messages": 1_001 * [{"role": "user", "content": "a"}]}), 400),
        ("/v1/recommend", 4 * 2**20 * " " + "{}", 413),
    ],
)
def test_bad_input_has_the_status_of_the_page(running: Any, path: str, body: str, status: int) -> None:
    answer = running.post(path, content=body.encode(), headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["message"]


def test_what_is_not_declared_as_json_has_the_status_of_the_page(running: Any) -> None:
    for path in ("/v1/recommend", "/v1/chat/completions", "/v1/feedback"):
        assert running.post(path, content=b"{}", headers={"content-type": "text/plain"}).status_code == 415
    compressed = {"content-type": "application/json", "content-encoding": "gzip"}
    assert running.post("/v1/chat/completions", content=b"{}", headers=compressed).status_code == 415


def test_a_host_or_page_from_elsewhere_has_the_status_of_the_page(running: Any) -> None:
    assert running.get("/v1/prompts", headers={"host": "prompts.example.com"}).status_code == 403
    sent = {"content-type": "application/json", "origin": "https://example.com"}
    assert running.post("/v1/recommend", content=b'{"query": "a"}', headers=sent).status_code == 403


def test_every_metric_of_the_page_is_there(running: Any, repository: Path) -> None:
    page = (repository / "docs" / "serving.md").read_text("utf-8")
    named = re.findall(r"^\| `(prompt_oirl_\w+)", page, re.M)
    shown = running.get("/metrics").text
    assert len(named) == 10
    for name in named:
        assert re.search(rf"^# TYPE {name.removesuffix('_total').removesuffix('_info')}", shown, re.M), name


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of a service with an upstream that nobody is at, and a store."""
    from starlette.testclient import TestClient

    from prompt_oirl.serve.active import ActiveRecommender
    from prompt_oirl.serve.app import make_app
    from prompt_oirl.serve.decisions.log import StoredDecisionLog
    from prompt_oirl.serve.decisions.store import DecisionStore
    from prompt_oirl.serve.settings import ServeSettings

    folder = tmp_path_factory.mktemp("served")
    prompt_oirl.Recommender().fit(SyntheticWorld(n_queries=40).demonstrations).save(folder / "recommender")
    settings = ServeSettings(upstream="http://127.0.0.1:9/v1", playground=False)
    with DecisionStore.open(f"sqlite:///{folder / 'decisions.sqlite'}") as store:
        made = make_app(ActiveRecommender.load(folder / "recommender"), settings, log=StoredDecisionLog(store))
        with TestClient(made, base_url="http://127.0.0.1:8080") as client:
            yield client
