from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from prompt_oirl.records import Message
from prompt_oirl.testing import ChatRequest, SyntheticWorld, WorldAnswerer, content_hash
from prompt_oirl.testing.llm_server import main


def start(*arguments: str, stdin: int = subprocess.PIPE) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-m", "prompt_oirl.testing.llm_server", *arguments]
    return subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ask(process: subprocess.Popen[str], text: str) -> httpx2.Response:
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    body = {"model": "simulated-llm", "messages": [{"role": "user", "content": text}]}
    return httpx2.post(f"{url}/chat/completions", json=body)


@pytest.mark.parametrize("way", ["SIGTERM", "SIGINT", "end of input"])
def test_it_serves_a_world_until_told_to_stop(way: str) -> None:
    world = SyntheticWorld(n_queries=20, seed=3)
    text = world.prompts[2].render(world.queries[5])
    with start("--world", "3", "--queries", "20") as process:
        answer = ask(process, text).json()["choices"][0]["message"]["content"]
        if way == "end of input":
            assert process.stdin is not None
            process.stdin.close()
            process.stdin = None
        else:
            process.send_signal(getattr(signal, way))
        out, err = process.communicate(timeout=20)
    message = Message("user", text)
    assert answer == WorldAnswerer(world).answer(ChatRequest("m", (message,)), 0)
    counts: dict[str, Any] = json.loads(out)
    assert counts == {
        "requests": 1,
        "by_status": {"200": 1},
        "received": {content_hash([message]): 1},
        "answered": {content_hash([message]): 1},
        "in_flight": 0,
        "most_in_flight": 1,
    }
    assert (process.returncode, err) == (0, "")


def test_input_that_is_no_pipe_does_not_stop_it() -> None:
    faults = '{"server_error": 1, "burst": {"every": 100, "length": 1}}'
    with start("--world", "3", "--queries", "20", "--faults", faults, stdin=subprocess.DEVNULL) as process:
        assert ask(process, "Hello?").status_code == 500
        process.terminate()
        out, _ = process.communicate(timeout=20)
    assert json.loads(out)["by_status"] == {"500": 1}


@pytest.mark.real_logs
def test_it_replays_the_release(data_folder: Path) -> None:
    with start("--replay", str(data_folder)) as process:
        response = ask(process, "Who?")
        process.terminate()
        process.communicate(timeout=20)
    assert response.status_code == 400


@pytest.mark.parametrize("port", ["99999", "-1", "http", "65536"])
def test_a_port_that_is_none_is_wrong_usage(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--world", "0", f"--port={port}"])
    assert ended.value.code == 2
    assert f"argument --port: '{port}' is no port: a number from 0 to 65535 is needed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--world", "0", "--faults", "{"], "a JSON object with fields of Faults"),
        (["--world", "0", "--faults", "[]"], "a JSON object with fields of Faults"),
        (["--world", "0", "--faults", '{"hangs": 1}'], "a JSON object with fields of Faults"),
        (["--world", "0", "--faults", '{"hang": 2}'], "hang=2"),
        (["--replay", "nowhere"], "nowhere"),
    ],
)
def test_bad_arguments_are_named(arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    try:
        assert main(arguments) == 1
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    assert expected in capsys.readouterr().err
