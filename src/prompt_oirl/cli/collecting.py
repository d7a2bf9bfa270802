"""Plan, buy or judge, and print what came of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import typer

from prompt_oirl.cli.collect_clients import ClientMaker, Collector
from prompt_oirl.cli.collect_orders import price_of
from prompt_oirl.cli.files import STORE_VARIABLE, open_run
from prompt_oirl.cli.render import print_json
from prompt_oirl.cli.render_runs import (
    collecting_progress,
    print_collected,
    print_critique,
    print_plan,
    print_regrading,
    say_that_it_drains,
)
from prompt_oirl.collect.client.concurrency import AdaptiveConcurrency
from prompt_oirl.collect.cluster.shards import Shards
from prompt_oirl.collect.collected import Collected
from prompt_oirl.collect.critique.critic import Critic
from prompt_oirl.collect.critique.evaluation import evaluate_critique
from prompt_oirl.collect.critique.judging import judge_answers
from prompt_oirl.collect.engine import Ending
from prompt_oirl.collect.order import Order
from prompt_oirl.collect.plan.budget import Budget
from prompt_oirl.collect.plan.tokens import counter_for
from prompt_oirl.collect.session import ledger_of
from prompt_oirl.runs.grading import grade_run
from prompt_oirl.runs.run import Run, is_run
from prompt_oirl.stores.store_url import parse_store_url, without_password

__all__ = ["buy", "exit_as", "judge", "show_plan"]

_EXIT_CODES: dict[Ending, int] = {"budget": 3, "interrupted": 130}

_T = TypeVar("_T")


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


def exit_as(ending: Ending) -> None:
    """End the command with its own exit code where a collection ended before it was done."""
    if ending != "done":
        raise typer.Exit(_EXIT_CODES[ending])


def _run(work: Coroutine[Any, Any, _T]) -> _T:
    """Run it to its end; where a second Ctrl-C cancels it, that ends the command as anywhere else."""
    try:
        return asyncio.run(work)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
