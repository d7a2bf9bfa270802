"""From the options of `collect` to an order, and from an order to what is printed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from prompt_oirl.cli.files import STORE_VARIABLE, open_run
from prompt_oirl.cli.render import error_console, print_json
from prompt_oirl.cli.render_runs import (
    collecting_progress,
    print_collected,
    print_critique,
    print_plan,
    print_regrading,
)
from prompt_oirl.collect.budget import Budget
from prompt_oirl.collect.client import OpenAIClient
from prompt_oirl.collect.collected import Collected
from prompt_oirl.collect.concurrency import AdaptiveConcurrency
from prompt_oirl.collect.critique import Critic
from prompt_oirl.collect.critique_evaluation import evaluate_critique
from prompt_oirl.collect.engine import Ending
from prompt_oirl.collect.judging import judge_answers
from prompt_oirl.collect.local_checkpoint import local_base_url
from prompt_oirl.collect.local_client import LocalClient
from prompt_oirl.collect.order import Order
from prompt_oirl.collect.prices import Price, PriceFile
from prompt_oirl.collect.protocol import LLMClient
from prompt_oirl.collect.random_cells import RandomFraction
from prompt_oirl.collect.rates import RateLimits
from prompt_oirl.collect.session import ledger_of
from prompt_oirl.collect.strategies import FullGrid, Strategy
from prompt_oirl.collect.tokens import TokenCounter, counter_for
from prompt_oirl.collect.uncertain import Uncertain
from prompt_oirl.errors import ParameterError
from prompt_oirl.grading import Grader, get_grader
from prompt_oirl.prompts import read_prompts
from prompt_oirl.records import Prompt, Question
from prompt_oirl.runs.configuration import RunConfiguration, SamplingParameters
from prompt_oirl.runs.grading import grade_run
from prompt_oirl.runs.run import Run, is_run
from prompt_oirl.sources.queries import named_questions, read_queries, release_prompt_set
from prompt_oirl.sources.text_file import read_text

__all__ = [
    "ClientMaker",
    "buy",
    "client_maker",
    "configuration_of",
    "critic_of",
    "grader_of",
    "judge",
    "price_of",
    "questions_and_prompts",
    "show_plan",
    "strategy_of",
]

_STRATEGIES = ("full", "random", "random-cells", "uncertain")

ClientMaker = Callable[[RunConfiguration, AdaptiveConcurrency, TokenCounter], LLMClient]


def configuration_of(
    model: str | None, base_url: str, *, local: Path | None, parameters: SamplingParameters
) -> RunConfiguration:
    """Return which LLM is asked: a server's model, or a checkpoint folder."""
    if local is not None:
        if model is not None:
            raise ParameterError(f"--model {model} and --local {local} are two LLMs; give one of them")
        return RunConfiguration(local.resolve().name, local_base_url(local), parameters)
    if model is None:
        raise ParameterError("which LLM is to be asked? Give --model, or --local with a checkpoint folder")
    return RunConfiguration(model, base_url, parameters)


def questions_and_prompts(
    queries: Path | None,
    prompts: Path | None,
    *,
    dataset: str | None,
    part: str,
    data: Path | None,
    require_gold: bool,
) -> tuple[tuple[Question, ...], tuple[Prompt, ...]]:
    """Read what is asked and how: from files, or from a data set of the paper."""
    if (queries is None) == (dataset is None):
        raise ParameterError("either --queries or --dataset says what is asked; give one of them")
    if dataset is not None:
        questions = named_questions(dataset, data, part=part)  # type: ignore[arg-type]  # it checks both
        return questions, release_prompt_set(dataset, data) if prompts is None else read_prompts(prompts)  # type: ignore[arg-type]
    if prompts is None or queries is None:
        raise ParameterError("--prompts is missing: a prompt set, .yaml or .json, says how the queries are asked")
    return read_queries(queries, require_gold=require_gold), read_prompts(prompts)


def strategy_of(name: str, *, fraction: float, seed: int, grader: str | None) -> Strategy:
    """Return the strategy of that name."""
    if name == "uncertain" and grader is None:
        raise ParameterError("--strategy uncertain learns from what it has bought; give a --grader")
    if name == "full":
        return FullGrid()
    if name == "uncertain":
        return Uncertain(fraction, seed=seed)
    if name in _STRATEGIES:
        return RandomFraction(fraction, seed=seed, whole_queries=name == "random")
    raise ParameterError(f"there is no strategy {name!r}; use one of {', '.join(_STRATEGIES)}")


def grader_of(name: str | None) -> Grader | None:
    """Return the grader of that name, if one is named."""
    return None if name is None else get_grader(name)


def price_of(model: str, prices: Path | None, *, budget: Budget) -> Price | None:
    """Return the model's price, None where it is not known and no cap needs it."""
    return budget.price_of(model, None if prices is None else PriceFile.read(prices))


def client_maker(
    *,
    local: Path | None,
    batch_size: int,
    api_key_variable: str,
    timeout: float,
    max_attempts: int,
    rpm: float | None,
    tpm: float | None,
) -> ClientMaker:
    """Return what makes the client, once the order is known and the event loop runs."""

    def make(configuration: RunConfiguration, concurrency: AdaptiveConcurrency, counter: TokenCounter) -> LLMClient:
        if local is not None:
            return LocalClient(local, batch_size=batch_size)
        answer = configuration.parameters.max_tokens or 0
        return OpenAIClient(
            configuration.model,
            configuration.base_url,
            api_key_variable=api_key_variable,
            timeout=timeout,
            max_attempts=max_attempts,
            concurrency=concurrency,
            rates=RateLimits(requests_per_minute=rpm, tokens_per_minute=tpm),
            count_tokens=lambda messages: counter.count(messages) + answer,
        )

    return make


def show_plan(order: Order, out: Path, *, store_url: str | None, as_json: bool) -> None:
    """Print what would be bought; nothing is made, stored or asked."""
    if is_run(out):
        with open_run(out) as run:
            run.store.check_same(order.configuration)
            plan, estimate = order.plan(run.store)
    else:
        plan, estimate = order.plan(None)
    if as_json:
        print_json(plan.to_dict(estimate) | {"store": store_url})
    else:
        print_plan(plan, estimate, order.budget)


def buy(
    order: Order,
    out: Path,
    make_client: ClientMaker,
    *,
    concurrency: int,
    store_url: str | None,
    grader: str | None,
    as_json: bool,
) -> Ending:
    """Collect, grade what is there if a grader is named, and print how it ended."""
    environment_url = os.environ.get(STORE_VARIABLE)
    with (
        Run.create_or_open(out, order.configuration, store_url=store_url, environment_url=environment_url) as run,
        run.lock(),
    ):
        collected = asyncio.run(_collect(order, run, make_client, AdaptiveConcurrency(concurrency)))
        regrading = None
        if grader is not None and order.grader is not None and collected.spending.answered:
            regrading = grade_run(run.store, order.grader, grader)
    if as_json:
        print_json(collected.to_dict() | {"run": str(out), "grading": regrading and regrading.to_dict()})
    else:
        train = f"prompt-oirl train {out} --out recommender/"
        print_collected(
            collected, next_step=train if regrading else f"prompt-oirl grade {out} --grader numeric, then {train}"
        )
        if regrading is not None:
            print_regrading(regrading)
    return collected.ending


async def _collect(order: Order, run: Run, make_client: ClientMaker, concurrency: AdaptiveConcurrency) -> Collected:
    client = make_client(order.configuration, concurrency, order.counter(run.store))
    with collecting_progress() as show:
        return await order.collect(
            run.store, client, concurrency=concurrency, on_progress=show, on_drain=say_that_it_drains
        )


def critic_of(template: Path | None, *, temperature: float, max_tokens: int) -> Critic:
    """Return how answers are to be judged, by a template of the user's if there is one."""
    if template is None:
        return Critic(temperature=temperature, max_tokens=max_tokens)
    return Critic(read_text(template), temperature, max_tokens)


def judge(
    folder: Path,
    critic: Critic,
    make_client: ClientMaker,
    *,
    budget: Budget,
    prices: Path | None,
    concurrency: int,
    retry_failed: bool,
    as_json: bool,
) -> Ending:
    """Have a run's answers judged, and print what choosing by that is worth."""
    with open_run(folder) as run, run.lock():
        configuration = run.store.configuration
        price = price_of(configuration.model, prices, budget=budget)
        slots = AdaptiveConcurrency(concurrency)

        async def judging() -> Collected:
            counter = counter_for()
            ledger = ledger_of(
                run.store, budget=budget, price=price, counter=counter, max_answer_tokens=critic.max_tokens
            )
            client = make_client(critic.configuration(configuration), slots, counter)
            with collecting_progress() as show:
                return await judge_answers(
                    run.store,
                    critic,
                    client,
                    ledger,
                    concurrency=slots,
                    retry_failed=retry_failed,
                    on_progress=show,
                    on_drain=say_that_it_drains,
                )

        collected = asyncio.run(judging())
        evaluation = evaluate_critique(run.store) if collected.ending == "done" else None
    if as_json:
        print_json(collected.to_dict() | {"evaluation": evaluation and evaluation.to_dict()})
    else:
        print_collected(collected)
        if evaluation is not None:
            print_critique(evaluation)
    return collected.ending


def say_that_it_drains() -> None:
    """Say what the first Ctrl-C waits for."""
    error_console().print("stopping: waiting for the calls under way; press Ctrl-C again to stop at once")
