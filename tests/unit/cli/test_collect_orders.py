"""From options to an order, or to a critic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prompt_oirl.cli import collect_orders
from prompt_oirl.collect.critique.critic import Critic
from prompt_oirl.collect.order import Order
from prompt_oirl.collect.plan.budget import Budget
from prompt_oirl.collect.plan.prices import Price
from prompt_oirl.collect.strategies.protocol import FullGrid
from prompt_oirl.collect.strategies.random_cells import RandomFraction
from prompt_oirl.collect.strategies.uncertain import Uncertain
from prompt_oirl.errors import DataError, DataNotFoundError, ParameterError
from prompt_oirl.grading import ExactGrader, NumericGrader
from prompt_oirl.records import Prompt, Query, Question
from prompt_oirl.runs.configuration import RunConfiguration, SamplingParameters

QUESTIONS = (Question(Query("How many?"), "1"), Question(Query("How much?"), "plenty"))
PROMPTS = (Prompt.from_text("Think.", id="think"),)


def order_of(questions: tuple[Question, ...] = QUESTIONS, **options: Any) -> Order:
    given: dict[str, Any] = {
        "n_samples": 2,
        "strategy": FullGrid(),
        "grader": None,
        "budget": Budget(),
        "prices": None,
        "tokenizer": None,
        "retry_failed": True,
    }
    return collect_orders.order_of(RunConfiguration("m", "http://localhost/v1"), questions, PROMPTS, **given | options)


def test_an_order_is_what_was_asked_for(tmp_path: Path) -> None:
    prices = tmp_path / "prices.yaml"
    prices.write_text("m:\n  input: 1\n  output: 2\n", encoding="utf-8")
    order = order_of(QUESTIONS[:1], grader="numeric", prices=prices, budget=Budget(max_usd=1.0))
    assert order == Order(
        configuration=RunConfiguration("m", "http://localhost/v1"),
        questions=QUESTIONS[:1],
        prompts=PROMPTS,
        n_samples=2,
        grader=NumericGrader(),
        budget=Budget(max_usd=1.0),
        price=Price(1, 2),
        retry_failed=True,
    )


def test_an_orders_golds_can_be_read_by_its_grader() -> None:
    with pytest.raises(DataError, match=r"the grader 'numeric' cannot read 1 of 2 distinct gold answers.*'plenty'"):
        order_of(grader="numeric")
    assert order_of(grader="exact").grader == ExactGrader()
    assert order_of().grader is None


def test_one_llm_is_asked(tmp_path: Path) -> None:
    parameters = SamplingParameters(temperature=0.5)
    made = collect_orders.configuration_of("m", "http://localhost/v1/", local=None, parameters=parameters)
    assert made == RunConfiguration("m", "http://localhost/v1/", parameters)
    with pytest.raises(ParameterError, match="--model, or --local"):
        collect_orders.configuration_of(None, "http://localhost/v1", local=None, parameters=parameters)
    with pytest.raises(ParameterError, match="are two LLMs"):
        collect_orders.configuration_of("m", "http://localhost/v1", local=tmp_path, parameters=parameters)


def test_what_a_local_model_does_not_do_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="need a temperature"):
        collect_orders.configuration_of(None, "-", local=tmp_path / "missing", parameters=SamplingParameters(top_p=0.5))
    with pytest.raises(DataNotFoundError):
        collect_orders.configuration_of(None, "-", local=tmp_path / "missing", parameters=SamplingParameters())


def test_questions_and_prompts_come_from_files(tmp_path: Path) -> None:
    queries, prompts = tmp_path / "q.txt", tmp_path / "p.json"
    queries.write_text("What is 1?\nWhat is 2?\n", encoding="utf-8")
    prompts.write_text('[{"id": "a", "text": "Think."}]', encoding="utf-8")
    options: dict[str, Any] = {"dataset": None, "part": "all", "data": None, "require_gold": False}
    questions, prompt_set = collect_orders.questions_and_prompts(queries, prompts, **options)
    assert [each.query.text for each in questions] == ["What is 1?", "What is 2?"]
    assert [each.id for each in prompt_set] == ["a"]
    with pytest.raises(ParameterError, match="--prompts is missing"):
        collect_orders.questions_and_prompts(queries, None, **options)
    with pytest.raises(DataError, match="gold"):
        collect_orders.questions_and_prompts(queries, prompts, **options | {"require_gold": True})
    for given, dataset in ((None, None), (queries, "gsm8k")):
        with pytest.raises(ParameterError, match="either --queries or --dataset"):
            collect_orders.questions_and_prompts(given, prompts, **options | {"dataset": dataset})


@pytest.mark.real_logs
def test_a_data_set_comes_with_its_prompts(data_folder: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"dataset": "gsm8k", "part": "test", "data": data_folder, "require_gold": True}
    questions, prompts = collect_orders.questions_and_prompts(None, None, **options)
    assert len(questions) == 1000
    assert len(prompts) > 5
    own = tmp_path / "p.json"
    own.write_text('[{"id": "a", "text": "Think."}]', encoding="utf-8")
    assert len(collect_orders.questions_and_prompts(None, own, **options)[1]) == 1


def test_strategies_have_names() -> None:
    def strategy(name: str, grader: str | None = None) -> Any:
        return collect_orders.strategy_of(name, fraction=0.2, seed=3, grader=grader)

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
    price = collect_orders.price_of("m", prices, budget=Budget(max_usd=1.0))
    assert price is not None
    assert (price.input, price.output) == (1, 2)
    assert collect_orders.price_of("m", None, budget=Budget()) is None
    with pytest.raises(ParameterError, match="price"):
        collect_orders.price_of("other", prices, budget=Budget(max_usd=1.0))


def test_a_critics_template_is_the_users(tmp_path: Path) -> None:
    assert collect_orders.critic_of(None, temperature=0.5, max_tokens=9) == Critic(temperature=0.5, max_tokens=9)
    template = tmp_path / "critic.txt"
    template.write_text("{{query}} {{answer}}?", encoding="utf-8")
    assert collect_orders.critic_of(template, temperature=0.0, max_tokens=9).template == "{{query}} {{answer}}?"
    template.write_text("{{query}}?", encoding="utf-8")
    with pytest.raises(DataError, match="answer"):
        collect_orders.critic_of(template, temperature=0.0, max_tokens=9)
