"""`prompt-oirl serve` while PostgreSQL is down: it starts, answers, and says that decisions wait."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from prompt_oirl.recommender import Recommender
from prompt_oirl.testing import SyntheticWorld


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("served") / "recommender"
    Recommender().fit(SyntheticWorld(n_queries=40).demonstrations).save(made)
    return made


def ask(port: int, method: str, path: str, body: object = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        sent = None if body is None else json.dumps(body)
        connection.request(method, path, sent, {"content-type": "application/json"} if sent else {})
        answer = connection.getresponse()
        text = answer.read().decode()
        return answer.status, json.loads(text) if path != "/metrics" else text
    finally:
        connection.close()


def test_it_starts_answers_and_says_so_once(spawn, folder: Path, wait_until) -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'prompt-oirl[postgres]'")
    with socket.socket() as unanswered:
        unanswered.bind(("127.0.0.1", 0))  # and does not listen
        address = f"postgresql://user:planted-password@127.0.0.1:{unanswered.getsockname()[1]}/decisions"
        process = spawn("serve", folder, "--port", 0, "--no-playground", PROMPT_OIRL_STORE=address)
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        assert found, process.communicate()[1]
        port = int(found[1])
        status, decided = ask(port, "POST", "/v1/recommend", {"query": "What is 2 plus 3?"})
        assert status == 200
        wait_until(lambda: ask(port, "GET", "/readyz")[1]["decision_log"] == "failing")
        status, ready = ask(port, "GET", "/readyz")
        assert (status, ready["status"], ready["decisions_waiting"]) == (200, "ready", 1)
        assert ready["decision_log_failing_since"] > 0
        assert 'prompt_oirl_decision_log_state{state="failing"} 1.0' in ask(port, "GET", "/metrics")[1]
        reward = {"decision_id": decided["decision_id"], "reward": 1}
        assert ask(port, "POST", "/v1/feedback", reward)[0] == 503
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert err.count("decisions wait in memory until the store works") == 1
    assert "could not be written in time: 1 decisions are lost" in err
    assert "planted" not in line + out + err
