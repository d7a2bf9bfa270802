"""Options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "HIGHEST_SEED",
    "LOGS",
    "AsJson",
    "DataFolder",
    "DropSeen",
    "ExtraColumns",
    "GraderName",
    "Logs",
    "Overwrite",
    "PromptSet",
    "Seed",
]

LOGS = (
    "Logged trials: .jsonl, .csv or .parquet with query, prompt or prompt_id, and correct (0, 1 or empty) or answer "
    "and gold; or the folder of a run that `collect` made."
)
Logs = Annotated[Path, typer.Argument(help=LOGS, show_default=False)]
PromptSet = Annotated[
    Path | None,
    typer.Option("--prompts", help="Prompt set (YAML or JSON) that says what each prompt_id stands for."),
]
GraderName = Annotated[
    str | None,
    typer.Option(
        "--grader",
        help="Grades answer against gold: numeric, exact, choice, regex:PATTERN, or published (the paper's).",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
ExtraColumns = Annotated[
    bool, typer.Option("--ignore-extra-columns", help="Pass over columns that are not known, instead of refusing.")
]
DropSeen = Annotated[
    bool, typer.Option("--drop-seen", help="Leave out queries that were in training, instead of refusing.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a recommender that is there already.")]
HIGHEST_SEED = 2**32 - 1
Seed = Annotated[
    int, typer.Option("--seed", help="Seed of everything that is drawn at random.", min=0, max=HIGHEST_SEED)
]
DataFolder = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of the released logs; else $PROMPT_OIRL_DATA, else what download filled."),
]
