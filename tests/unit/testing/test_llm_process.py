from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import httpx2
import pytest

from prompt_oirl.errors import LLMError
from prompt_oirl.testing.llm_process import llm_process

WORLD = ("--world", "3", "--queries", "20")


def is_served(address: str) -> bool:
    try:
        return httpx2.get(f"{address}/models", timeout=5).is_success
    except httpx2.ConnectError:
        return False


def ends_serving(address: str) -> bool:
    deadline = time.monotonic() + 20
    while is_served(address):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_it_serves_while_the_block_runs() -> None:
    with llm_process(*WORLD) as address:
        assert is_served(address)
    assert not is_served(address)


def test_it_stops_when_the_block_fails() -> None:
    with pytest.raises(KeyboardInterrupt), llm_process(*WORLD) as address:
        raise KeyboardInterrupt
    assert not is_served(address)


@pytest.mark.parametrize(
    ("arguments", "said"), [(("--world", "0", "--queries", "1"), "at least 2 are needed"), ((), "--world")]
)
def test_a_server_that_does_not_start_is_an_error(arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(LLMError, match=f"the simulated LLM did not start.*{said}"), llm_process(*arguments):
        pass


def test_a_server_that_is_not_ready_in_time_is_stopped() -> None:
    with pytest.raises(LLMError, match="was not ready after 0 s"), llm_process(*WORLD, seconds_to_start=0):
        pass


PARENT = """
import sys, time
from prompt_oirl.testing.llm_process import llm_process
with llm_process("--world", "3", "--queries", "20") as address:
    print(address, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGINT])
def test_no_server_outlives_its_parent(way: signal.Signals) -> None:
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    ) as parent:
        assert parent.stdout is not None
        address = parent.stdout.readline().strip()
        assert is_served(address)
        os.killpg(parent.pid, way)
        parent.wait(timeout=20)
    assert ends_serving(address)
