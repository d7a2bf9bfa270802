"""Where each query saw every prompt equally often, the values are those of `policy_value` and `gain`, intervals too."""

from __future__ import annotations

import numpy as np
import pytest

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.evaluation import gain, policy_value
from prompt_oirl.evaluation.off_policy import ESTIMATORS, LoggedDecisions, off_policy_values

EXACT = [each for each in ESTIMATORS if each != "dm"]


@pytest.fixture
def world(greedy):
    return greedy(n_queries=80, n_prompts=3)


@pytest.fixture
def demonstrations(world) -> Demonstrations:
    rng = np.random.default_rng(1)
    trials = np.tile(rng.integers(1, 4, 80)[:, None], 3)
    nothing = np.zeros_like(trials)
    return Demonstrations(world.queries, world.prompts, trials, rng.binomial(trials, world.truth), nothing)


def as_choices(demonstrations: Demonstrations) -> LoggedDecisions:
    """Every trial a decision that was drawn, each prompt equally often."""
    cells = LoggedDecisions.of_grid(demonstrations)
    return LoggedDecisions(
        cells.queries, cells.prompts, cells.rows, cells.chosen, cells.rewards, np.full(cells.n_decisions, 1 / 3)
    )


@pytest.mark.parametrize("make", [LoggedDecisions.of_grid, as_choices])
@pytest.mark.parametrize("estimator", EXACT)
def test_they_reduce_to_the_exact_value_and_gain(world, demonstrations, estimator, make) -> None:
    found = off_policy_values(make(demonstrations), world.target, baseline=world.baseline, scores=world.scores)
    groups = demonstrations.groups()
    expected = {
        "value": policy_value(demonstrations, world.target, groups=groups),
        "baseline_value": policy_value(demonstrations, world.baseline, groups=groups),
        "gain": gain(demonstrations, world.target, world.baseline, groups=groups),
    }
    for name, exact in expected.items():
        estimate = getattr(found[estimator], name)
        for end in ("value", "low", "high"):
            assert getattr(estimate, end) == pytest.approx(getattr(exact, end), abs=1e-12), name
        assert (estimate.n_queries, estimate.n_groups) == (exact.n_queries, exact.n_groups)


def test_support_is_full(world, demonstrations) -> None:
    of_choices = off_policy_values(as_choices(demonstrations), world.target, scores=world.scores).support
    n = int(demonstrations.trials[:, 0].sum())
    assert of_choices is not None
    assert of_choices.overlap == 1
    assert of_choices.effective_sample_size == pytest.approx(n)
    assert (of_choices.n_matched, of_choices.largest_weight, of_choices.n_clipped) == (n, pytest.approx(3), 0)
    of_cells = off_policy_values(LoggedDecisions.of_grid(demonstrations), world.target, scores=world.scores)
    assert of_cells.support is not None
    assert (of_cells.support.overlap, of_cells.support.largest_weight) == (1, 1)
    assert of_cells.propensity_of == "cell"


def test_the_same_policy_gains_nothing_for_sure(greedy) -> None:
    world = greedy()
    found = off_policy_values(world.decisions, world.target, baseline=world.target, scores=world.scores)
    for each in found.estimates:
        assert each.gain is not None
        assert (each.gain.value, each.gain.low, each.gain.high) == (0, 0, 0)
