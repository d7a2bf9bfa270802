"""The options of `prompt-oirl collect`, by what they are about."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "ApiKeyVariable",
    "BaseUrl",
    "Concurrency",
    "DatasetName",
    "EngineName",
    "Extra",
    "Fraction",
    "GradeWith",
    "LocalFolder",
    "MaxAnswerTokens",
    "MaxAttempts",
    "MaxCalls",
    "MaxTokens",
    "MaxUsd",
    "Model",
    "PlanOnly",
    "PriceList",
    "Prompts",
    "Queries",
    "QuestionPart",
    "RequestsPerMinute",
    "RetryFailed",
    "RunFolder",
    "Samples",
    "SamplingSeed",
    "Scheduler",
    "Stop",
    "StoreUrl",
    "StrategyName",
    "Temperature",
    "Timeout",
    "TokenizerPath",
    "TokensPerMinute",
    "TopP",
]

RunFolder = Annotated[Path, typer.Argument(help="A run that `collect` made.", show_default=False)]

Queries = Annotated[
    Path | None,
    typer.Option("--queries", "-q", help="Queries: .jsonl, .csv or .parquet with query and gold, or .txt, one a line."),
]
Prompts = Annotated[Path | None, typer.Option("--prompts", "-p", help="Prompt set: .yaml or .json.")]
DatasetName = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        help="Instead of --queries and --prompts: gsm8k, svamp or mawps with the paper's prompts; --prompts may "
        "still name others.",
    ),
]
QuestionPart = Annotated[str, typer.Option("--part", help="Of --dataset: all, train or test.")]

Model = Annotated[str | None, typer.Option("--model", "-m", help="The server's name for the LLM.")]
BaseUrl = Annotated[str, typer.Option("--base-url", help="Address of an OpenAI-compatible server.")]
LocalFolder = Annotated[
    Path | None,
    typer.Option("--local", help="Instead of --model: a checkpoint folder, loaded in this process (extra: local)."),
]
BatchSize = Annotated[int, typer.Option("--batch-size", help="Answers at once with --local.", min=1)]
ApiKeyVariable = Annotated[
    str, typer.Option("--api-key-env", help="Environment variable that holds the key; never the key itself.")
]

Samples = Annotated[int, typer.Option("--samples", "-n", help="Answers to each query × prompt.", min=1)]
Temperature = Annotated[float | None, typer.Option("--temperature", help="Of the sampling; the server's if not given.")]
TopP = Annotated[float | None, typer.Option("--top-p", help="Of the sampling.")]
MaxAnswerTokens = Annotated[int | None, typer.Option("--max-answer-tokens", help="Longest answer.", min=1)]
SamplingSeed = Annotated[
    int | None, typer.Option("--sampling-seed", help="Sent to the server; sample i gets this number plus i.")
]
Stop = Annotated[list[str] | None, typer.Option("--stop", help="Text at which an answer ends; may be repeated.")]
Extra = Annotated[str, typer.Option("--extra", help="Further fields of the request as JSON.")]

Concurrency = Annotated[
    int | None,
    typer.Option(
        "--concurrency",
        "-c",
        help="Calls in flight at most: 16 if not given, twice the batch size with --local.",
        min=1,
        show_default=False,
    ),
]
RequestsPerMinute = Annotated[float | None, typer.Option("--rpm", help="Requests a minute at most.")]
TokensPerMinute = Annotated[float | None, typer.Option("--tpm", help="Tokens a minute at most.")]
Timeout = Annotated[float, typer.Option("--timeout", help="Seconds that a request may take.")]
MaxAttempts = Annotated[int, typer.Option("--max-attempts", help="Requests that a call may send.", min=1)]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Ask again what has failed before.")]

MaxCalls = Annotated[int | None, typer.Option("--max-calls", help="Requests of the whole run at most.")]
MaxTokens = Annotated[int | None, typer.Option("--max-tokens", help="Tokens of the whole run at most.")]
MaxUsd = Annotated[float | None, typer.Option("--max-usd", help="Money for the whole run at most; needs --prices.")]
PriceList = Annotated[
    Path | None, typer.Option("--prices", help="YAML or JSON: model to input and output, USD per million tokens.")
]
TokenizerPath = Annotated[
    Path | None, typer.Option("--tokenizer", help="tokenizer.json to count tokens with; else they are estimated.")
]

StrategyName = Annotated[
    str,
    typer.Option(
        "--strategy",
        help="Which cells to buy: full, random (a share of the queries, with all prompts), random-cells, or uncertain "
        "(a share, where the reward model learnt so far cannot tell prompts apart; needs --grader).",
    ),
]
Fraction = Annotated[float, typer.Option("--fraction", help="Share of the grid to buy, unless the strategy is full.")]
GradeWith = Annotated[
    str | None,
    typer.Option("--grader", help="Grade when all is collected: numeric, exact, choice, regex:PATTERN, published."),
]
StoreUrl = Annotated[
    str | None,
    typer.Option(
        "--store", help="PostgreSQL address without a password, for several machines; $PROMPT_OIRL_STORE may have one."
    ),
]
EngineName = Annotated[str, typer.Option("--engine", help="Where calls are made: here, or on the workers of dask.")]
Scheduler = Annotated[str | None, typer.Option("--scheduler", help="Address of dask's scheduler.")]
PlanOnly = Annotated[bool, typer.Option("--plan", help="Say what would be bought and what it may cost; buy nothing.")]
