"""The options of `prompt-oirl evaluate` for logs of decisions."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from prompt_oirl.cli.options import LOGS

__all__ = ["Clip", "DirectMethodOnly", "Kind", "KindOfPropensity", "LogsOrDecisions", "OffPolicy"]


class Kind(StrEnum):
    """What propensities are the probability of."""

    choice = "choice"
    cell = "cell"


LogsOrDecisions = Annotated[
    Path,
    typer.Argument(
        help=f"{LOGS} With --off-policy decisions: the same columns, with rewards from 0 to 1, and propensity.",
        show_default=False,
    ),
]
OffPolicy = Annotated[
    bool,
    typer.Option(
        "--off-policy",
        help="The logs are decisions, each query with one prompt or a few, and the `propensity` of each: "
        "weigh them for what the recommender would have chosen. Example: evaluate recommender/ decisions.parquet "
        "--off-policy",
    ),
]
DirectMethodOnly = Annotated[
    bool,
    typer.Option(
        "--direct-method-only",
        help="With --off-policy: rely on a model of the rewards alone, the only way without propensities; its "
        "error shows in no interval. Example: --off-policy --direct-method-only",
    ),
]
Clip = Annotated[
    float | None,
    typer.Option(
        "--clip",
        help="With --off-policy: propensities below this count as this, for less noise and some bias. "
        "Example: --clip 0.01",
        show_default=False,
    ),
]
KindOfPropensity = Annotated[
    Kind | None,
    typer.Option(
        "--propensity-of",
        help="With --off-policy: what `propensity` is the probability of, that a prompt was chosen for a decision, "
        "or that a query × prompt was bought for a run; else seen from the file. Example: --propensity-of cell",
        show_default=False,
    ),
]
