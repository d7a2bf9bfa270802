"""Two replicas of the service behind a real nginx, with one PostgreSQL: the files of deploy/ as they stand there."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from prompt_oirl.recommender import Recommender
from prompt_oirl.serve.decisions.store import DecisionStore
from prompt_oirl.testing import SyntheticWorld

pytest.importorskip("aiohttp", reason="what the service needs is not installed: pip install 'prompt-oirl[serve]'")

REPOSITORY = Path(__file__).resolve().parents[2]
TOKEN = "token-of-the-clients"
WORLD = SyntheticWorld(n_queries=120)
_MAIN = "from prompt_oirl.cli import main; main()"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Replicas:
    """The proxy, what is behind it, and the store that it shares."""

    proxy: int
    ports: tuple[int, int]
    processes: tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]
    store: str
    recommender: Path

    def ask(self, path: str, body: object = None, *, port: int | None = None) -> Answer:
        """Ask the proxy, or one replica directly."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.proxy, timeout=30)
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body)
        connection.request("GET" if body is None else "POST", path, sent, headers)
        answer = connection.getresponse()
        found = Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        connection.close()
        return found

    def recommend(self, query: str) -> dict[str, Any]:
        answer = self.ask("/v1/recommend", {"query": query})
        assert answer.status == 200, answer
        found: dict[str, Any] = answer.json
        return found

    def n_decisions(self, port: int) -> float:
        """What a replica has decided, by its own count."""
        text = self.ask("/metrics", port=port).body.decode()
        return sum(float(count) for count in re.findall(r"^prompt_oirl_decisions_total\{.*\} (\S+)$", text, re.M))


class Upstream(BaseHTTPRequestHandler):
    """Answers with what it was asked; the second event of a stream is sent when the first was received."""

    protocol_version = "HTTP/1.1"
    first_was_received = threading.Event()

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        if asked.get("stream"):
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            self._send_event(b"data: first\n\n")
            if self.first_was_received.wait(20):
                self._send_event(b"data: [DONE]\n\n")
            self.wfile.write(b"0\r\n\r\n")
            return
        body = json.dumps({"asked": asked}).encode()
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_event(self, event: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
        self.wfile.flush()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


@pytest.fixture(scope="module")
def recommender(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served") / "recommender"
    with threadpool_limits(limits=1):
        Recommender().fit(WORLD.demonstrations).save(folder)
    return folder


@pytest.fixture(scope="module")
def start(
    new_postgresql_store: Callable[[], str],
    upstream: str,
    recommender: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[], AbstractContextManager[Replicas]]:
    """Runs two replicas and a proxy while a block runs."""
    nginx = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if nginx is None:
        pytest.skip("nginx is not installed: apt-get install nginx-light")

    @contextmanager
    def started() -> Iterator[Replicas]:
        folder = tmp_path_factory.mktemp("replicas")
        copy = shutil.copytree(recommender, folder / "recommender")
        store, ports, proxy = new_postgresql_store(), (free_port(), free_port()), free_port()
        command = [nginx, "-p", str(folder), "-c", str(write_proxy(folder, proxy, ports)), "-e", "stderr"]
        with ExitStack() as stack:
            first, second = (stack.enter_context(replica(port, copy, upstream, store)) for port in ports)
            stack.enter_context(ended(subprocess.Popen([*command, "-g", "daemon off;"])))
            wait_for((first, second), *ports, proxy)
            yield Replicas(proxy, ports, (first, second), store, copy)

    return started


@pytest.fixture(scope="module")
def replicas(start: Callable[[], AbstractContextManager[Replicas]]) -> Iterator[Replicas]:
    with start() as started:
        yield started


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def replica(port: int, folder: Path, upstream: str, store: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", _MAIN, "serve", str(folder), "--port", str(port), "--upstream", upstream]
    secrets = {"PROMPT_OIRL_SERVE_TOKEN": TOKEN, "PROMPT_OIRL_STORE": store, "OMP_NUM_THREADS": "1"}
    return ended(subprocess.Popen(command, env={**os.environ, **secrets}))


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended with the block."""
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def write_proxy(folder: Path, proxy: int, ports: tuple[int, int]) -> Path:
    """Write the example with other ports, and a main file around it."""
    text = (REPOSITORY / "deploy" / "nginx.conf").read_text("utf-8")
    changed = {"listen 8080": f"listen 127.0.0.1:{proxy}", ":8081": f":{ports[0]}", ":8082": f":{ports[1]}"}
    for example, here in changed.items():
        assert example in text
        text = text.replace(example, here)
    (folder / "site.conf").write_text(text, "utf-8")
    temporary = "".join(f"{each}_temp_path {folder / each};\n" for each in ("proxy", "fastcgi", "uwsgi", "scgi"))
    user = "user root;\n" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user}pid {folder / 'pid'};\nworker_processes 1;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}"
        f"client_body_temp_path {folder / 'body'};\ninclude {folder / 'site.conf'};\n}}\n",
        "utf-8",
    )
    return folder / "nginx.conf"


def wait_for(processes: Sequence[subprocess.Popen[bytes]], *ports: int) -> None:
    deadline = time.monotonic() + 60
    for port in ports:
        while not answers(port):
            assert all(process.poll() is None for process in processes), "a replica has ended"
            assert time.monotonic() < deadline, f"nothing answers on port {port}"
            time.sleep(0.05)


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def texts() -> Iterator[str]:
    return (query.text for query in WORLD.queries)


def test_feedback_finds_its_decision_whichever_replica_it_reaches(replicas: Replicas) -> None:
    decided = [replicas.recommend(text)["decision_id"] for text, _ in zip(texts(), range(40), strict=False)]
    assert all(replicas.n_decisions(port) > 0 for port in replicas.ports), "both replicas are used"
    for number, decision in enumerate(decided):
        stored_by = replicas.ports[number % 2]
        given = {"decision_id": decision, "reward": number % 2}
        wait_until_known(replicas, stored_by, given)
    with DecisionStore.open(replicas.store) as store:
        rewards = {decision.id: reward for decision, reward in store.decisions() if reward is not None}
    assert rewards == {decision: number % 2 for number, decision in enumerate(decided)}


def wait_until_known(replicas: Replicas, port: int, given: dict[str, object]) -> None:
    """Give feedback; another replica knows a decision as soon as it is stored."""
    deadline = time.monotonic() + 20
    while (answer := replicas.ask("/v1/feedback", given, port=port)).status == 404:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert answer.status == 200, answer


def test_an_event_comes_through_before_the_next_is_sent(replicas: Replicas) -> None:
    Upstream.first_was_received.clear()
    connection = http.client.HTTPConnection("127.0.0.1", replicas.proxy, timeout=15)
    body = {"model": "any", "stream": True, "messages": [{"role": "user", "content": next(texts())}]}
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.headers["x-prompt-oirl-decision"]
    assert answer.readline() == b"data: first\n"
    Upstream.first_was_received.set()
    assert answer.read().strip() == b"data: [DONE]"
    connection.close()


def test_a_replica_that_is_gone_costs_no_request(start: Callable[[], AbstractContextManager[Replicas]]) -> None:
    with start() as replicas:
        replicas.processes[0].kill()
        replicas.processes[0].wait()
        for text, _ in zip(texts(), range(30), strict=False):
            answer = replicas.ask("/v1/chat/completions", {"messages": [{"role": "user", "content": text}]})
            assert answer.status == 200, answer
            assert text in answer.json["asked"]["messages"][-1]["content"]


def test_replicas_load_a_new_recommender_while_they_answer(replicas: Replicas) -> None:
    before = replicas.recommend(next(texts()))["recommender"]
    with threadpool_limits(limits=1):
        Recommender().fit(SyntheticWorld(n_queries=150, seed=1).demonstrations).save(
            replicas.recommender, overwrite=True
        )
    for process in replicas.processes:
        process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 30
    while any(replicas.ask("/readyz", port=port).json["recommender"] == before for port in replicas.ports):
        replicas.recommend(next(texts()))
        assert time.monotonic() < deadline
    versions = {replicas.ask("/readyz", port=port).json["recommender"] for port in replicas.ports}
    assert len(versions) == 1


def test_what_is_for_the_operator_is_not_behind_the_proxy(replicas: Replicas) -> None:
    assert replicas.ask("/metrics").status == 404
    assert replicas.ask("/v1/reload", {}).status == 404
    assert replicas.ask("/metrics", port=replicas.ports[0]).status == 200


def test_the_proxy_and_the_service_refuse_bodies_of_the_same_size(replicas: Replicas) -> None:
    at_most = 4 * 2**20
    body = json.dumps({"messages": [{"role": "user", "content": "How many?"}]}).encode()
    for port in (replicas.proxy, replicas.ports[0]):
        assert replicas.ask("/v1/chat/completions", body.ljust(at_most), port=port).status == 200
        assert status_at_length(port, at_most + 1) == 413


def status_at_length(port: int, n_bytes: int) -> int:
    """Say how long a body is, and return what is answered before any of it was sent."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.putrequest("POST", "/v1/chat/completions")
    for name, value in {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}.items():
        connection.putheader(name, value)
    connection.putheader("content-length", str(n_bytes))
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return status
