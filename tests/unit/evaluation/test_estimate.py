from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.evaluation.estimate import Estimate, Outcomes, estimate


def outcomes(values: object, *, groups: object = None, weights: object = None, can_vary: object = None) -> Outcomes:
    array = np.array(values, float)
    return Outcomes(
        values=array,
        weights=np.ones(len(array)) if weights is None else np.array(weights, float),
        groups=np.arange(len(array)) if groups is None else np.array(groups),
        n_trials=len(array),
        can_vary=None if can_vary is None else np.array(can_vary),
    )


def test_many_single_queries_have_the_interval_of_students_t() -> None:
    values = np.random.default_rng(0).normal(0.1, 1.0, 5000)
    found = estimate(outcomes(values))
    low, high = stats.t.interval(0.95, 4999, values.mean(), stats.sem(values))
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-3)


def test_normal_interval_by_hand() -> None:
    # groups 0: 1 and 0 (weights 1, 2), 1: 1 (weight 1); Σw = 4, value .5
    found = estimate(outcomes([1, 0, 1], groups=[5, 5, 9], weights=[1, 2, 1]))
    residuals = np.array([1 * 0.5 - 2 * 0.5, 0.5])
    half = stats.t.ppf(0.975, 1) * math.sqrt(2 / 1 * (residuals**2).sum() + (4 / 3) ** 2) / 4
    assert found.value == 0.5
    assert (found.low, found.high) == pytest.approx((0.5 - half, 0.5 + half))
    assert (found.n_queries, found.n_groups, found.n_trials, found.n_left_out) == (3, 2, 3, 0)


def test_copies_in_one_group_are_no_further_evidence() -> None:
    values = np.random.default_rng(1).integers(0, 2, 400).astype(float)
    once = estimate(outcomes(values))
    copied = estimate(outcomes(np.repeat(values, 5), groups=np.repeat(np.arange(400), 5)))
    taken_for_single = estimate(outcomes(np.repeat(values, 5)))
    assert (copied.low, copied.high) == pytest.approx((once.low, once.high), rel=2e-3)
    assert taken_for_single.high - taken_for_single.low < 0.5 * (once.high - once.low)


def test_a_weight_counts_like_a_repeated_row() -> None:
    rng = np.random.default_rng(6)
    values, weights = rng.integers(0, 2, 500), rng.integers(1, 4, 500)
    weighted = estimate(outcomes(values, weights=weights))
    repeated = estimate(outcomes(np.repeat(values, weights), groups=np.repeat(np.arange(500), weights)))
    assert weighted.value == pytest.approx(repeated.value)
    assert (weighted.low, weighted.high) == pytest.approx((repeated.low, repeated.high), rel=2e-3)


def test_bootstrap_agrees_with_the_normal_interval_on_many_groups() -> None:
    rng = np.random.default_rng(2)
    made = outcomes(rng.choice([-1, 0, 1], 3000, p=[0.1, 0.75, 0.15]), weights=rng.integers(1, 4, 3000))
    normal, bootstrap = estimate(made), estimate(made, method="bootstrap")
    assert bootstrap.value == normal.value
    assert bootstrap.high - bootstrap.low == pytest.approx(normal.high - normal.low, rel=0.08)
    assert bootstrap.low == pytest.approx(normal.low, abs=0.002)


def test_bootstrap_resamples_groups_not_queries() -> None:
    values = np.repeat(np.random.default_rng(3).integers(0, 2, 300), 5)
    made = estimate(outcomes(values, groups=np.repeat(np.arange(300), 5)), method="bootstrap")
    single = estimate(outcomes(values), method="bootstrap")
    assert made.high - made.low > 1.8 * (single.high - single.low)


def test_bootstrap_is_reproducible_and_seeded() -> None:
    made = outcomes(np.random.default_rng(4).normal(size=200))
    assert estimate(made, method="bootstrap", seed=1) == estimate(made, method="bootstrap", seed=1)
    assert estimate(made, method="bootstrap", seed=1).low != estimate(made, method="bootstrap", seed=2).low


def test_left_out_queries_are_counted_and_change_nothing() -> None:
    kept = estimate(outcomes([1.0, 0.0, 1.0]))
    found = estimate(outcomes([1.0, np.nan, 0.0, 1.0, np.nan]))
    assert (found.value, found.low, found.high) == (kept.value, kept.low, kept.high)
    assert (found.n_queries, found.n_groups, found.n_left_out) == (3, 3, 2)


@pytest.mark.parametrize("method", ["normal", "bootstrap"])
def test_outcomes_that_are_all_alike_keep_an_open_interval(method: str) -> None:
    found = estimate(outcomes([1.0] * 10), bounds=(0.0, 1.0), method=method)
    assert found.value == 1.0
    assert found.low < 0.9
    assert found.high == 1.0


@pytest.mark.parametrize("n_wins", [1, 3, 6])
def test_a_handful_of_changed_queries_that_all_won_is_no_evidence(n_wins: int) -> None:
    can_vary = np.arange(1000) < n_wins
    found = estimate(outcomes(can_vary.astype(float), can_vary=can_vary))
    assert found.low < 0 < found.high


def test_a_dozen_changed_queries_that_all_won_is_evidence() -> None:
    can_vary = np.arange(1000) < 12
    assert estimate(outcomes(can_vary.astype(float), can_vary=can_vary)).low > 0


@pytest.mark.parametrize("method", ["normal", "bootstrap"])
def test_what_cannot_vary_is_known_exactly(method: str) -> None:
    found = estimate(outcomes([0.0] * 5, can_vary=[False] * 5), method=method)
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("method", ["normal", "bootstrap"])
def test_changed_queries_without_a_difference_keep_an_open_interval(method: str) -> None:
    found = estimate(outcomes([0.0] * 500, can_vary=[True] * 20 + [False] * 480), method=method)
    assert found.low < 0 < found.high


def test_a_ratio_of_sums() -> None:
    found = estimate(outcomes([1.0, 0.0, 2.0]), per=np.array([2.0, 1.0, 3.0]))
    residuals = np.array([0.0, -0.5, 0.5])
    half = stats.t.ppf(0.975, 2) * math.sqrt(3 / 2 * (residuals**2).sum() + 1) / 6
    assert found.value == pytest.approx(0.5)
    assert found.high == pytest.approx(0.5 + half)


def test_a_wider_level_has_a_wider_interval() -> None:
    made = outcomes(np.random.default_rng(5).normal(size=50))
    assert estimate(made, level=0.99).low < estimate(made, level=0.8).low


@pytest.mark.parametrize("level", [0.0, 1.0, 95])
def test_a_level_is_a_fraction(level: float) -> None:
    with pytest.raises(ParameterError, match="level"):
        estimate(outcomes([1.0, 0.0]), level=level)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ParameterError, match="'jackknife'"):
        estimate(outcomes([1.0, 0.0]), method="jackknife")  # type: ignore[arg-type]


@pytest.mark.parametrize(("values", "groups"), [([1.0, 0.0], [3, 3]), ([np.nan, 1.0], [0, 1]), ([np.nan] * 2, [0, 1])])
def test_fewer_than_two_groups_say_nothing(values: list[float], groups: list[int]) -> None:
    with pytest.raises(DataError, match="log more distinct queries"):
        estimate(outcomes(values, groups=groups))


def test_few_groups_are_marked() -> None:
    few, enough = estimate(outcomes([0.0, 1.0] * 14)), estimate(outcomes([0.0, 1.0] * 15))
    assert few.has_few_groups
    assert "too few to trust" in str(few)
    assert not enough.has_few_groups
    assert "too few" not in str(enough)


def test_an_estimate_prints_what_it_rests_on() -> None:
    made = Estimate(0.0519, 0.01, 0.0938, 0.95, n_queries=90, n_groups=80, n_trials=180, n_left_out=3)
    assert str(made) == "0.052 [0.010, 0.094] (95% interval, 90 queries in 80 groups, 3 left out)"
    assert json.loads(json.dumps(made.to_dict()))["method"] == "normal"


@pytest.mark.parametrize("numbers", [(math.nan, 0, 1), (0.5, -math.inf, 1), (0.5, 0.7, 0.6)])
def test_an_estimate_is_finite_and_upright(numbers: tuple[float, float, float]) -> None:
    with pytest.raises(DataError, match="low ≤ high"):
        Estimate(*numbers, 0.95, n_queries=1, n_groups=1, n_trials=1, n_left_out=0)


def test_outcomes_have_one_group_each() -> None:
    with pytest.raises(DataError, match=r"2 outcomes, 2 weights and 1 group numbers"):
        outcomes([1.0, 0.0], groups=[0])


def test_the_pseudo_query_weighs_what_it_is_given() -> None:
    made = outcomes([1.0, 1.0, 1.0, 1.0])
    open_by_one = estimate(made)
    wider = estimate(Outcomes(made.values, made.weights, made.groups, 4, pseudo_weight=3.0))
    assert wider.value == open_by_one.value == 1
    assert wider.high - wider.low == pytest.approx(3 * (open_by_one.high - open_by_one.low))


def test_a_group_of_more_than_half_of_the_data_is_a_caveat() -> None:
    groups = np.append(np.zeros(60, int), np.arange(1, 41))
    found = estimate(outcomes(np.arange(100) % 2, groups=groups))
    assert found.largest_group_share == pytest.approx(0.6)
    assert found.has_dominant_group
    assert "one group is 60% of the data" in str(found)
    even = estimate(outcomes(np.arange(100) % 2, groups=np.repeat(np.arange(50), 2)))
    assert even.caveat is None
    assert str(even).endswith("in 50 groups)")
