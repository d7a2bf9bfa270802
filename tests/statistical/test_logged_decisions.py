"""From decisions of a policy that explores, what another prompt would be worth can be told without bias."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from prompt_oirl.arrays import FloatArray
from prompt_oirl.records import Prompt
from prompt_oirl.serve.decision import Decision, Feedback
from prompt_oirl.serve.decisions.export import write_decisions
from prompt_oirl.serve.decisions.store import DecisionStore
from prompt_oirl.testing import SyntheticWorld

WORLD = SyntheticWorld(n_queries=300, seed=3)
EXPLORE = 0.3
N_DECISIONS = 30_000


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What is exported of the decisions of a policy that knows the best prompt, with feedback to four of five."""
    folder, rng, prompts = tmp_path_factory.mktemp("decisions"), np.random.default_rng(5), WORLD.prompts
    taken, given = [], []
    for row in rng.integers(WORLD.n_queries, size=N_DECISIONS).tolist():
        query, best = WORLD.queries[row], int(WORLD.oracle[row])
        is_late, is_explored = rng.random() < 0.05, rng.random() < EXPLORE
        chosen = WORLD.best_single if is_late else int(rng.integers(len(prompts))) if is_explored else best
        decision = Decision(
            query_id=query.id,
            query=query.text,
            prompt_id=prompts[chosen].id,
            score=None,
            propensity=1.0 if is_late else EXPLORE / len(prompts) + (1 - EXPLORE) * (chosen == best),
            choice="fallback" if is_late else "explored" if is_explored else "recommended",
            source="gateway",
            recommender="v1",
            seconds=0.0,
        )
        taken.append(decision)
        if rng.random() < 0.8:
            is_right = rng.random() < WORLD.success_probabilities[row, chosen]
            given.append(Feedback(decision.id, float(is_right)))
    with DecisionStore.open(f"sqlite:///{folder / 'decisions.sqlite'}") as store:
        store.register("v1", prompts)
        store.save(taken, given)
        export = write_decisions(store, folder / "logs.jsonl")
    lines = export.path.read_text(encoding="utf-8").splitlines()
    return [row for row in map(json.loads, lines) if row["correct"] is not None]


def weighted(rows: list[dict[str, Any]], prompt: Prompt) -> FloatArray:
    """Return (n_rows,) the reward over the propensity where the prompt was chosen, else 0."""
    return np.array([row["correct"] / row["propensity"] if row["prompt_id"] == prompt.id else 0.0 for row in rows])


TRUTH = WORLD.success_probabilities.mean(axis=0)


def test_inverse_propensities_tell_what_each_prompt_is_worth(rows: list[dict[str, Any]]) -> None:
    for prompt, truth in zip(WORLD.prompts, TRUTH, strict=True):
        values = weighted(rows, prompt)
        error = values.std(ddof=1) / np.sqrt(len(values))
        assert error < 0.03
        assert abs(values.mean() - truth) < 3.5 * error


def test_success_rates_of_what_was_chosen_are_biased(rows: list[dict[str, Any]]) -> None:
    """Or else the test above would show nothing: the policy gives each prompt the queries that it is good at."""
    rates = [np.mean([row["correct"] for row in rows if row["prompt_id"] == prompt.id]) for prompt in WORLD.prompts]
    assert (np.array(rates) - TRUTH).max() > 0.1


def test_every_decision_counts_once_on_average(rows: list[dict[str, Any]]) -> None:
    for prompt in WORLD.prompts:
        values = np.array([(row["prompt_id"] == prompt.id) / row["propensity"] for row in rows])
        assert abs(values.mean() - 1) < 3.5 * values.std(ddof=1) / np.sqrt(len(values))
