"""From an order to what is stored, printed and returned to the shell."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from prompt_oirl.cli import collecting
from prompt_oirl.cli.files import open_run
from prompt_oirl.cli.render_runs import say_that_it_drains
from prompt_oirl.collect.client.concurrency import AdaptiveConcurrency
from prompt_oirl.collect.client.protocol import LLMClient
from prompt_oirl.collect.collected import Collected
from prompt_oirl.collect.critique.critic import Critic
from prompt_oirl.collect.order import Order
from prompt_oirl.collect.plan.budget import Budget
from prompt_oirl.grading import get_grader
from prompt_oirl.records import Message, Prompt, Query, Question
from prompt_oirl.runs.configuration import RunConfiguration, SamplingParameters
from prompt_oirl.runs.outcomes import Completion, Outcome
from prompt_oirl.runs.run import Run

CONFIGURATION = RunConfiguration("m", "http://127.0.0.1:1/v1")
NAMES = ("Ann", "Ben", "Cem", "Dora", "Eve", "Finn", "Gil", "Hana")
QUESTIONS = tuple(
    Question(Query(f"{name} has {n} pens and buys {n}. How many?"), str(2 * n)) for n, name in enumerate(NAMES)
)
PROMPTS = (Prompt.from_text("Think.", id="think"), Prompt.from_text("Be brief.", id="brief"))


@dataclass
class EchoClient(LLMClient):
    """Answers 4, and judges what it answered as right; `on_call` is called with the number of each call."""

    on_call: Callable[[int], None] = lambda number: None
    n_calls: int = 0

    async def check(self) -> None: ...

    async def complete(self, messages: Sequence[Message], parameters: SamplingParameters) -> Outcome:
        self.n_calls += 1
        self.on_call(self.n_calls)
        text = "Verdict: correct\nProbability: 80%" if "Verdict" in messages[-1].content else "4"
        return Completion(text, "m", "stop", 10, 1)

    async def close(self) -> None: ...


def order(**fields: Any) -> Order:
    return Order(**{"configuration": CONFIGURATION, "questions": QUESTIONS, "prompts": PROMPTS} | fields)


def buy(out: Path, client: LLMClient, *, grader: str | None = None, as_json: bool = False, **fields: Any) -> str:
    async def collect(ordered: Order, run: Run) -> Collected:
        return await ordered.collect(run.store, client, concurrency=AdaptiveConcurrency(2), on_drain=say_that_it_drains)

    return collecting.buy(
        order(grader=None if grader is None else get_grader(grader), **fields),
        out,
        collect,
        store_url=None,
        grader=grader,
        as_json=as_json,
    )


def test_a_plan_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    collecting.show_plan(order(), tmp_path / "run", store_url=None, as_json=False)
    assert "Calls to come: 16" in capsys.readouterr().out
    assert not (tmp_path / "run").exists()
    collecting.show_plan(order(), tmp_path / "run", store_url="postgresql://me:sesame@h/d", as_json=True)
    record = json.loads(capsys.readouterr().out)
    assert (record["to_come"], record["store"]) == (16, "postgresql://me@h/d")


def test_what_is_bought_is_printed_with_the_next_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, client = tmp_path / "run", EchoClient()
    assert buy(out, client, budget=Budget(max_calls=6)) == "budget"
    assert "The budget is reached (max_calls=6" in capsys.readouterr().out
    assert buy(out, client) == "done"
    said = capsys.readouterr().out
    assert "Done: 10 calls made." in said
    assert f"Next: prompt-oirl grade {out} --grader numeric, then prompt-oirl train" in said
    assert buy(out, client, grader="numeric") == "done"
    said = capsys.readouterr().out
    assert "All is there: no call was made." in said
    assert "16 answers graded with numeric" in said
    assert f"Next: prompt-oirl train {out}" in said
    assert client.n_calls == 16
    collecting.show_plan(order(), out, store_url=None, as_json=False)
    assert "Calls to come: 0" in capsys.readouterr().out


def test_json_is_all_there_is_on_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert buy(tmp_path / "run", EchoClient(), grader="numeric", as_json=True) == "done"
    record = json.loads(capsys.readouterr().out)
    assert (record["ending"], record["n_calls"], record["run"]) == ("done", 16, str(tmp_path / "run"))
    assert record["grading"]["n_answers"] == 16


def test_ctrl_c_once_drains_and_twice_ends_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def press(*numbers: int) -> Callable[[int], None]:
        return lambda number: os.kill(os.getpid(), signal.SIGINT) if number in numbers else None

    out = tmp_path / "run"
    assert buy(out, EchoClient(press(3))) == "interrupted"
    said = capsys.readouterr()
    assert "Stopped after" in said.out
    assert said.err.startswith("stopping: waiting for the calls under way")

    class Hanging(EchoClient):
        async def complete(self, messages: Sequence[Message], parameters: SamplingParameters) -> Outcome:
            import asyncio

            await super().complete(messages, parameters)
            await asyncio.sleep(0.05)
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(60)
            raise AssertionError("it was cancelled")

    with pytest.raises(KeyboardInterrupt):
        buy(out, Hanging())
    with open_run(out) as run:
        states = list(run.store.states().values())
    assert "claimed" not in states
    assert states.count("answered") < len(QUESTIONS) * len(PROMPTS)
    assert buy(out, EchoClient()) == "done"


def test_answers_are_judged_and_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, client = tmp_path / "run", EchoClient()
    buy(out, client, grader="numeric")

    def judge(**fields: Any) -> str:
        options: dict[str, Any] = {
            "budget": Budget(),
            "prices": None,
            "concurrency": 2,
            "retry_failed": False,
            "as_json": False,
        }
        return collecting.judge(out, Critic(), lambda *_: client, **options | fields)

    capsys.readouterr()
    assert judge(budget=Budget(max_calls=20)) == "budget"
    said = capsys.readouterr().out
    assert "The budget is reached" in said
    assert "LMSC" not in said
    assert judge() == "done"
    said = capsys.readouterr().out
    assert "most confident answer (LMSC)" in said
    n_calls = client.n_calls
    assert judge(as_json=True) == "done"
    record = json.loads(capsys.readouterr().out)
    assert (record["n_calls"], client.n_calls) == (0, n_calls)
    assert record["evaluation"]["critiques"]["n_parsed"] == 16


def test_how_it_ended_is_the_exit_code() -> None:
    collecting.exit_as("done")
    for ending, code in (("budget", 3), ("interrupted", 130)):
        with pytest.raises(typer.Exit) as ended:
            collecting.exit_as(ending)  # type: ignore[arg-type]
        assert ended.value.exit_code == code
