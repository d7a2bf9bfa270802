"""The options of `prompt-oirl serve`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "BudgetMs",
    "Explore",
    "Host",
    "LogQueries",
    "MaxBodyBytes",
    "MaxCandidates",
    "MaxConcurrent",
    "MaxMessages",
    "MaxQueries",
    "MaxQueryCharacters",
    "NoStore",
    "Playground",
    "Port",
    "RecommenderFolder",
    "ServeStore",
    "Upstream",
    "UpstreamTimeout",
]


def _positive(value: float) -> float:
    if not 0 < value < math.inf:
        raise typer.BadParameter(f"{value:g} is not a positive number.")
    return value


RecommenderFolder = Annotated[Path, typer.Argument(help="A recommender that `train` saved.", show_default=False)]
Host = Annotated[str, typer.Option("--host", help="Address to listen at; other than loopback needs a token.")]
Port = Annotated[int, typer.Option("--port", help="Port to listen at; 0 for any free one.", min=0, max=65_535)]
Upstream = Annotated[
    str | None,
    typer.Option("--upstream", help="OpenAI-compatible server that the gateway forwards to: its base URL."),
]
ServeStore = Annotated[
    str | None,
    typer.Option(
        "--store",
        help="Decisions and feedback: a SQLite file, or a PostgreSQL address without a password, for several replicas; "
        "else $PROMPT_OIRL_STORE, else FOLDER-decisions.sqlite.",
        show_default=False,
    ),
]
NoStore = Annotated[bool, typer.Option("--no-store", help="Keep no decisions, and take no feedback.")]
Explore = Annotated[
    float,
    typer.Option(
        "--explore", help="Share of the queries whose prompt is drawn at random, to learn from.", min=0, max=1
    ),
]
BudgetMs = Annotated[
    float,
    typer.Option("--budget-ms", help="For scoring a query; later, the best single prompt is used.", callback=_positive),
]
LogQueries = Annotated[bool, typer.Option("--log-queries", help="Keep the queries' texts, and not only their hashes.")]
Playground = Annotated[
    bool | None,
    typer.Option(
        "--playground/--no-playground", help="A page at / to try queries on; on where its extra is installed."
    ),
]
MaxBodyBytes = Annotated[int, typer.Option("--max-body-bytes", help="Of a request.", min=1)]
MaxQueries = Annotated[int, typer.Option("--max-queries", help="In one request.", min=1)]
MaxQueryCharacters = Annotated[int, typer.Option("--max-query-characters", help="Of one query.", min=1)]
MaxMessages = Annotated[int, typer.Option("--max-messages", help="In one conversation.", min=1)]
MaxCandidates = Annotated[int, typer.Option("--max-candidates", help="Named in one request.", min=1)]
MaxConcurrent = Annotated[int, typer.Option("--max-concurrent", help="Requests at once; more get status 503.", min=1)]
UpstreamTimeout = Annotated[
    float, typer.Option("--upstream-timeout", help="Seconds that the upstream may take to go on.", callback=_positive)
]
