"""From the options of `collect` to an order, and from an order to what is printed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from rich.text import Text

from prompt_oirl.cli.files import STORE_VARIABLE, open_run
from prompt_oirl.cli.render import error_console, print_json
from prompt_oirl.cli.render_runs import (
    collecting_progress,
    print_collected,
    print_critique,
    print_plan,
    print_regrading,
)
from prompt_oirl.collect.client.concurrency import AdaptiveConcurrency
from prompt_oirl.collect.client.protocol import LLMClient
from prompt_oirl.collect.client.settings import ClientSettings
from prompt_oirl.collect.cluster.shards import Shards
from prompt_oirl.collect.collected import Collected
from prompt_oirl.collect.critique.critic import Critic
from prompt_oirl.collect.critique.evaluation import evaluate_critique
from prompt_oirl.collect.critique.judging import judge_answers
from prompt_oirl.collect.engine import Ending
from prompt_oirl.collect.local.checkpoint import local_base_url
from prompt_oirl.collect.local.client import LocalClient
from prompt_oirl.collect.local.decoding import check_local_parameters
from prompt_oirl.collect.order import Order
from prompt_oirl.collect.plan.budget import Budget
from prompt_oirl.collect.plan.prices import Price, PriceFile
from prompt_oirl.collect.plan.tokens import TokenCounter, counter_for
from prompt_oirl.collect.session import ledger_of
from prompt_oirl.collect.strategies.protocol import FullGrid, Strategy
from prompt_oirl.collect.strategies.random_cells import RandomFraction
from prompt_oirl.collect.strategies.uncertain import Uncertain
from prompt_oirl.errors import ParameterError
from prompt_oirl.grading import Grader, get_grader
from prompt_oirl.prompts import read_prompts
from prompt_oirl.records import Prompt, Question
from prompt_oirl.runs.configuration import RunConfiguration, SamplingParameters
from prompt_oirl.runs.grading import grade_run
from prompt_oirl.runs.run import Run, is_run
from prompt_oirl.runs.store_url import parse_store_url, without_password
from prompt_oirl.sources.queries import named_questions, read_queries, release_prompt_set
from prompt_oirl.sources.text_file import read_text

__all__ = [
    "ClientMaker",
    "Collector",
    "buy",
    "client_maker",
    "collector_of",
    "configuration_of",
    "critic_of",
    "grader_of",
    "judge",
    "price_of",
    "questions_and_prompts",
    "show_plan",
    "slots",
    "strategy_of",
]

_CONCURRENCY = 16
_ENGINES = ("here", "dask")
_STRATEGIES = ("full", "random", "random-cells", "uncertain")

_T = TypeVar("_T")

ClientMaker = Callable[[RunConfiguration, AdaptiveConcurrency, TokenCounter], LLMClient]
Collector = Callable[[Order, Run], Coroutine[Any, Any, Collected]]


def configuration_of(
    model: str | None, base_url: str, *, local: Path | None, parameters: SamplingParameters
) -> RunConfiguration:
    """Return which LLM is asked: a server's model, or a checkpoint folder."""
    if local is not None:
        if model is not None:
            raise ParameterError(f"--model {model} and --local {local} are two LLMs; give one of them")
        check_local_parameters(parameters)
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


def slots(concurrency: int | None, *, local: Path | None, batch_size: int) -> int:
    """Return how many calls may be in flight: for a local model a batch that is answered, and one that waits."""
    return concurrency or (_CONCURRENCY if local is None else 2 * batch_size)


def client_maker(settings: ClientSettings, *, local: Path | None, batch_size: int) -> ClientMaker:
    """Return what makes the client, once the order is known and the event loop runs."""

    def make(configuration: RunConfiguration, concurrency: AdaptiveConcurrency, counter: TokenCounter) -> LLMClient:
        _check_place(configuration, local)
        if local is not None:
            check_local_parameters(configuration.parameters)
            return LocalClient(local, batch_size=batch_size)
        return settings.client(
            configuration, concurrency=concurrency, count_tokens=counter.count, on_warning=say_warning
        )

    return make


def _check_place(configuration: RunConfiguration, local: Path | None) -> None:
    """Raise if the run's LLM is a checkpoint and another one, or none, is given, or a server's and one is given."""
    place = configuration.base_url
    if local is None and place.startswith("local:"):
        raise ParameterError(f"the run's LLM {configuration.model} is a checkpoint; name its folder with --local")
    if local is not None and local_base_url(local) != place:
        raise ParameterError(f"{local} is not the run's LLM, which is {configuration.model} at {place}")


def show_plan(order: Order, out: Path, *, store_url: str | None, as_json: bool) -> None:
    """Print what would be bought; nothing is made, stored or asked."""
    if is_run(out):
        with open_run(out) as run:
            if run.store.has_begun:
                run.store.check_same(order.configuration)
            plan, estimate = order.plan(run.store)
    else:
        plan, estimate = order.plan(None)
    if as_json:
        shown = None if store_url is None else without_password(parse_store_url(store_url))
        print_json(plan.to_dict(estimate) | {"expected_fraction": order.strategy.fraction, "store": shown})
    else:
        print_plan(plan, estimate, order.budget, fraction=order.strategy.fraction)


def buy(
    order: Order,
    out: Path,
    collect: Collector,
    *,
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
        if run.store.is_local:
            Shards.of(run.folder).merge(run.store)
        collected = _run(collect(order, run))
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


def collector_of(
    engine: str,
    settings: ClientSettings,
    *,
    scheduler: str | None,
    local: Path | None,
    batch_size: int,
    concurrency: int,
) -> Collector:
    """Return what collects: this process, or a Dask cluster."""
    if engine not in _ENGINES:
        raise ParameterError(f"there is no engine {engine!r}; use one of {', '.join(_ENGINES)}")
    if (engine == "dask") != (scheduler is not None):
        raise ParameterError("--engine dask and --scheduler go together: the address of Dask's, tcp://host:8786")
    if scheduler is None:
        return _here(client_maker(settings, local=local, batch_size=batch_size), concurrency)
    if local is not None:
        raise ParameterError(
            f"--local {local} is loaded in this process and not by Dask's workers; serve the checkpoint with an "
            "OpenAI-compatible server, and give --base-url"
        )
    return _on_dask(scheduler, settings, concurrency)


def _here(make_client: ClientMaker, concurrency: int) -> Collector:
    async def collect(order: Order, run: Run) -> Collected:
        slots = AdaptiveConcurrency(concurrency)
        client = make_client(order.configuration, slots, order.counter(run.store))
        with collecting_progress() as show:
            return await order.collect(
                run.store, client, concurrency=slots, on_progress=show, on_drain=say_that_it_drains
            )

    return collect


def _on_dask(scheduler: str, settings: ClientSettings, concurrency: int) -> Collector:
    from prompt_oirl.collect.cluster.engine import collect_on_dask

    async def collect(order: Order, run: Run) -> Collected:
        with collecting_progress() as show:
            return await collect_on_dask(
                order,
                run,
                scheduler=scheduler,
                settings=settings,
                concurrency=concurrency,
                on_progress=show,
                on_drain=say_that_it_drains,
                on_warning=say_warning,
            )

    return collect


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
        adaptive = AdaptiveConcurrency(concurrency)

        async def judging() -> Collected:
            counter = counter_for()
            ledger = ledger_of(
                run.store, budget=budget, price=price, counter=counter, max_answer_tokens=critic.max_tokens
            )
            client = make_client(critic.configuration(configuration), adaptive, counter)
            with collecting_progress() as show:
                return await judge_answers(
                    run.store,
                    critic,
                    client,
                    ledger,
                    concurrency=adaptive,
                    retry_failed=retry_failed,
                    on_progress=show,
                    on_drain=say_that_it_drains,
                )

        collected = _run(judging())
        if not as_json:
            print_collected(collected)  # first: a run without grades cannot be evaluated
        evaluation = evaluate_critique(run.store) if collected.ending == "done" else None
    if as_json:
        print_json(collected.to_dict() | {"evaluation": evaluation and evaluation.to_dict()})
    elif evaluation is not None:
        print_critique(evaluation)
    return collected.ending


def _run(work: Coroutine[Any, Any, _T]) -> _T:
    """Run it to its end; where a second Ctrl-C cancels it, that ends the command as anywhere else."""
    try:
        return asyncio.run(work)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def say_warning(message: str) -> None:
    """Say on standard error what looks wrong, though calls may succeed."""
    error_console().print(Text.assemble(("warning:", "bold yellow"), " ", message))


def say_that_it_drains() -> None:
    """Say what the first Ctrl-C waits for."""
    error_console().print("stopping: waiting for the calls under way; press Ctrl-C again to stop at once")
