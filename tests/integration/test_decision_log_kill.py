"""A process that logs decisions is killed: what was flushed is there, and the store goes on."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from prompt_oirl.serve.decisions.store import DecisionStore

RECORDING = """
import asyncio, sys
from prompt_oirl.serve.decision import Decision, Feedback
from prompt_oirl.serve.decisions.log import StoredDecisionLog
from prompt_oirl.serve.decisions.store import DecisionStore

fields = dict(query=None, prompt_id="think", score=0.5, propensity=1, choice="recommended", source="recommend")

async def main():
    with DecisionStore.open(sys.argv[1]) as store:
        async with StoredDecisionLog(store, gather_seconds=0.005) as log:
            while True:
                for _ in range(50):
                    decision = Decision(query_id="q", recommender="v1", seconds=0, **fields)
                    log.record(decision)
                    await asyncio.sleep(0)
                await log.give_feedback(Feedback(decision.id, 1))
                print(decision.id, flush=True)

asyncio.run(main())
"""


def test_what_was_flushed_survives_a_kill(spawn: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'decisions.sqlite'}"
    acknowledged: list[str] = []
    for _ in range(3):
        process = spawn(url, code=RECORDING)
        assert process.stdout is not None
        acknowledged += [process.stdout.readline().strip() for _ in range(10)]
        time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        rest, error = process.communicate(timeout=30)
        assert process.returncode == -signal.SIGKILL, error
        acknowledged += [line for line in rest.splitlines() if len(line) == 32]
        with DecisionStore.open(url, create=False) as store:
            rewards = {decision.id: reward for decision, reward in store.decisions()}
        assert all(rewards.get(each) == 1.0 for each in acknowledged)
        assert len(rewards) >= 50 * len(acknowledged)  # what was recorded before feedback is stored with it
