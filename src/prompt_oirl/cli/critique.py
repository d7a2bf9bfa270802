"""`prompt-oirl critique`: have the LLM judge its own stored answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prompt_oirl.cli import collect_options as given
from prompt_oirl.cli.options import AsJson

__all__ = ["critique"]


def critique(
    run: given.RunFolder,
    template: Annotated[
        Path | None,
        typer.Option("--template", help="Text file with {{query}} and {{answer}}: what the LLM is asked instead."),
    ] = None,
    temperature: Annotated[float, typer.Option("--temperature", help="Of the critiques.")] = 0.0,
    max_answer_tokens: Annotated[int, typer.Option("--max-answer-tokens", help="Longest critique.", min=1)] = 512,
    local: given.LocalFolder = None,
    batch_size: given.BatchSize = 8,
    api_key_env: given.ApiKeyVariable = "OPENAI_API_KEY",
    concurrency: given.Concurrency = None,
    rpm: given.RequestsPerMinute = None,
    tpm: given.TokensPerMinute = None,
    timeout: given.Timeout = 120.0,
    max_attempts: given.MaxAttempts = 6,
    max_calls: given.MaxCalls = None,
    max_tokens: given.MaxTokens = None,
    max_usd: given.MaxUsd = None,
    prices: given.PriceList = None,
    retry_failed: given.RetryFailed = False,
    as_json: AsJson = False,
) -> None:
    """Have the LLM judge its own stored answers, and compare choosing by that with the best single prompt.

    This is the paper's baseline LMSC. It needs the answers of all prompts and a call for each of them; the recommender
    needs neither. Caps count the whole run, its answers included.

    Example: prompt-oirl critique run/
    """
    from prompt_oirl.cli import collect_clients, collect_orders, collecting
    from prompt_oirl.collect.plan.budget import Budget

    settings = collect_clients.settings_of(api_key_env, rpm=rpm, tpm=tpm, timeout=timeout, max_attempts=max_attempts)
    ending = collecting.judge(
        run,
        collect_orders.critic_of(template, temperature=temperature, max_tokens=max_answer_tokens),
        collect_clients.client_maker(settings, local=local, batch_size=batch_size),
        budget=Budget(max_calls, max_tokens, max_usd),
        prices=prices,
        concurrency=collect_clients.slots(concurrency, local=local, batch_size=batch_size),
        retry_failed=retry_failed,
        as_json=as_json,
    )
    collecting.exit_as(ending)
