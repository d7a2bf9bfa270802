from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri

from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.evaluation import one_sided_level, simultaneous_quantile

RNG = np.random.default_rng(0)
NORMAL = float(ndtri(0.95))


def test_one_estimate_has_the_normal_quantile() -> None:
    influences = RNG.normal(size=(100, 1))
    assert simultaneous_quantile(influences, 0.95) == NORMAL
    assert one_sided_level(NORMAL) == pytest.approx(0.9)


def test_independent_estimates_have_nearly_bonferronis() -> None:
    influences = np.kron(np.eye(6), RNG.normal(size=(50, 1)))
    expected = ndtri(0.95 ** (1 / 6))
    assert simultaneous_quantile(influences, 0.95) == pytest.approx(expected, abs=0.02)


def test_estimates_that_are_one_have_the_quantile_of_one() -> None:
    influences = np.repeat(RNG.normal(size=(50, 1)), 6, axis=1) * np.arange(1, 7)
    assert simultaneous_quantile(influences, 0.95) == pytest.approx(NORMAL, abs=0.02)


def test_an_estimate_that_nothing_moves_counts_for_nothing() -> None:
    influences = np.column_stack([RNG.normal(size=40), np.zeros(40), np.zeros(40)])
    assert simultaneous_quantile(influences, 0.95) == NORMAL
    assert simultaneous_quantile(np.zeros((40, 3)), 0.95) == NORMAL


def test_it_is_what_a_bootstrap_with_gaussian_multipliers_gives() -> None:
    influences = RNG.standard_t(3, size=(80, 4)) @ np.array(
        [[1, 0.8, 0.2, 0], [0, 1, 0.5, 0], [0, 0, 1, 0.3], [0, 0, 0, 1]]
    )
    multipliers = np.random.default_rng(1).standard_normal((40_000, 80))
    sums = multipliers @ influences / np.linalg.norm(influences, axis=0)
    expected = np.quantile(sums.max(axis=1), 0.95)
    assert simultaneous_quantile(influences, 0.95) == pytest.approx(expected, abs=0.03)


def test_all_bounds_hold_as_often_as_asked_for() -> None:
    mixing = RNG.normal(size=(5, 5)) + 1.5
    hold = 0
    for seed in range(400):
        sample = np.random.default_rng(seed).normal(size=(60, 5)) @ mixing
        influences = (sample - sample.mean(axis=0)) / 60
        quantile = simultaneous_quantile(influences, 0.9)
        hold += bool((sample.mean(axis=0) - quantile * np.linalg.norm(influences, axis=0) <= 0).all())
    assert 0.86 <= hold / 400 <= 0.94


@given(st.integers(2, 40), st.integers(1, 8), st.floats(0.6, 0.995), st.integers(0, 1000))
def test_it_lies_between_the_quantile_of_one_and_bonferronis(n: int, k: int, confidence: float, seed: int) -> None:
    influences = np.random.default_rng(seed).normal(size=(n, k))
    found = simultaneous_quantile(influences, confidence)
    assert ndtri(confidence) <= found <= ndtri(1 - (1 - confidence) / k) + 1e-12
    np.testing.assert_allclose(simultaneous_quantile(influences * 1e-6, confidence), found, atol=1e-6)
    assert simultaneous_quantile(influences, confidence) == found


def test_it_takes_no_time() -> None:
    influences = RNG.normal(size=(4000, 6))
    simultaneous_quantile(influences, 0.95)
    began = time.process_time()
    simultaneous_quantile(influences, 0.95)
    assert time.process_time() - began < 0.05


def test_another_seed_moves_it_by_a_trifle() -> None:
    influences = RNG.normal(size=(300, 6))
    found = [simultaneous_quantile(influences, 0.95, seed=seed) for seed in range(5)]
    assert len(set(found)) > 1
    assert np.ptp(found) < 0.06


def test_bad_arguments() -> None:
    with pytest.raises(ParameterError, match=r"confidence=0\.5"):
        simultaneous_quantile(np.ones((3, 2)), 0.5)
    for influences in (np.ones(3), np.ones((3, 0)), np.full((3, 2), np.nan)):
        with pytest.raises(DataError, match="influences of shape"):
            simultaneous_quantile(influences, 0.95)
