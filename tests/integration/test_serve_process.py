"""`prompt-oirl serve` as a process of its own: starting, answering, reloading under load, stopping."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from prompt_oirl.recommender import Recommender
from prompt_oirl.testing import SyntheticWorld

TOKEN = "planted-token-83fa"
KEY = "planted-key-27b0"
QUERY = "Weng earns $12 an hour. She worked 50 minutes. How much did she earn?"
HOSTILE = "<script>alert(1)</script> {{query}} \x1b[31m \u202e \x00 '; DROP TABLE decisions; -- " + "long" * 2_000
HEAD = "POST /v1/recommend HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
SIGNALLED = """import os, signal
from prompt_oirl.serve.active import ActiveRecommender
load = ActiveRecommender.load
ActiveRecommender.load = lambda folder: (os.kill(os.getpid(), signal.{name}), load(folder))[1]
from prompt_oirl.cli import main
main()"""
HUNG_UP = """import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from prompt_oirl.cli import main
class HangsUp:
    def find_spec(self, name, path, target=None):
        if name == "prompt_oirl.cli.serving":
            os.kill(os.getpid(), signal.SIGHUP)
sys.meta_path.insert(0, HangsUp())
main()"""
HANGING = """import threading
from prompt_oirl.recommender.prepared import PreparedRecommender
made, recommend = PreparedRecommender.__init__, PreparedRecommender.recommend
def slow(self, recommender):
    made(self, recommender)
    self.is_quick = False
def hang(self, query, *, among=None):
    return threading.Event().wait() if "hang" in query else recommend(self, query, among=among)
PreparedRecommender.__init__, PreparedRecommender.recommend = slow, hang
from prompt_oirl.cli import main
main()"""
INTERRUPTED = """import sys
from prompt_oirl.cli import main
class Interrupts:
    def find_spec(self, name, path, target=None):
        if name == "prompt_oirl.cli.app":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupts())
main()"""
BLOCKED = "import sys; sys.modules['{module}'] = None; from prompt_oirl.cli import main; main()"


@dataclass
class Service:
    """A process that serves."""

    process: subprocess.Popen[str]
    line: str
    """That it printed when it was ready."""

    @property
    def port(self) -> int:
        found = re.search(r"http://127\.0\.0\.1:(\d+)", self.line)
        assert found, self.line
        return int(found[1])

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        connection = self.connection()
        try:
            sent = {"content-type": "application/json", **headers} if body is not None else headers
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            answer = connection.getresponse()
            text = answer.read().decode()
            is_json = answer.headers["content-type"] == "application/json"
            return answer.status, json.loads(text) if is_json else text
        finally:
            connection.close()

    def stop(self, signal: int = signal.SIGTERM) -> tuple[int, str]:
        """Its exit code, and what it said meanwhile."""
        self.process.send_signal(signal)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, self.line + out + err


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two recommenders of different versions."""
    made = []
    for seed in (2, 3):
        folder = tmp_path_factory.mktemp("served") / "recommender"
        Recommender().fit(SyntheticWorld(n_queries=320, interaction=3, seed=seed).demonstrations).save(folder)
        made.append(folder)
    return made[0], made[1]


@pytest.fixture
def folder(folders: tuple[Path, Path], tmp_path: Path) -> Path:
    """A recommender that a test may change."""
    return Path(shutil.copytree(folders[0], tmp_path / "recommender"))


@pytest.fixture
def serve(spawn, folder: Path) -> Callable[..., Service]:
    """Starts a service, and returns it when it is ready."""

    def start(*arguments: object, **environment: str) -> Service:
        process = spawn("serve", folder, "--port", 0, *arguments, **environment)
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        return Service(process, line)

    return start


def stored(folder: Path, statement: str = "SELECT id FROM decisions") -> list[Any]:
    with sqlite3.connect(folder.with_name("recommender-decisions.sqlite")) as connection:
        rows = connection.execute(statement).fetchall()
    connection.close()
    return [row[0] for row in rows]


def test_it_says_one_line_when_it_is_ready_answers_and_stops(serve, folder: Path, folders: tuple[Path, Path]) -> None:
    service = serve("--no-playground")
    recommender = Recommender.load(folder)
    assert f"{folder} {recommender.version} at http://127.0.0.1:" in service.line
    assert "recommender-decisions.sqlite" in service.line
    status, found = service.ask("POST", "/v1/recommend", {"query": QUERY, "messages": True})
    assert (status, found["prompt_id"]) == (200, recommender.recommend(QUERY).prompt.id)
    reward = {"decision_id": found["decision_id"], "reward": 1}
    assert service.ask("POST", "/v1/feedback", reward) == (200, reward)
    assert service.ask("GET", "/readyz")[1]["recommender"] == recommender.version
    assert service.ask("GET", "/")[0] == 404
    code, said = service.stop()
    assert (code, said) == (0, service.line)
    assert stored(folder) == [found["decision_id"]]
    assert stored(folder, "SELECT reward FROM feedbacks") == [1]
    assert set(stored(folder, "SELECT prompt_id FROM recommenders")) == {each.id for each in recommender.prompts_}
    assert {path.name for path in folder.iterdir()} == {path.name for path in folders[0].iterdir()}
    Recommender.load(folder)


def test_ctrl_c_stops_it_too(serve) -> None:
    code, said = serve("--no-playground", "--no-store").stop(signal.SIGINT)
    assert code == 0
    assert "Traceback" not in said


def test_it_may_be_stopped_or_told_to_reload_before_it_is_ready(serve, spawn, folder: Path) -> None:
    for code in (SIGNALLED.format(name="SIGHUP"), HUNG_UP):
        service = serve("--no-playground", "--no-store", code=code)
        assert service.ask("POST", "/v1/recommend", {"query": QUERY})[0] == 200
        assert service.stop() == (0, service.line)
    code, err = ended(spawn("serve", folder, "--port", 0, "--no-store", code=SIGNALLED.format(name="SIGINT")))
    assert (code, err) == (130, "stopped; what was saved before is kept")
    code, err = ended(spawn("serve", folder, code=INTERRUPTED))
    assert (code, err) == (130, "stopped")


def test_scoring_that_hangs_does_not_keep_it_from_ending(serve) -> None:
    service = serve("--no-playground", "--no-store", "--budget-ms", 1_000, code=HANGING)
    assert service.ask("POST", "/v1/recommend", {"query": QUERY})[1]["choice"] == "recommended"
    assert service.ask("POST", "/v1/recommend", {"query": "does it hang?"})[1]["choice"] == "fallback"
    code, said = service.stop()
    assert code == 0
    assert "WARNING stopping while late queries are still being scored: 1" in said


def test_without_a_store_nothing_is_kept(serve, folder: Path) -> None:
    service = serve("--no-store", "--no-playground")
    assert "nothing is logged" in service.line
    assert service.ask("POST", "/v1/recommend", {"query": QUERY})[0] == 200
    assert service.ask("POST", "/v1/feedback", {"decision_id": "0" * 32, "reward": 1})[0] == 404
    service.stop()
    assert [path.name for path in folder.parent.iterdir()] == ["recommender"]


def test_secrets_and_queries_are_never_said_or_kept(serve, folder: Path) -> None:
    service = serve(
        "--upstream", "http://127.0.0.1:9/v1",
        PROMPT_OIRL_SERVE_TOKEN=TOKEN, PROMPT_OIRL_UPSTREAM_KEY=KEY,
    )  # fmt: skip
    bearer = {"authorization": f"Bearer {TOKEN}"}
    seen: list[object] = []
    for headers in ({}, bearer, {"authorization": f"Bearer {TOKEN}x"}):
        for method, path in (
            ("GET", "/metrics"),
            ("GET", "/openapi.json"),
            ("GET", "/v1/models"),
            ("POST", "/v1/reload"),
        ):
            seen.append(service.ask(method, path, **headers))
        chat = {"model": "m", "messages": [{"role": "user", "content": HOSTILE}]}
        for path, body in (("/v1/recommend", {"query": HOSTILE}), ("/v1/chat/completions", chat)):
            seen.append(service.ask("POST", path, body, **headers))
    assert [answer[0] for answer in seen[:6]] == [401] * 6  # type: ignore[index]
    assert service.ask("POST", "/v1/recommend", {"query": QUERY}, **bearer)[0] == 200
    arguments = Path(f"/proc/{service.process.pid}/cmdline")
    if arguments.exists():
        seen.append(arguments.read_text())
    code, said = service.stop()
    assert code == 0
    kept = b"".join(path.read_bytes() for path in folder.parent.glob("*decisions.sqlite*"))
    for secret in (TOKEN, KEY):
        assert secret not in repr(seen) + said
        assert secret.encode() not in kept
    assert "DROP TABLE" not in said
    assert b"DROP TABLE" not in kept
    assert len(stored(folder)) == 3


def test_queries_are_kept_as_they_are_if_asked_for(serve, folder: Path) -> None:
    service = serve("--log-queries", "--no-playground")
    assert service.ask("POST", "/v1/recommend", {"query": HOSTILE})[0] == 200
    code, said = service.stop()
    assert (code, said) == (0, service.line)
    assert len(stored(folder, "SELECT query FROM decisions")) == 1


@dataclass
class Load:
    """Clients that ask all the time."""

    service: Service
    versions: list[tuple[float, str]] = field(default_factory=list)
    """When each request was begun, and who answered it."""
    problems: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)

    @contextmanager
    def running(self, n_clients: int = 4) -> Iterator[None]:
        ends = threading.Event()
        threads = [threading.Thread(target=self._ask, args=(ends,)) for _ in range(n_clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            ends.set()
            for thread in threads:
                thread.join(30)

    def _ask(self, ends: threading.Event) -> None:
        connection = self.service.connection()
        while not ends.is_set():
            begun = time.monotonic()
            try:
                body = json.dumps({"query": f"{QUERY} {begun}"})
                connection.request("POST", "/v1/recommend", body, {"content-type": "application/json"})
                answer = connection.getresponse()
                found = json.loads(answer.read())
                self.versions.append((begun, found["recommender"]))
                self.ids.append(found["decision_id"])
            except Exception as error:  # noqa: BLE001 - a request that is dropped is what this looks for
                self.problems.append(repr(error))
                return
        connection.close()


def replace(folder: Path, other: Path) -> None:
    """As an operator does: the new one is put in place whole."""
    beside = folder.with_name("new")
    shutil.copytree(other, beside)
    old = folder.with_name("old")
    folder.rename(old)
    beside.rename(folder)
    shutil.rmtree(old)


def test_a_new_recommender_is_loaded_under_load_without_dropping_a_request(
    serve, folder: Path, folders: tuple[Path, Path], wait_until
) -> None:
    service = serve("--no-playground")
    first, second = (Recommender.load(each).version for each in folders)
    load = Load(service)
    with load.running():
        time.sleep(0.3)
        replace(folder, folders[1])
        assert service.ask("POST", "/v1/reload") == (200, {"recommender": second})
        reloaded = time.monotonic()
        time.sleep(0.3)
        (folder / "state.json").write_text("{}")
        status, refused = service.ask("POST", "/v1/reload")
        assert status == 409
        assert "state.json" in refused["error"]["message"]
        time.sleep(0.2)
        replace(folder, folders[0])
        before = len(load.versions)
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: service.ask("GET", "/readyz")[1]["recommender"] == first)
        time.sleep(0.2)
    assert load.problems == []
    assert {version for begun, version in load.versions if begun < reloaded} >= {first}
    between = [version for begun, version in load.versions[:before] if begun > reloaded]
    assert set(between) == {second}
    assert len(between) > 10
    assert load.versions[-1][1] == first
    code, said = service.stop()
    assert code == 0
    lines = [line for line in said.splitlines() if "reloaded" in line]
    assert [re.sub(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} ", "", line).partition(",")[0] for line in lines] == [
        f"INFO reloaded: version {second} is in use",
        "ERROR not reloaded",
        f"INFO reloaded: version {first} is in use",
    ]
    assert lines[0].endswith(f"before it was {first}")
    assert sorted(stored(folder)) == sorted(load.ids)
    assert set(stored(folder, "SELECT DISTINCT version FROM recommenders")) == {first, second}


def test_sighup_with_a_folder_that_does_not_verify_says_so_and_goes_on(serve, folder: Path, wait_until) -> None:
    service = serve("--no-playground", "--no-store")
    (folder / "state.json").write_text("{}")
    service.process.send_signal(signal.SIGHUP)
    time.sleep(1)
    assert service.ask("POST", "/v1/recommend", {"query": QUERY})[0] == 200
    code, said = service.stop()
    assert code == 0
    assert "not reloaded" in said
    assert "state.json" in said


def test_what_is_under_way_is_finished_and_logged_before_it_stops(serve, folder: Path) -> None:
    service = serve("--no-playground")
    body = json.dumps({"query": QUERY}).encode()
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as client:
        head = f"{HEAD}content-length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + body[:5])
        time.sleep(0.3)
        service.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert service.process.poll() is None
        with pytest.raises(OSError, match=r"refused|reset"):
            socket.create_connection(("127.0.0.1", service.port), timeout=5).close()
        client.sendall(body[5:])
        answer = b""
        while part := client.recv(65_536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 200")
    assert service.process.wait(20) == 0
    found = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert stored(folder) == [found["decision_id"]]


def test_chunked_bodies_that_grow_too_large_are_refused_and_cut_off(serve) -> None:
    service = serve("--no-playground", "--no-store", "--max-body-bytes", 10_000)
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as client:
        client.sendall(f"{HEAD}transfer-encoding: chunked\r\n\r\n".encode())
        sent = 0
        with pytest.raises(OSError, match=r"."):  # noqa: PT012 - when it is cut off is the server's to say
            while sent < 50_000_000:
                client.sendall(b"3e8\r\n" + b"x" * 1_000 + b"\r\n")
                sent += 1_000
    assert service.ask("POST", "/v1/recommend", {"query": "x" * 10_000})[0] == 413
    assert service.ask("POST", "/v1/recommend", {"query": QUERY})[0] == 200


def test_a_head_that_does_not_end_is_refused_before_it_fills_the_memory(serve) -> None:
    service = serve("--no-playground", "--no-store", PROMPT_OIRL_SERVE_TOKEN=TOKEN)
    for line in (b"x-long: " + b"a" * 1_000 + b"\r\n", b"a" * 1_000):
        with socket.create_connection(("127.0.0.1", service.port), timeout=30) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-first: ")
            sent = 0
            with pytest.raises(OSError, match=r"."):  # noqa: PT012 - when it is cut off is the server's to say
                while sent < 50_000_000:
                    client.sendall(line)
                    sent += len(line)
        assert sent < 20_000_000  # most of it lay in the buffers of the connection
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-long: " + b"a" * 60_000 + b"\r\n\r\n")
        assert client.recv(10_000).startswith(b"HTTP/1.1 200")
    assert service.ask("GET", "/healthz")[0] == 200


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate(timeout=60)
    assert out == ""
    return process.returncode, " ".join(err.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--host", "0.0.0.0"], "PROMPT_OIRL_SERVE_TOKEN"),
        (["--upstream", "ftp://x"], "upstream='ftp://x'"),
        (["--store", "mysql://x/y"], "postgresql://"),
        (["--store", "postgresql://user:planted-password@localhost/x"], "password"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(spawn, folder: Path, arguments: list[str], said: str) -> None:
    code, err = ended(spawn("serve", folder, "--no-playground", *arguments))
    assert (code, err.startswith("error: ")) == (1, True)
    assert said in err
    assert "Traceback" not in err
    assert "planted-password" not in err


def test_a_store_inside_the_folder_is_refused(spawn, folder: Path) -> None:
    code, err = ended(spawn("serve", folder, "--port", 0, "--store", folder / "decisions.sqlite"))
    assert code == 1
    assert "is inside" in err


def test_a_folder_that_does_not_verify_is_not_served(spawn, folder: Path, tmp_path: Path) -> None:
    (folder / "state.json").write_text("{}")
    for served in (folder, tmp_path / "nothing"):
        code, err = ended(spawn("serve", served, "--port", 0, "--no-store"))
        assert code == 1
        assert err.startswith("error: ")
        assert str(served) in err


def test_a_port_that_is_taken_is_named(spawn, folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, err = ended(spawn("serve", folder, "--port", port, "--no-store"))
    assert code == 1
    assert f"127.0.0.1:{port}" in err
    assert "in use" in err


@pytest.mark.parametrize("module", ["orjson", "uvloop", "prometheus_client"])
def test_a_missing_extra_is_named(spawn, folder: Path, module: str) -> None:
    code, err = ended(spawn("serve", folder, code=BLOCKED.format(module=module)))
    assert code == 1
    assert f"'{module}' is not installed" in err
    assert "prompt-oirl[serve]" in err


def test_the_playground_is_on_where_it_is_installed_and_can_be_demanded(serve, spawn, folder: Path) -> None:
    pytest.importorskip("jinja2")
    service = serve("--no-store")
    assert service.ask("GET", "/")[0] == 200
    service.stop()
    code, err = ended(spawn("serve", folder, "--playground", code=BLOCKED.format(module="jinja2")))
    assert (code, "[playground]" in err) == (1, True)
    absent = spawn("serve", folder, "--port", 0, "--no-store", code=BLOCKED.format(module="jinja2"))
    service = Service(absent, absent.stdout.readline())
    assert service.ask("GET", "/")[0] == 404
    service.stop()


def test_it_is_ready_in_seconds_and_small(serve) -> None:
    begun = time.monotonic()
    service = serve("--no-store")
    assert time.monotonic() - begun < 15  # 3 s on an idle machine
    status = Path(f"/proc/{service.process.pid}/status")
    if status.exists():
        resident = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
        assert resident / 1024 < 400


def test_help_imports_nothing_of_the_service(spawn) -> None:
    code = (
        "import sys\nfrom prompt_oirl.cli import main\ntry: main()\nexcept SystemExit: pass\n"
        "print(sorted({'fastapi', 'uvicorn', 'orjson', 'aiohttp', 'prometheus_client', 'jinja2', 'prompt_oirl.serve'}"
        " & set(sys.modules)))"
    )
    out, err = spawn("serve", "--help", code=code).communicate(timeout=60)
    assert out.rstrip().endswith("[]"), err
    assert "Example: prompt-oirl serve" in " ".join(out.split())


def test_the_environment_sends_nothing_out(serve, folder: Path) -> None:
    """What FastAPI exports of requests where the environment asks for it stays off."""
    service = serve(
        "--no-store", "--no-playground", FASTAPI_OTEL_AUTO_CONFIGURE="true",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_TRACES_EXPORTER="otlp",
    )  # fmt: skip
    assert service.ask("POST", "/v1/recommend", {"query": QUERY})[0] == 200
    code, said = service.stop()
    assert (code, said) == (0, service.line)
