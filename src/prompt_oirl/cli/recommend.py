"""`prompt-oirl recommend`: the prompt to use for a query."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prompt_oirl.cli.options import AsJson

__all__ = ["recommend"]


def recommend(
    folder: Annotated[Path, typer.Argument(help="A recommender that `train` saved.", show_default=False)],
    queries: Annotated[list[str], typer.Argument(help="One or more queries.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Recommend a prompt for each query, without calling an LLM.

    Example: prompt-oirl recommend recommender/ "Weng earns $12 an hour. She worked 50 minutes. How much did she earn?"
    """
    from prompt_oirl.cli.render import print_json, print_recommendation
    from prompt_oirl.recommender import Recommender

    recommendations = Recommender.load(folder).recommend_many(queries)
    if as_json:
        print_json([recommendation.to_dict() for recommendation in recommendations])
        return
    for recommendation in recommendations:
        print_recommendation(recommendation)
