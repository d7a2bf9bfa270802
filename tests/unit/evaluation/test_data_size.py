"""The data-size curve: nested subsets, an interval each, and an extrapolation only where the curve rises."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.evaluation import CrossValidation, DataSizeCurve, data_size_curve

Make = Callable[..., Demonstrations]
GainAt = Callable[[Demonstrations, int], CrossValidation]


def learner(share_known: Callable[[int], float]) -> GainAt:
    """Chooses prompt 1, where that is known to succeed, on a share of the queries that depends on their number."""

    def gain_at(part: Demonstrations, seed: int) -> CrossValidation:
        known = np.random.default_rng([seed, part.n_queries]).random(part.n_queries) < share_known(part.n_queries)
        baseline = np.zeros(part.n_queries, int)
        return CrossValidation(known.astype(int), baseline, baseline, part.groups(), seed)

    return gain_at


def curve(make: Make, share_known: Callable[[int], float], *, n: int = 800, seed: int = 0) -> DataSizeCurve:
    logs = make(np.random.default_rng(seed).binomial(1, [0.4, 0.8], (n, 2)))
    return data_size_curve(learner(share_known), logs)


def test_a_rising_curve_is_extrapolated_and_says_so(make_demonstrations: Make) -> None:
    """The gain is 0.4 - 2.8 / √n: 0.12 at 100 queries, 0.3 at 800."""
    found = curve(make_demonstrations, lambda n: 1 - 7 / math.sqrt(n))
    assert [point.n_queries for point in found.points] == [100, 200, 400, 800]
    assert [point.fraction for point in found.points] == [0.125, 0.25, 0.5, 1.0]
    for point in found.points:
        assert point.gain.low <= 0.4 * (1 - 7 / math.sqrt(point.n_queries)) <= point.gain.high
        assert len(point.gain_by_seed) == 5
    assert found.per_doubling.low > 0
    assert found.twice is not None
    assert found.twice.n_queries == 1600
    assert found.twice.low < 0.4 * (1 - 7 / 40) < found.twice.high
    assert found.twice.high - found.twice.low > found.points[-1].gain.high - found.points[-1].gain.low
    assert "an extrapolation, no measurement" in found.reason
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_last_doubling_that_added_little_is_named_beside_the_average(make_demonstrations: Make) -> None:
    found = curve(make_demonstrations, lambda n: {100: 0.0, 200: 0.3}.get(n, 0.7))
    before, last = (point.gain.value for point in found.points[-2:])
    assert last - before < found.per_doubling.value / 2
    assert found.twice is not None
    assert f"on average over all points, but the last one {100 * (last - before):+.1f};" in found.reason
    rising = curve(make_demonstrations, lambda n: {100: 0.0, 200: 0.3, 400: 0.5}.get(n, 0.8))
    assert rising.twice is not None
    assert "but the last one" not in rising.reason


def test_a_last_point_with_as_many_queries_as_the_one_before_is_no_doubling(make_demonstrations: Make) -> None:
    logs = make_demonstrations(np.random.default_rng(0).binomial(1, [0.4, 0.8], (800, 2)))
    gain_at = learner(lambda n: {200: 0.0, 400: 0.3}.get(n, 0.7))
    found = data_size_curve(gain_at, logs, fractions=(0.25, 0.5, 0.9999, 1.0))
    assert [point.n_queries for point in found.points] == [200, 400, 800, 800]
    assert "an extrapolation, no measurement" in found.reason
    assert "but the last one" not in found.reason


def test_a_flat_curve_is_not_extrapolated(make_demonstrations: Make) -> None:
    found = curve(make_demonstrations, lambda _: 0.5)
    assert found.twice is None
    assert "flat within noise" in found.reason
    assert "flat within noise" in str(found)


def test_a_falling_curve_is_not_extrapolated(make_demonstrations: Make) -> None:
    found = curve(make_demonstrations, lambda n: 8 / math.sqrt(n))
    assert found.per_doubling.high < 0
    assert found.twice is None
    assert "the gain fell" in found.reason


def test_where_the_choice_is_always_the_baseline_nothing_is_gained(make_demonstrations: Make) -> None:
    found = curve(make_demonstrations, lambda _: 0.0, n=80)
    assert {(p.gain.value, p.gain.low, p.gain.high) for p in found.points} == {(0.0, 0.0, 0.0)}
    assert (found.per_doubling.value, found.twice) == (0.0, None)


def test_points_at_which_nothing_was_chosen_do_not_decide_the_curve(make_demonstrations: Make) -> None:
    """They have no variance: weighted by it, a curve of 0, 0, 0, +0.24 is a flat one."""
    found = curve(make_demonstrations, lambda n: 0.6 if n == 800 else 0.0)
    assert [point.gain.value for point in found.points[:3]] == [0, 0, 0]
    assert found.per_doubling.value > 0.05
    assert found.twice is not None
    assert found.twice.gain > found.points[-1].gain.value > 0.2


def test_flat_curves_are_seldom_extrapolated(make_demonstrations: Make) -> None:
    found = [curve(make_demonstrations, lambda _: 0.3, n=160, seed=seed).twice is not None for seed in range(60)]
    assert sum(found) <= 5


def test_subsets_are_nested_and_keep_groups_whole(make_demonstrations: Make) -> None:
    seen: dict[int, list[frozenset[str]]] = {}
    logs = make_demonstrations(np.random.default_rng(0).integers(0, 2, (60, 2)))

    def gain_at(part: Demonstrations, seed: int) -> CrossValidation:
        seen.setdefault(seed, []).append(frozenset(query.text for query in part.queries))
        return learner(lambda _: 0.5)(part, seed)

    data_size_curve(gain_at, logs, fractions=(0.25, 0.5, 1), seeds=(3, 4))
    for subsets in seen.values():
        assert sorted(map(len, subsets)) == [15, 30, 60]
        small, middle, large = sorted(subsets, key=len)
        assert small < middle < large
    assert set(seen) == {3, 4}
    assert min(seen[3], key=len) != min(seen[4], key=len)


def test_two_fractions_are_too_few_to_extrapolate(make_demonstrations: Make) -> None:
    logs = make_demonstrations(np.random.default_rng(0).binomial(1, [0.1, 0.9], (400, 2)))
    found = data_size_curve(learner(lambda n: n / 400), logs, fractions=(0.25, 1))
    assert found.per_doubling.low > 0
    assert found.twice is None
    assert "too few to extrapolate" in found.reason


def test_bad_arguments(make_demonstrations: Make) -> None:
    logs = make_demonstrations(np.ones((12, 2), int))
    gain_at = learner(lambda _: 0.5)
    for fractions in ((1.0,), (0.5, 0.25, 1.0), (0.0, 1.0), (0.25, 0.5)):
        with pytest.raises(ParameterError, match="fractions="):
            data_size_curve(gain_at, logs, fractions=fractions)
    for seeds in ((0,), (1, 1)):
        with pytest.raises(ParameterError, match="seeds="):
            data_size_curve(gain_at, logs, seeds=seeds)


def test_too_few_queries_with_both_prompts(make_demonstrations: Make) -> None:
    trials = np.tile([[1, 0]], (12, 1))
    logs = make_demonstrations(trials, trials)
    with pytest.raises(DataError, match="fewer than two groups"):
        data_size_curve(learner(lambda _: 1.0), logs)
