"""From options to an order, and from an order to what is printed."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from prompt_oirl.cli import collecting
from prompt_oirl.cli.files import open_run
from prompt_oirl.collect.client.concurrency import AdaptiveConcurrency
from prompt_oirl.collect.client.openai_client import OpenAIClient
from prompt_oirl.collect.client.protocol import LLMClient
from prompt_oirl.collect.client.settings import ClientSettings
from prompt_oirl.collect.collected import Collected
from prompt_oirl.collect.critique.critic import Critic
from prompt_oirl.collect.order import Order
from prompt_oirl.collect.plan.budget import Budget
from prompt_oirl.collect.plan.tokens import CharacterCounter
from prompt_oirl.collect.strategies.protocol import FullGrid
from prompt_oirl.collect.strategies.random_cells import RandomFraction
from prompt_oirl.collect.strategies.uncertain import Uncertain
from prompt_oirl.errors import DataError, DataNotFoundError, ParameterError
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
        return await ordered.collect(
            run.store, client, concurrency=AdaptiveConcurrency(2), on_drain=collecting.say_that_it_drains
        )

    return collecting.buy(
        order(grader=collecting.grader_of(grader), **fields),
        out,
        collect,
        store_url=None,
        grader=grader,
        as_json=as_json,
    )


def test_one_llm_is_asked(tmp_path: Path) -> None:
    parameters = SamplingParameters(temperature=0.5)
    made = collecting.configuration_of("m", "http://localhost/v1/", local=None, parameters=parameters)
    assert made == RunConfiguration("m", "http://localhost/v1/", parameters)
    with pytest.raises(ParameterError, match="--model, or --local"):
        collecting.configuration_of(None, "http://localhost/v1", local=None, parameters=parameters)
    with pytest.raises(ParameterError, match="are two LLMs"):
        collecting.configuration_of("m", "http://localhost/v1", local=tmp_path, parameters=parameters)


def test_what_a_local_model_does_not_do_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="need a temperature"):
        collecting.configuration_of(None, "-", local=tmp_path / "missing", parameters=SamplingParameters(top_p=0.5))
    with pytest.raises(DataNotFoundError):
        collecting.configuration_of(None, "-", local=tmp_path / "missing", parameters=SamplingParameters())


def test_slots_are_two_batches_for_a_local_model_unless_given(tmp_path: Path) -> None:
    assert collecting.slots(None, local=None, batch_size=8) == 16
    assert collecting.slots(None, local=tmp_path, batch_size=3) == 6
    assert collecting.slots(5, local=tmp_path, batch_size=3) == 5


def test_questions_and_prompts_come_from_files(tmp_path: Path) -> None:
    queries, prompts = tmp_path / "q.txt", tmp_path / "p.json"
    queries.write_text("What is 1?\nWhat is 2?\n", encoding="utf-8")
    prompts.write_text('[{"id": "a", "text": "Think."}]', encoding="utf-8")
    options: dict[str, Any] = {"dataset": None, "part": "all", "data": None, "require_gold": False}
    questions, prompt_set = collecting.questions_and_prompts(queries, prompts, **options)
    assert [each.query.text for each in questions] == ["What is 1?", "What is 2?"]
    assert [each.id for each in prompt_set] == ["a"]
    with pytest.raises(ParameterError, match="--prompts is missing"):
        collecting.questions_and_prompts(queries, None, **options)
    with pytest.raises(DataError, match="gold"):
        collecting.questions_and_prompts(queries, prompts, **options | {"require_gold": True})
    for given, dataset in ((None, None), (queries, "gsm8k")):
        with pytest.raises(ParameterError, match="either --queries or --dataset"):
            collecting.questions_and_prompts(given, prompts, **options | {"dataset": dataset})


@pytest.mark.real_logs
def test_a_data_set_comes_with_its_prompts(data_folder: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"dataset": "gsm8k", "part": "test", "data": data_folder, "require_gold": True}
    questions, prompts = collecting.questions_and_prompts(None, None, **options)
    assert len(questions) == 1000
    assert len(prompts) > 5
    own = tmp_path / "p.json"
    own.write_text('[{"id": "a", "text": "Think."}]', encoding="utf-8")
    assert len(collecting.questions_and_prompts(None, own, **options)[1]) == 1


def test_strategies_have_names() -> None:
    def strategy(name: str, grader: str | None = None) -> Any:
        return collecting.strategy_of(name, fraction=0.2, seed=3, grader=grader)

    assert strategy("full") == FullGrid()
    assert strategy("random") == RandomFraction(0.2, seed=3)
    assert strategy("random-cells") == RandomFraction(0.2, seed=3, whole_queries=False)
    assert strategy("uncertain", "numeric") == Uncertain(0.2, seed=3)
    with pytest.raises(ParameterError, match="give a --grader"):
        strategy("uncertain")
    with pytest.raises(ParameterError, match="'rnd'; use one of full, random, random-cells, uncertain"):
        strategy("rnd")


def test_a_price_is_of_the_model(tmp_path: Path) -> None:
    prices = tmp_path / "prices.yaml"
    prices.write_text("m:\n  input: 1\n  output: 2\n", encoding="utf-8")
    price = collecting.price_of("m", prices, budget=Budget(max_usd=1.0))
    assert price is not None
    assert (price.input, price.output) == (1, 2)
    assert collecting.price_of("m", None, budget=Budget()) is None
    with pytest.raises(ParameterError, match="price"):
        collecting.price_of("other", prices, budget=Budget(max_usd=1.0))


async def test_the_client_is_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    make = collecting.client_maker(ClientSettings(), local=None, batch_size=8)
    client = make(CONFIGURATION, AdaptiveConcurrency(1), CharacterCounter())
    assert isinstance(client, OpenAIClient)
    await client.close()
    with pytest.raises(ParameterError, match="name its folder with --local"):
        make(RunConfiguration("llama", "local:0123456789abcdef"), AdaptiveConcurrency(1), CharacterCounter())

    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    make = collecting.client_maker(ClientSettings(), local=tmp_path, batch_size=8)
    with pytest.raises(ParameterError, match="is not the run's LLM, which is m at http"):
        make(CONFIGURATION, AdaptiveConcurrency(1), CharacterCounter())
    own = collecting.configuration_of(None, "-", local=tmp_path, parameters=SamplingParameters())
    assert "LocalClient" in repr(make(own, AdaptiveConcurrency(1), CharacterCounter()))
    sampled = RunConfiguration(own.model, own.base_url, SamplingParameters(top_p=0.5))
    with pytest.raises(ParameterError, match="need a temperature"):
        make(sampled, AdaptiveConcurrency(1), CharacterCounter())


def test_a_warning_is_shown_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    collecting.say_warning("the server lists [red]other[/b] models")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "warning: the server lists [red]other[/b] models\n"


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
        assert set(run.store.states().values()) == {"answered", "planned"}
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


def test_a_critics_template_is_the_users(tmp_path: Path) -> None:
    assert collecting.critic_of(None, temperature=0.5, max_tokens=9) == Critic(temperature=0.5, max_tokens=9)
    template = tmp_path / "critic.txt"
    template.write_text("{{query}} {{answer}}?", encoding="utf-8")
    assert collecting.critic_of(template, temperature=0.0, max_tokens=9).template == "{{query}} {{answer}}?"
    template.write_text("{{query}}?", encoding="utf-8")
    with pytest.raises(DataError, match="answer"):
        collecting.critic_of(template, temperature=0.0, max_tokens=9)


def test_engines_have_names(tmp_path: Path) -> None:
    def collector(engine: str, scheduler: str | None = None, local: Path | None = None) -> Any:
        return collecting.collector_of(
            engine, ClientSettings(), scheduler=scheduler, local=local, batch_size=8, concurrency=4
        )

    assert callable(collector("here"))
    assert callable(collector("dask", "tcp://127.0.0.1:1"))
    with pytest.raises(ParameterError, match="'ray'; use one of here, dask"):
        collector("ray")
    for engine, scheduler in (("dask", None), ("here", "tcp://127.0.0.1:1")):
        with pytest.raises(ParameterError, match="go together"):
            collector(engine, scheduler)
    with pytest.raises(ParameterError, match="not by Dask's workers"):
        collector("dask", "tcp://127.0.0.1:1", tmp_path)
