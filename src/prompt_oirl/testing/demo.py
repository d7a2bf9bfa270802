"""The whole loop on simulated logs: write, grade, learn, evaluate, recommend, and compare with the truth."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ArtifactError
from prompt_oirl.evaluation import Evaluation
from prompt_oirl.files import atomic_path
from prompt_oirl.grading import get_grader
from prompt_oirl.inspection import Inspection, inspect
from prompt_oirl.recommender import Recommendation, Recommender
from prompt_oirl.sources.tabular import read_demonstrations
from prompt_oirl.testing.world import SyntheticWorld

__all__ = ["Demo", "run_demo"]


@dataclass(frozen=True, eq=False)
class Demo:
    """What the demo found, with the truth beside it."""

    folder: Path
    """Where `logs.jsonl`, `recommender/` and `evaluation.json` lie."""

    inspection: Inspection
    recommender: Recommender
    evaluation: Evaluation

    true_gain: float
    """The gain of the recommended prompts on the test queries, by the success probabilities behind the simulation."""

    true_headroom: float
    """What always choosing the truly best prompt would gain there."""

    recommendations: tuple[Recommendation, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            "simulated": True,
            "folder": str(self.folder),
            "selection": self.recommender.selection_.to_dict(),
            "evaluation": self.evaluation.to_dict(),
            "true_gain": self.true_gain,
            "true_headroom": self.true_headroom,
            "recommendations": [recommendation.to_dict() for recommendation in self.recommendations],
        }


def run_demo(folder: Path, *, n_queries: int = 2000, seed: int = 0) -> Demo:
    """Run the loop on a synthetic world and keep everything it makes in a folder.

    Args:
        folder: Where to write; what an earlier demo wrote there is replaced.
        n_queries: Distinct simulated queries.
        seed: Of the world and of the split.

    Raises:
        ArtifactError: There are logs in the folder that are not from a demo.
    """
    logs = folder / "logs.jsonl"
    if logs.exists() and not (folder / "evaluation.json").exists():
        raise ArtifactError(f"{logs} exists and is not from a demo; name another folder with --out")
    world = SyntheticWorld(n_queries=n_queries, seed=seed)
    world.write_logs(logs)
    demonstrations = read_demonstrations(logs, grader=get_grader("numeric"))
    training, test = demonstrations.split(test_size=0.3, seed=seed)
    recommender = Recommender(seed=seed).fit(training)
    evaluation = recommender.evaluate(test)
    recommender.save(folder / "recommender", overwrite=True)
    demo = Demo(
        folder=folder,
        inspection=inspect(demonstrations),
        recommender=recommender,
        evaluation=evaluation,
        recommendations=tuple(recommender.recommend_many([query.text for query in test.queries[:3]])),
        **_truth(world, recommender, test),
    )
    with atomic_path(folder / "evaluation.json") as temporary:
        temporary.write_text(json.dumps(demo.to_dict(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return demo


def _truth(world: SyntheticWorld, recommender: Recommender, test: Demonstrations) -> dict[str, float]:
    """Return the true gain and the true headroom on the test queries."""
    order = np.array([world.prompts.index(prompt) for prompt in test.prompts])
    chosen = order[recommender.choose(test.queries, test.prompts)]
    single = order[recommender.best_single_.choose(test.queries, test.prompts)]
    rows = [world.queries.index(query) for query in test.queries]
    return {
        "true_gain": world.true_gain(chosen, single, queries=test.queries),
        "true_headroom": world.true_gain(world.oracle[rows], single, queries=test.queries),
    }
