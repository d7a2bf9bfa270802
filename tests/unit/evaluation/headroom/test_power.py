from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq

from prompt_oirl.errors import ParameterError
from prompt_oirl.evaluation.headroom import (
    detectable_gain,
    detectable_headroom,
    headroom,
    queries_needed,
    repeats_needed,
)
from prompt_oirl.evaluation.headroom.power import ThinHeadroom

MEANS = np.array([0.6, 0.58, 0.5, 0.5])


def test_a_gain_and_the_queries_that_show_it_are_inverse() -> None:
    known = {"n_prompts": 6, "n_repeats": 4, "noise": 0.12, "interaction": 0.03, "design_effect": 1.3}
    n_queries = queries_needed(0.01, **known)
    assert detectable_gain(n_queries=n_queries, **known) == pytest.approx(0.01, rel=1e-3)
    assert n_queries == pytest.approx(4 * queries_needed(0.02, **known), abs=4)


def test_more_of_anything_shows_smaller_gains() -> None:
    plain = detectable_gain(n_queries=1000, n_prompts=6)
    assert detectable_gain(n_queries=4000, n_prompts=6) == pytest.approx(plain / 2)
    assert detectable_gain(n_queries=1000, n_prompts=6, n_repeats=4) < plain
    assert detectable_gain(n_queries=1000, n_prompts=2) < plain
    assert detectable_gain(n_queries=1000, n_prompts=6, power=0.9) > plain


@pytest.mark.parametrize("n_repeats", [1, 4])
def test_the_gain_is_seen_as_often_as_is_said(n_repeats: int) -> None:
    """Simulated: a choice that spreads queries evenly, truly better by the detectable gain, interaction included."""
    rng = np.random.default_rng(0)
    n_queries, n_prompts, spread = 800, 4, 0.1
    interaction = spread**2 * (n_prompts - 1) / n_prompts
    gain = detectable_gain(
        n_queries=n_queries, n_prompts=n_prompts, n_repeats=n_repeats, noise=0.2, interaction=interaction
    )
    seen = 0
    for _ in range(400):
        leaves = rng.random(n_queries) < (n_prompts - 1) / n_prompts
        apart = rng.normal(0, np.sqrt(2) * spread, n_queries) + rng.normal(0, np.sqrt(2 * 0.2 / n_repeats), n_queries)
        gains = np.where(leaves, gain * n_prompts / (n_prompts - 1) + apart, 0.0)
        seen += gains.mean() > 1.645 * gains.std() / np.sqrt(n_queries)
    assert seen / 400 == pytest.approx(0.8, abs=0.06)


def test_headroom_is_found_with_more_repeats_and_queries() -> None:
    sizes = [detectable_headroom(MEANS, n_queries=1000, n_repeats=n, noise=0.15) for n in (2, 4, 8, 16)]
    assert all(size is not None for size in sizes)
    assert sizes == sorted(sizes, reverse=True)
    more = detectable_headroom(MEANS, n_queries=4000, n_repeats=4, noise=0.15)
    assert more is not None
    assert more < sizes[1]


def test_single_trials_find_no_headroom() -> None:
    assert detectable_headroom(MEANS, n_queries=1000, n_repeats=1, noise=0.15) is None


def test_repeats_needed_find_what_they_are_needed_for() -> None:
    enough = repeats_needed(0.03, MEANS, n_queries=1000, noise=0.15)
    assert enough is not None
    sizes = [detectable_headroom(MEANS, n_queries=1000, n_repeats=n, noise=0.15) for n in (enough - 1, enough)]
    assert sizes[1] <= 0.03 < sizes[0]
    assert repeats_needed(1e-4, MEANS, n_queries=50, noise=0.25) is None


@pytest.mark.slow
def test_headroom_is_found_as_often_as_is_said(draw) -> None:
    """Simulated: headroom spread thinly, of the size that 80 % of such logs should show."""
    means, n_queries, noise = np.array([0.55, 0.5, 0.5]), 400, 0.22
    size = detectable_headroom(means, n_queries=0.9 * n_queries, n_repeats=4, noise=noise)
    assert size is not None
    model, rng = ThinHeadroom(means), np.random.default_rng(3)
    spread = brentq(lambda spread: model.headroom(spread) - size, 0.01, 0.4)
    found = 0
    for seed in range(60):
        probabilities = np.clip(means + rng.normal(0, spread, (n_queries, 3)), 0, 1)
        found += headroom(draw(probabilities, 4, seed=seed)).verdict == "found"
    assert found / 60 == pytest.approx(0.8, abs=0.17)


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_queries": 0},
        {"n_prompts": 1},
        {"n_repeats": 0.5},
        {"noise": 0.3},
        {"noise": -0.1},
        {"level": 0.4},
        {"power": 1.0},
    ],
)
def test_numbers_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        detectable_gain(**({"n_queries": 100, "n_prompts": 3} | wrong))


@pytest.mark.parametrize("gain", [0.0, -0.1, 1.5])
def test_a_gain_out_of_range_is_refused(gain: float) -> None:
    with pytest.raises(ParameterError, match="gain"):
        queries_needed(gain, n_prompts=3)
    with pytest.raises(ParameterError, match="headroom"):
        repeats_needed(gain, MEANS, n_queries=100, noise=0.2)
