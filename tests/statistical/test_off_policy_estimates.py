"""Under ε-greedy logging the doubly robust and self-normalised values are right, and the direct method's is not.

A small version: 300 worlds of 2000 decisions on 1500 queries of 12 types, some of them asked more than once.
"""

from __future__ import annotations

import numpy as np
import pytest

from prompt_oirl.evaluation.off_policy import LoggedDecisions, off_policy_values
from prompt_oirl.records import Prompt, Query

N_WORLDS, N_QUERIES, N_DECISIONS, N_TYPES, N_PROMPTS, EXPLORE = 300, 1500, 2000, 12, 4, 0.3
QUERIES = tuple(Query(f"question {i}") for i in range(N_QUERIES))
PROMPTS = tuple(Prompt.from_text(f"Wording {i}.", id=f"p{i}") for i in range(N_PROMPTS))
TRUTH = np.random.default_rng(1).uniform(0.25, 0.85, (N_TYPES, N_PROMPTS))
LOGGED = np.where(np.arange(N_TYPES) % 3, TRUTH.argmax(axis=1), 0)
TARGET = TRUTH.argmax(axis=1)
BASELINE = np.full(N_TYPES, TRUTH.mean(axis=0).argmax())
TRUE_VALUE, TRUE_BASELINE = (TRUTH[np.arange(N_TYPES), choice].mean() for choice in (TARGET, BASELINE))


def world(seed: int):
    """Decisions of ε-greedy logging, and the type of each query."""
    rng = np.random.default_rng([3, seed])
    types = rng.integers(N_TYPES, size=N_QUERIES)
    rows = np.sort(np.append(np.arange(N_QUERIES), rng.integers(N_QUERIES, size=N_DECISIONS - N_QUERIES)))
    explored = rng.random(N_DECISIONS) < EXPLORE
    chosen = np.where(explored, rng.integers(N_PROMPTS, size=N_DECISIONS), LOGGED[types[rows]])
    propensities = EXPLORE / N_PROMPTS + (1 - EXPLORE) * (chosen == LOGGED[types[rows]])
    rewards = (rng.random(N_DECISIONS) < TRUTH[types[rows], chosen]).astype(float)
    return LoggedDecisions(QUERIES, PROMPTS, rows, chosen, rewards, propensities), types


def rates_by_type(types):
    """A direct model that knows types, but draws what it learns halfway to the mean of all."""

    def make_scores(train, queries):
        known, asked = (types[[_PLACE[query] for query in of]] for of in (train.queries, queries))
        overall = train.rewards.mean()
        scores = np.empty((N_TYPES, N_PROMPTS))
        for type, prompt in np.ndindex(*scores.shape):
            found = train.rewards[(known[train.rows] == type) & (train.chosen == prompt)]
            scores[type, prompt] = 0.5 * overall + 0.5 * (found.mean() if len(found) else overall)
        return scores[asked]

    return make_scores


_PLACE = {query: place for place, query in enumerate(QUERIES)}


@pytest.fixture(scope="module")
def errors():
    """By estimator the (n_worlds,) errors of value and gain, and whether the intervals hold the truth."""
    found: dict[str, list[tuple[float, float, bool, bool]]] = {}
    for seed in range(N_WORLDS):
        decisions, types = world(seed)
        estimates = off_policy_values(
            decisions,
            TARGET[types],
            baseline=BASELINE[types],
            scores=rates_by_type(types),
            groups=np.arange(N_QUERIES),
            seed=seed,
        ).estimates
        for each in estimates:
            value, gain = each.value, each.gain
            assert value is not None
            assert gain is not None
            truth = TRUE_VALUE - TRUE_BASELINE
            found.setdefault(each.estimator, []).append(
                (
                    value.value - TRUE_VALUE,
                    gain.value - truth,
                    value.low <= TRUE_VALUE <= value.high,
                    gain.low <= truth <= gain.high,
                )
            )
    return {name: np.array(of_name, float) for name, of_name in found.items()}


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["snips", "dr", "ips", "switch_dr", "dr_os"])
def test_weighted_estimates_are_unbiased_and_their_intervals_cover(errors, estimator) -> None:
    of_value, of_gain, value_covered, gain_covered = errors[estimator].T
    for off in (of_value, of_gain):
        standard_error = off.std(ddof=1) / np.sqrt(N_WORLDS)
        assert abs(off.mean()) < 0.002 + 2.5 * standard_error
        assert standard_error < 0.003
    for covered in (value_covered, gain_covered):
        assert 0.92 <= covered.mean() <= 0.985  # 95 % ± 3 standard errors of 300 worlds


@pytest.mark.slow
def test_the_direct_methods_bias_shows_and_its_interval_misses_it(errors) -> None:
    of_value, of_gain, value_covered, _ = errors["dm"].T
    assert of_value.mean() < -0.05
    assert of_gain.mean() < -0.03
    assert value_covered.mean() < 0.1


@pytest.mark.slow
def test_the_doubly_robust_value_varies_less_than_inverse_propensities(errors) -> None:
    spread = {name: of_name[:, 0].std() for name, of_name in errors.items()}
    assert spread["dr"] < 0.8 * spread["ips"]
    assert spread["snips"] < spread["ips"]
