"""The interval of a gain covers the true gain as often as it says, and no oftener than it must."""

from __future__ import annotations

import numpy as np
import pytest

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.evaluation import Estimate, gain, policy_value
from prompt_oirl.evaluation.estimate import IntervalMethod
from prompt_oirl.records import Prompt, Query

N_WORLDS = 400
PROMPTS = tuple(Prompt.from_text(f"Wording {j}.", id=str(j)) for j in range(3))
QUERIES = tuple(Query(f"Question {i}") for i in range(1200))


class CheapWorld:
    """Groups of queries drawn from a population whose true gain is known; queries of a group are alike.

    A group's size is 1 or 5. The policy chooses prompt 1 for groups of one kind and prompt 0, the baseline, for the
    others. Where it does, success probabilities differ by the group: a gain clustered by group.
    """

    true_gain = 0.08

    def __init__(self, rng: np.random.Generator, n_groups: int, *, missing: float = 0.0) -> None:
        sizes = rng.choice([1, 5], n_groups)
        self.groups = np.repeat(np.arange(n_groups), sizes)
        n = len(self.groups)
        base = rng.uniform(0.05, 0.5, n_groups)
        difference = rng.uniform(-0.05, 0.45, n_groups)  # 0.2 on average
        rates = np.column_stack([base, base + difference, base])[self.groups]
        is_chosen = rng.random(n_groups) < 0.4
        self.choices: IntArray = is_chosen[self.groups].astype(np.int64)
        self.baseline = np.zeros(n, np.int64)
        trials = np.where(rng.random((n, 3)) < missing, 0, rng.integers(1, 3, n)[:, None])
        successes = rng.binomial(trials, rates)
        self.logs = Demonstrations(QUERIES[:n], PROMPTS, trials, successes, np.zeros_like(trials))


def estimates(n_groups: int, method: IntervalMethod = "normal", *, n_worlds: int = N_WORLDS) -> list[Estimate]:
    rng = np.random.default_rng([n_groups, 20])
    worlds = [CheapWorld(rng, n_groups) for _ in range(n_worlds)]
    return [gain(w.logs, w.choices, w.baseline, groups=w.groups, method=method, seed=i) for i, w in enumerate(worlds)]


def coverage(made: list[Estimate], truth: float) -> float:
    return float(np.mean([each.low <= truth <= each.high for each in made]))


@pytest.mark.parametrize("n_groups", [25, 60, 300])
def test_the_normal_interval_covers_as_often_as_it_says(n_groups: int) -> None:
    assert 0.92 <= coverage(estimates(n_groups), CheapWorld.true_gain) <= 0.98


def test_the_bootstrap_covers_as_often_as_it_says() -> None:
    assert 0.92 <= coverage(estimates(100, "bootstrap", n_worlds=200), CheapWorld.true_gain) <= 0.98


def test_both_methods_give_nearly_the_same_interval() -> None:
    normal, bootstrap = estimates(300, n_worlds=20), estimates(300, "bootstrap", n_worlds=20)
    widths = [(b.high - b.low) / (n.high - n.low) for n, b in zip(normal, bootstrap, strict=True)]
    assert np.mean(widths) == pytest.approx(1.0, abs=0.05)


def test_the_gain_is_unbiased() -> None:
    values: FloatArray = np.array([each.value for each in estimates(60)])
    assert abs(values.mean() - CheapWorld.true_gain) < 4 * values.std() / np.sqrt(N_WORLDS)


def test_trials_missing_at_random_do_not_draw_the_gain_towards_nothing() -> None:
    rng = np.random.default_rng(6)
    worlds = [CheapWorld(rng, 60, missing=0.3) for _ in range(N_WORLDS)]
    found = [gain(w.logs, w.choices, w.baseline, groups=w.groups) for w in worlds]
    # Known are .7² of the queries where the choices differ, but how often they do is known of all.
    assert np.mean([each.value for each in found]) == pytest.approx(CheapWorld.true_gain, abs=0.006)
    assert 0.92 <= coverage(found, CheapWorld.true_gain) <= 0.98


def test_ungrouped_intervals_would_cover_too_seldom() -> None:
    rng = np.random.default_rng(5)
    worlds = [CheapWorld(rng, 60) for _ in range(N_WORLDS)]
    made = [gain(w.logs, w.choices, w.baseline, groups=np.arange(w.logs.n_queries)) for w in worlds]
    assert coverage(made, CheapWorld.true_gain) < 0.92


@pytest.mark.parametrize(("n_changed", "level"), [(2, 0.95), (5, 0.95), (8, 0.95), (15, 0.95), (8, 0.8)])
def test_a_policy_that_changes_few_choices_seldom_claims_a_gain_it_has_not(n_changed: int, level: float) -> None:
    rng = np.random.default_rng(n_changed)
    groups, baseline = np.arange(300), np.zeros(300, np.int64)
    choices = (groups < n_changed).astype(np.int64)
    claims = 0
    for _ in range(N_WORLDS):
        successes = rng.integers(0, 2, (300, 2))
        logs = Demonstrations(QUERIES[:300], PROMPTS[:2], np.ones_like(successes), successes, np.zeros_like(successes))
        claims += gain(logs, choices, baseline, groups=groups, level=level).low > 0
    assert claims / N_WORLDS <= (1 - level) / 2 + 0.01


def test_the_interval_of_a_value_near_1_covers() -> None:
    rng = np.random.default_rng(9)
    covered = 0
    for _ in range(N_WORLDS):
        successes = rng.binomial(1, 0.97, (100, 1))
        logs = Demonstrations(QUERIES[:100], PROMPTS[:1], np.ones_like(successes), successes, np.zeros_like(successes))
        value = policy_value(logs, np.zeros(100, np.int64), groups=np.arange(100))
        covered += value.low <= 0.97 <= value.high
    assert covered / N_WORLDS > 0.9
