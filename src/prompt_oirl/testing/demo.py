"""The whole loop on a simulated LLM: collect, grade, export, learn, evaluate, recommend, and compare with the truth."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prompt_oirl.arrays import IntArray
from prompt_oirl.collect.client.concurrency import AdaptiveConcurrency
from prompt_oirl.collect.client.openai_client import OpenAIClient
from prompt_oirl.collect.collected import Collected
from prompt_oirl.collect.order import Order
from prompt_oirl.collect.progress import Progress, no_progress
from prompt_oirl.collect.strategies.random_cells import RandomFraction
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ArtifactError
from prompt_oirl.evaluation import Evaluation
from prompt_oirl.files import atomic_path
from prompt_oirl.grading import get_grader
from prompt_oirl.inspection import Inspection, inspect
from prompt_oirl.prompts import write_prompts
from prompt_oirl.recommender import Recommendation, Recommender
from prompt_oirl.records import Question
from prompt_oirl.runs.configuration import RunConfiguration
from prompt_oirl.runs.export import Export, demonstrations_of, write_export
from prompt_oirl.runs.grading import Regrading, grade_run
from prompt_oirl.runs.run import Run, is_run
from prompt_oirl.testing.llm_process import llm_process
from prompt_oirl.testing.world import SyntheticWorld

__all__ = ["FRACTION", "Demo", "run_demo"]

FRACTION = 0.9
"""Share of the cells that is bought, drawn at random: so there are propensities, and cells that were not tried."""

_MODEL = "simulated-llm"
_ADDRESS = "local:simulated-world"
_KEY_VARIABLE = "PROMPT_OIRL_DEMO_API_KEY"  # nobody sets it: a real key is not sent anywhere
_GRADER = "numeric"
_CONCURRENCY = 32
_FILES = ("queries.jsonl", "prompts.yaml", "logs.jsonl", "recommender", "evaluation.json")


def _ignore(_: str) -> None: ...


@dataclass(frozen=True, eq=False)
class Demo:
    """What the demo found, with the truth beside it."""

    folder: Path
    """Where `queries.jsonl`, `prompts.yaml`, `run/`, `logs.jsonl`, `recommender/` and `evaluation.json` lie."""

    collected: Collected
    regrading: Regrading
    export: Export
    inspection: Inspection
    recommender: Recommender
    evaluation: Evaluation

    true_gain: float
    """The gain of the recommended prompts on the test queries, by the success probabilities behind the simulation."""

    true_headroom: float
    """What always choosing the truly best prompt would gain there."""

    recommendations: tuple[Recommendation, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold; the same when the demo is run again."""
        return {
            "simulated": True,
            "folder": str(self.folder),
            "spending": asdict(self.collected.spending),
            "export": self.export.to_dict(),
            "selection": self.recommender.selection_.to_dict(),
            "evaluation": self.evaluation.to_dict(),
            "true_gain": self.true_gain,
            "true_headroom": self.true_headroom,
            "recommendations": [recommendation.to_dict() for recommendation in self.recommendations],
        }


def run_demo(
    folder: Path,
    *,
    n_queries: int = 1700,
    seed: int = 0,
    on_step: Callable[[str], None] = _ignore,
    on_progress: Callable[[Progress], None] = no_progress,
    on_drain: Callable[[], None] = lambda: None,
) -> Demo | None:
    """Run the loop on a synthetic world, over HTTP on loopback, and keep everything it makes in a folder.

    Run again in the same folder it goes on where it was and asks nothing twice.

    Args:
        folder: Where to write; what an earlier demo of the same settings wrote there is replaced.
        n_queries: Distinct simulated queries.
        seed: Of the world, of the cells that are drawn and of the split.
        on_step: Told what is done next.
        on_progress: Called after every answer that was stored.
        on_drain: Called at the first Ctrl-C while answers are collected.

    Returns:
        What was found; None where Ctrl-C ended the collecting.

    Raises:
        ArtifactError: There is something in the folder that is not from a demo.
        StoreError: There is a demo of other settings.
        LLMError: The simulated LLM could not be started or reached.
    """
    world = SyntheticWorld(n_queries=n_queries, seed=seed)
    order = _order(world)
    _check_folder(folder)
    with Run.create_or_open(folder / "run", order.configuration) as run, run.lock():
        _write_queries(order.questions, folder / "queries.jsonl")
        write_prompts(order.prompts, folder / "prompts.yaml")
        on_step(
            f"1/6 collect: {n_queries:,} simulated queries × {len(order.prompts)} prompts, {FRACTION:.0%} of the cells "
            "drawn at random, asked of a simulated LLM over HTTP"
        )
        with llm_process("--world", str(seed), "--queries", str(n_queries)) as address:
            collected = asyncio.run(_collect(order, run, address, on_progress, on_drain))
        if collected.ending != "done":
            return None
        on_step(f"2/6 grade: compare the number in each answer with the gold answer ({_GRADER})")
        regrading = grade_run(run.store, get_grader(_GRADER), _GRADER)
        on_step("3/6 export: write the run as a file of logs")
        export = write_export(run.store, folder / "logs.jsonl")
        demonstrations = demonstrations_of(run.store)
    demo = Demo(
        folder=folder,
        collected=collected,
        regrading=regrading,
        export=export,
        inspection=inspect(demonstrations),
        **_learn(world, demonstrations, folder, on_step),
    )
    with atomic_path(folder / "evaluation.json") as temporary:
        temporary.write_text(json.dumps(demo.to_dict(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return demo


def _order(world: SyntheticWorld) -> Order:
    """Return what is bought. The run does not hold the server's address, whose port changes, but the world's name."""
    return Order(
        configuration=RunConfiguration(_MODEL, f"{_ADDRESS},queries={world.n_queries},seed={world.seed}"),
        questions=tuple(Question(query, world.golds[query]) for query in world.queries),
        prompts=world.prompts,
        strategy=RandomFraction(FRACTION, seed=world.seed, whole_queries=False),
    )


def _check_folder(folder: Path) -> None:
    """Raise unless what the demo would replace is a demo's: the run beside it says so."""
    if is_run(folder / "run"):
        with Run.open(folder / "run") as run:
            if run.store.configuration.base_url.startswith(f"{_ADDRESS},"):
                return
        raise ArtifactError(f"{folder / 'run'} is a run, and not of a demo; name another folder with --out")
    others = [name for name in _FILES if (folder / name).exists()]
    if others:
        raise ArtifactError(
            f"{folder / others[0]} exists and is not of a demo that can be gone on with; name another folder with --out"
        )


def _write_queries(questions: tuple[Question, ...], path: Path) -> None:
    rows = ({"query": each.query.text, "gold": each.gold} for each in questions)
    with atomic_path(path) as temporary:
        temporary.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")


async def _collect(
    order: Order, run: Run, address: str, on_progress: Callable[[Progress], None], on_drain: Callable[[], None]
) -> Collected:
    """Buy the answers as `prompt-oirl collect` does."""
    concurrency = AdaptiveConcurrency(_CONCURRENCY)
    client = OpenAIClient(_MODEL, address, api_key_variable=_KEY_VARIABLE, concurrency=concurrency)
    return await order.collect(run.store, client, concurrency=concurrency, on_progress=on_progress, on_drain=on_drain)


def _learn(
    world: SyntheticWorld, demonstrations: Demonstrations, folder: Path, on_step: Callable[[str], None]
) -> dict[str, Any]:
    """Return the fields of `Demo` that need no LLM."""
    training, test = demonstrations.split(test_size=0.3, seed=world.seed)
    on_step(f"4/6 train: choose a reward model by cross-validation on {training.n_queries:,} queries")
    recommender = Recommender(seed=world.seed).fit(training)
    recommender.save(folder / "recommender", overwrite=True)
    on_step(f"5/6 evaluate: on the other {test.n_queries:,} queries, and by the truth behind the simulation")
    evaluation = recommender.evaluate(test)
    on_step("6/6 recommend: a prompt for three of them, without asking the LLM")
    recommendations = tuple(recommender.recommend_many([query.text for query in test.queries[:3]]))
    return {
        "recommender": recommender,
        "evaluation": evaluation,
        "recommendations": recommendations,
        **_truth(world, recommender, test),
    }


def _truth(world: SyntheticWorld, recommender: Recommender, test: Demonstrations) -> dict[str, float]:
    """Return the true gain and the true headroom on the test queries, each of which was asked once."""
    order = np.array([world.prompts.index(prompt) for prompt in test.prompts])
    rows = [world.queries.index(query) for query in test.queries]

    def value(choices: IntArray) -> float:
        return float(world.success_probabilities[rows, choices].mean())

    single = value(order[recommender.best_single_.choose(test.queries, test.prompts)])
    return {
        "true_gain": value(order[recommender.choose(test.queries, test.prompts)]) - single,
        "true_headroom": value(world.oracle[rows]) - single,
    }
