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
    from prompt_oirl.cli import collecting
    from prompt_oirl.collect.client.settings import ClientSettings
    from prompt_oirl.collect.plan.budget import Budget

    settings = ClientSettings(
        api_key_variable=api_key_env,
        timeout=timeout,
        max_attempts=max_attempts,
        requests_per_minute=rpm,
        tokens_per_minute=tpm,
    )
    ending = collecting.judge(
        run,
        collecting.critic_of(template, temperature=temperature, max_tokens=max_answer_tokens),
        collecting.client_maker(settings, local=local, batch_size=batch_size),
        budget=Budget(max_calls, max_tokens, max_usd),
        prices=prices,
        concurrency=collecting.slots(concurrency, local=local, batch_size=batch_size),
        retry_failed=retry_failed,
        as_json=as_json,
    )
    if ending != "done":
        raise typer.Exit({"budget": 3, "interrupted": 130}[ending])
