"""The interval of a ratio whose denominator is uncertain."""

from __future__ import annotations

import numpy as np
import pytest

from prompt_oirl.evaluation.estimate import Outcomes, estimate
from prompt_oirl.evaluation.ratio import ratio_interval


def interval(numerator: np.ndarray, denominator: np.ndarray, *, groups: np.ndarray | None = None) -> object:
    n = len(numerator)
    return ratio_interval(
        numerator, denominator, weights=np.ones(n), groups=np.arange(n) if groups is None else groups,
        can_vary=numerator != 0, level=0.95,
    )  # fmt: skip


def test_with_a_certain_denominator_it_is_the_linearised_one() -> None:
    rng = np.random.default_rng(0)
    denominator = 1 + 0.1 * rng.random(2000)
    numerator = 0.3 * denominator + 0.2 * rng.standard_normal(2000)
    linearised = estimate(Outcomes(numerator, np.ones(2000), np.arange(2000), 2000), per=denominator)
    assert interval(numerator, denominator) == pytest.approx((linearised.low, linearised.high), rel=1e-3)


def test_it_covers_where_the_denominator_is_barely_told_from_0() -> None:
    """The denominator is 2.5 standard errors from 0; no interval counts as one that holds everything."""
    covered = []
    for seed in range(600):
        rng = np.random.default_rng(seed)
        denominator = 0.25 + rng.standard_normal(100)
        numerator = 0.15 + 0.5 * (denominator - 0.25) + 0.5 * rng.standard_normal(100)
        ends = interval(numerator, denominator)
        covered.append(ends is None or ends[0] <= 0.6 <= ends[1])  # type: ignore[index]
    assert 0.92 < np.mean(covered) < 0.985


def test_near_duplicates_are_one_piece_of_evidence() -> None:
    rng = np.random.default_rng(1)
    denominator = 1 + 0.2 * rng.standard_normal(50)
    numerator = rng.standard_normal(50)
    once = interval(numerator, denominator)
    thrice = interval(np.repeat(numerator, 3), np.repeat(denominator, 3), groups=np.repeat(np.arange(50), 3))
    assert thrice == pytest.approx(once, abs=0.02)


def test_any_ratio_is_possible_where_the_denominator_may_be_0() -> None:
    rng = np.random.default_rng(2)
    assert interval(rng.standard_normal(100), rng.standard_normal(100)) is None


def test_what_is_0_whatever_was_logged_has_no_width() -> None:
    assert interval(np.zeros(40), np.ones(40)) == (0.0, 0.0)
