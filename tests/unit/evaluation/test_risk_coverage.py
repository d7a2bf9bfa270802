from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.evaluation import gain, risk_coverage

Make = Callable[..., Demonstrations]
RNG = np.random.default_rng(3)


def world(make: Make, n: int = 600, *, slope: float = 1.0) -> tuple[Demonstrations, np.ndarray]:
    """Prompt 1 is ahead of prompt 0 by `slope` times its margin, which runs from -0.4 to 0.4."""
    margins = RNG.uniform(-0.4, 0.4, n)
    rates = np.column_stack([0.5 - slope * margins / 2, 0.5 + slope * margins / 2])
    return make(RNG.binomial(1, rates)), np.column_stack([np.zeros(n), margins])


def test_points_leave_the_largest_margins_first(make_demonstrations: Make) -> None:
    logs, scores = world(make_demonstrations)
    groups, baseline = np.arange(600), np.zeros(600, int)
    found = risk_coverage(logs, scores, baseline=baseline, groups=groups, n_points=8)
    thresholds = [point.threshold for point in found.points]
    n_ahead = (scores[:, 1] > 0).sum()
    assert thresholds == sorted(thresholds, reverse=True)
    assert len(found.points) == 8
    assert found.points[-1].n_queries == n_ahead
    lots = np.diff([0, *(point.n_queries for point in found.points)])
    assert lots.max() - lots.min() <= 1
    for point in found.points:
        leaves = scores[:, 1] >= point.threshold
        assert point.n_queries == leaves.sum()
        assert point.share == pytest.approx(leaves.mean())
        choices = leaves.astype(int)
        assert point.gain == gain(logs, choices, baseline, groups=groups)
        assert point.gain_of_leaving is not None
        assert point.gain_of_leaving.n_queries == point.n_queries
        assert point.gain.value == pytest.approx(point.gain_of_leaving.value * point.share)
        assert point.gain_low < point.gain.value


def test_where_margins_tell_the_truth_a_threshold_is_found(make_demonstrations: Make) -> None:
    logs, scores = world(make_demonstrations)
    found = risk_coverage(logs, scores, baseline=np.zeros(600, int), groups=np.arange(600))
    assert found.best is not None
    assert found.widest is not None
    assert found.threshold == found.best.threshold < 0.2
    assert found.widest.threshold <= found.best.threshold
    assert found.best.gain_low == max(point.gain_low for point in found.points) > 0
    assert "gains at least" in found.reason
    held = json.loads(json.dumps(found.to_dict()))
    assert held["threshold"] == found.threshold
    assert len(held["points"]) == 20
    assert str(found).startswith(found.reason)


def test_where_small_margins_mislead_only_large_ones_leave(make_demonstrations: Make) -> None:
    n = 2000
    margins = RNG.uniform(0, 1, n)
    ahead = np.where(margins > 0.6, 0.5, -0.5)
    rates = np.column_stack([0.5 - ahead / 2, 0.5 + ahead / 2])
    logs, scores = make_demonstrations(RNG.binomial(1, rates)), np.column_stack([np.zeros(n), margins])
    found = risk_coverage(logs, scores, baseline=np.zeros(n, int), groups=np.arange(n))
    assert found.threshold == pytest.approx(0.6, abs=0.06)
    assert found.widest is not None
    assert found.widest.threshold < found.threshold
    assert found.points[-1].gain.high < 0


def test_where_nothing_gains_no_threshold_is_named(make_demonstrations: Make) -> None:
    logs, scores = world(make_demonstrations, slope=-1.0)
    found = risk_coverage(logs, scores, baseline=np.zeros(600, int), groups=np.arange(600))
    assert found.threshold is None
    assert found.widest is None
    assert found.to_dict()["best"] is None
    assert "No threshold is shown to gain where all 20 are looked at together" in found.reason


def test_a_gain_that_no_threshold_shows_is_not_denied(make_demonstrations: Make) -> None:
    """All that leave gain, but no threshold shows it among many: the rule may choose per query all the same."""
    logs, scores = _gain_that_is_just_shown(make_demonstrations)
    found = risk_coverage(logs, scores, baseline=np.zeros(300, int), groups=np.arange(300))
    assert found.points[-1].gain.low > 0
    assert found.threshold is None
    assert "keep" not in found.reason
    assert found.reason.endswith("whether to choose per query at all is the no-harm rule's decision, not this curve's.")


def _gain_that_is_just_shown(make: Make) -> tuple[Demonstrations, np.ndarray]:
    """Prompt 1 wins on 62 of 300 queries and loses on 40, anywhere along the margins."""
    trials = np.array([[0, 1]] * 62 + [[1, 0]] * 40 + [[1, 1]] * 198)
    order = np.random.default_rng(0).permutation(300)
    return make(trials[order]), np.column_stack([np.zeros(300), np.linspace(0.1, 0.4, 300)])


def test_a_threshold_is_seldom_found_where_there_is_nothing(make_demonstrations: Make) -> None:
    n_found = 0
    for _ in range(200):
        logs, scores = world(make_demonstrations, 150, slope=0.0)
        found = risk_coverage(logs, scores, baseline=np.zeros(150, int), groups=np.arange(150), n_points=10)
        n_found += found.threshold is not None
    assert n_found <= 18


def test_no_query_has_a_margin(make_demonstrations: Make) -> None:
    logs, scores = world(make_demonstrations, 40)
    found = risk_coverage(logs, -np.abs(scores), baseline=np.zeros(40, int), groups=np.arange(40))
    assert found.points == ()
    assert found.threshold is None
    assert "this curve names no threshold; whether to choose per query at all" in found.reason


def test_equal_margins_leave_together_and_a_query_counts_as_often_as_it_was_asked(make_demonstrations: Make) -> None:
    logs = make_demonstrations([[0, 1], [0, 2], [1, 0]] * 10, [[1, 1], [3, 3], [1, 1]] * 10)
    scores = np.tile([[0.0, 0.5], [0.0, 0.5], [0.0, -1.0]], (10, 1))
    found = risk_coverage(logs, scores, baseline=np.zeros(30, int), groups=np.arange(30))
    (point,) = found.points
    assert (point.n_queries, point.share) == (20, pytest.approx(40 / 50))


def test_each_query_has_its_own_best_single_prompt(make_demonstrations: Make) -> None:
    logs, scores = world(make_demonstrations, 100)
    baseline = (np.arange(100) % 2).astype(int)
    found = risk_coverage(logs, scores, baseline=baseline, groups=np.arange(100), n_points=1)
    assert found.points[0].n_queries == (scores.argmax(axis=1) != baseline).sum()


def test_a_query_that_leaves_alone_has_no_estimate_of_its_own(make_demonstrations: Make) -> None:
    logs = make_demonstrations([[0, 1]] * 12)
    scores = np.column_stack([np.zeros(12), [1.0, *[-1.0] * 11]])
    (point,) = risk_coverage(logs, scores, baseline=np.zeros(12, int), groups=np.arange(12)).points
    assert point.gain_of_leaving is None
    assert point.gain.has_few_groups


def test_bad_arguments(make_demonstrations: Make) -> None:
    logs, scores = world(make_demonstrations, 40)
    ours = {"baseline": np.zeros(40, int), "groups": np.arange(40)}
    with pytest.raises(ParameterError, match=r"level=0\.4"):
        risk_coverage(logs, scores, level=0.4, **ours)
    with pytest.raises(ParameterError, match="n_points=0"):
        risk_coverage(logs, scores, n_points=0, **ours)
    for bad in (scores[:, :1], scores[1:], np.where(scores > 0, np.nan, scores)):
        with pytest.raises(DataError, match="finite scores for 40 queries × 2 prompts"):
            risk_coverage(logs, bad, **ours)
