"""Threads that score: several at once, as few as needed, and none that the end of the process waits for."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator

import pytest

from prompt_oirl.serve.scoring_threads import ScoringThreads

HANGING = """import threading
from prompt_oirl.serve.scoring_threads import ScoringThreads
threads = ScoringThreads(2)
began = threading.Event()
threads.submit(lambda: (began.set(), threading.Event().wait()))
began.wait()
threads.close()
print("ends")"""


@pytest.fixture
def threads() -> Iterator[ScoringThreads]:
    made = ScoringThreads(2)
    yield made
    made.close()


def test_what_a_call_returns_or_raises_is_told(threads: ScoringThreads) -> None:
    def fail() -> None:
        raise KeyError("gone")

    assert threads.submit(lambda: "a recommendation").result(10) == "a recommendation"
    with pytest.raises(KeyError, match="gone"):
        threads.submit(fail).result(10)


def test_as_many_calls_as_there_are_threads_are_made_at_once(threads: ScoringThreads) -> None:
    together, goes_on = threading.Barrier(3), threading.Event()
    names: set[str] = set()

    def wait() -> None:
        names.add(threading.current_thread().name)
        together.wait(10)
        goes_on.wait(10)

    first, second, third = (threads.submit(wait) for _ in range(3))
    together.wait(10)
    assert threads.n_under_way == 3
    assert third.cancel()
    goes_on.set()
    for each in (first, second):
        each.result(10)
    assert names == {"scoring_0", "scoring_1"}
    for _ in range(3):
        assert threads.submit(lambda: "still there").result(10) == "still there"
    assert threads.n_under_way <= 1  # what is told is under way for a moment more


def test_nothing_is_kept_of_a_call_that_was_made() -> None:
    threads = ScoringThreads(1)

    class Called:
        def __call__(self) -> object:
            return 1

    called = Called()
    kept = weakref.ref(called)
    assert threads.submit(called).result(10) == 1
    del called
    threads.submit(lambda: None).result(10)
    gc.collect()
    assert kept() is None
    threads.close()


def test_a_call_that_hangs_does_not_keep_the_process() -> None:
    ended = subprocess.run([sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "ends\n", "")
