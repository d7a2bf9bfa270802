"""`prompt-oirl collect`: ask an LLM every query with every prompt, and keep what it answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prompt_oirl.cli import collect_options as given
from prompt_oirl.cli.options import AsJson, DataFolder, Seed

__all__ = ["collect"]


def collect(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run.", show_default=False)],
    queries: given.Queries = None,
    prompts: given.Prompts = None,
    dataset: given.DatasetName = None,
    part: given.QuestionPart = "all",
    data: DataFolder = None,
    model: given.Model = None,
    base_url: given.BaseUrl = "https://api.openai.com/v1",
    api_key_env: given.ApiKeyVariable = "OPENAI_API_KEY",
    local: given.LocalFolder = None,
    batch_size: given.BatchSize = 8,
    samples: given.Samples = 1,
    temperature: given.Temperature = None,
    top_p: given.TopP = None,
    max_answer_tokens: given.MaxAnswerTokens = None,
    sampling_seed: given.SamplingSeed = None,
    stop: given.Stop = None,
    extra: given.Extra = "{}",
    plan: given.PlanOnly = False,
    max_calls: given.MaxCalls = None,
    max_tokens: given.MaxTokens = None,
    max_usd: given.MaxUsd = None,
    prices: given.PriceList = None,
    tokenizer: given.TokenizerPath = None,
    concurrency: given.Concurrency = None,
    rpm: given.RequestsPerMinute = None,
    tpm: given.TokensPerMinute = None,
    timeout: given.Timeout = 120.0,
    max_attempts: given.MaxAttempts = 6,
    retry_failed: given.RetryFailed = False,
    strategy: given.StrategyName = "full",
    fraction: given.Fraction = 0.3,
    seed: Seed = 0,
    grader: given.GradeWith = None,
    store: given.StoreUrl = None,
    engine: given.EngineName = "here",
    scheduler: given.Scheduler = None,
    as_json: AsJson = False,
) -> None:
    """Ask an LLM every query with every prompt, and keep what it answers.

    The same command goes on where it was, and does nothing when all is there. Ctrl-C once finishes the calls that are
    under way, twice stops. The key comes from the environment; a server that needs none gets none. The exit code is 3
    where the budget ended it.

    Example: prompt-oirl collect --queries questions.jsonl --prompts prompts.yaml --model gpt-4o-mini --plan --out run/
    """
    from prompt_oirl.cli import collect_clients, collect_orders, collecting
    from prompt_oirl.collect.plan.budget import Budget
    from prompt_oirl.runs.configuration import SamplingParameters

    parameters = SamplingParameters(temperature, top_p, max_answer_tokens, sampling_seed, tuple(stop or ()), extra)
    order = collect_orders.order_of(
        collect_orders.configuration_of(model, base_url, local=local, parameters=parameters),
        *collect_orders.questions_and_prompts(
            queries, prompts, dataset=dataset, part=part, data=data, require_gold=grader is not None
        ),
        n_samples=samples,
        strategy=collect_orders.strategy_of(strategy, fraction=fraction, seed=seed, grader=grader),
        grader=grader,
        budget=Budget(max_calls, max_tokens, max_usd),
        prices=prices,
        tokenizer=tokenizer,
        retry_failed=retry_failed,
    )
    if plan:
        collecting.show_plan(order, out, store_url=store, as_json=as_json)
        return
    collector = collect_clients.collector_of(
        engine,
        collect_clients.settings_of(api_key_env, rpm=rpm, tpm=tpm, timeout=timeout, max_attempts=max_attempts),
        scheduler=scheduler,
        local=local,
        batch_size=batch_size,
        concurrency=concurrency,
    )
    collecting.exit_as(collecting.buy(order, out, collector, store_url=store, grader=grader, as_json=as_json))
