"""What `prompt-oirl demo` prints."""

from __future__ import annotations

from prompt_oirl.cli.render import (
    console,
    points,
    print_evaluation,
    print_inspection,
    print_recommendation,
    print_selection,
)
from prompt_oirl.cli.render_runs import print_export, print_regrading
from prompt_oirl.testing.demo import FRACTION, Demo

__all__ = ["print_demo"]


def print_demo(demo: Demo) -> None:
    """Print the demo's whole story."""
    out, spending = console(), demo.collected.spending
    out.print(
        "[bold]All data here are simulated[/bold]: word problems, LLM and answers are made up, the truth is known."
    )
    out.print("\n[bold]1. Collected[/bold] over HTTP from a simulated LLM")
    out.print(
        f"{FRACTION:.0%} of the cells, drawn at random: {spending.answered:,} answers, {spending.failed:,} failures, "
        f"{spending.tokens:,} tokens; {demo.collected.n_calls:,} calls were made now"
    )
    out.print("\n[bold]2. Graded[/bold], without a call")
    print_regrading(demo.regrading)
    out.print("\n[bold]3. Exported[/bold]")
    print_export(demo.export)
    print_inspection(demo.inspection)
    out.print("\n[bold]4. What was learnt[/bold] on 70 % of the query groups")
    print_selection(demo.recommender.selection_)
    out.print("\n[bold]5. What it is worth[/bold] on the other 30 %")
    print_evaluation(demo.evaluation)
    out.print(
        f"The true gain is {points(demo.true_gain)} points; always choosing the truly best prompt would gain "
        f"{points(demo.true_headroom)}."
    )
    out.print("\n[bold]6. Three recommendations[/bold]")
    for recommendation in demo.recommendations:
        print_recommendation(recommendation)
    _print_next(demo)


def _print_next(demo: Demo) -> None:
    out, folder = console(), demo.folder
    out.print(f"\nQueries, prompts, run, logs, recommender and evaluation lie in {folder}/. Next:", markup=False)
    out.print(f"  prompt-oirl inspect {folder}/run", markup=False)
    out.print(f"  prompt-oirl train {folder}/run --test-size 0.3 --out my-recommender", markup=False)
    out.print(
        f"  prompt-oirl collect --queries {folder}/queries.jsonl --prompts {folder}/prompts.yaml --model YOUR-MODEL "
        "--plan --out my-run",
        markup=False,
    )
