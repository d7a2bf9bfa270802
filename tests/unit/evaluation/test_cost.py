"""Value against cost."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ParameterError
from prompt_oirl.evaluation import CostCurve, cost_curve, prompt_tokens
from prompt_oirl.records import Message, Prompt

Make = Callable[..., Demonstrations]
PROBABILITIES = np.repeat([[0.9, 0.8], [0.9, 0.3]], 100, axis=0)


def curve(make: Make, costs: object = (10.0, 2.0), **options: object) -> CostCurve:
    logs = make(np.random.default_rng(0).binomial(1, PROBABILITIES))
    return cost_curve(logs, PROBABILITIES, np.array(costs), groups=logs.groups(), **options)  # type: ignore[arg-type]


def test_the_dearer_prompt_is_chosen_where_its_score_is_worth_its_cost(make_demonstrations: Make) -> None:
    """Of the first hundred queries it costs 8 more for 0.1, of the others for 0.6."""
    points = {each.lambda_: each for each in curve(make_demonstrations, lambdas=[0.0, 0.05, 0.1]).points}
    assert points[0.0].shares == (1.0, 0.0)
    assert points[0.05].shares == (0.5, 0.5)
    assert points[0.1].shares == (0.0, 1.0)
    assert [points[each].cost.value for each in (0.0, 0.05, 0.1)] == pytest.approx([10, 6, 2])
    assert [points[each].saving.value for each in (0.0, 0.05, 0.1)] == pytest.approx([0, 4, 8])
    assert points[0.05].saving.low < 4 < points[0.05].saving.high
    assert points[0.05].gain.value == pytest.approx(points[0.05].value.value - points[0.0].value.value)


def test_the_front_rises_and_nothing_is_under_it(make_demonstrations: Make) -> None:
    found = curve(make_demonstrations)
    front = found.front
    assert front[0].cost.value == 2
    assert front[-1].gain.value == max(point.gain.value for point in found.points)
    for cheap, dear in pairwise(front):
        assert cheap.cost.value < dear.cost.value
        assert cheap.gain.value < dear.gain.value
    for point in found.points:
        assert any(on.cost.value <= point.cost.value and on.gain.value >= point.gain.value for on in front)
    json.dumps(found.to_dict(), allow_nan=False)


def test_every_prompt_alone_is_a_point(make_demonstrations: Make) -> None:
    alone = {each.name: each for each in curve(make_demonstrations).points if each.lambda_ is None}
    assert set(alone) == {"p0", "p1"}
    assert (alone["p1"].cost.low, alone["p1"].cost.value, alone["p1"].cost.high) == (2, 2, 2)
    assert alone["p0"].gain.value == 0


def test_a_prompt_that_was_never_tried_with_the_baseline_is_no_point(make_demonstrations: Make) -> None:
    trials = np.repeat([[1, 1, 0], [0, 0, 1]], [180, 20], axis=0)
    logs = make_demonstrations(trials, trials)
    found = cost_curve(logs, np.ones((200, 3)), np.ones(3), groups=logs.groups(), baseline=np.zeros(200, int))
    assert [each.name for each in found.points if each.lambda_ is None] == ["p0", "p1"]


def test_the_default_grid_goes_from_the_best_scores_to_the_cheapest_prompts(make_demonstrations: Make) -> None:
    per_query = [each for each in curve(make_demonstrations).points if each.lambda_ is not None]
    assert per_query[0].shares == (0.0, 1.0)
    assert per_query[-1].lambda_ == 0
    assert per_query[-1].shares == (1.0, 0.0)


def test_intervals_do_not_depend_on_the_unit_of_money(make_demonstrations: Make) -> None:
    dollars = curve(make_demonstrations, (10e-6, 2e-6), lambdas=[0.05e6]).points[0]
    tokens = curve(make_demonstrations, lambdas=[0.05]).points[0]
    assert 1e6 * dollars.saving.low == pytest.approx(tokens.saving.low)
    assert 1e6 * dollars.cost.high == pytest.approx(tokens.cost.high)


def test_costs_may_differ_by_query(make_demonstrations: Make) -> None:
    costs = np.where(np.arange(200)[:, None] < 100, [[10.0, 2.0]], [[1.0, 2.0]])
    found = curve(make_demonstrations, costs, lambdas=[0.1]).points[0]
    assert found.shares == (0.5, 0.5)
    assert found.cost.value == pytest.approx(1.5)


def test_what_self_critique_spends(make_demonstrations: Make) -> None:
    found = curve(make_demonstrations, lambdas=[0.05])
    critique = found.self_critique
    assert (critique.calls_per_query, critique.calls_avoided) == (4, 3 * 200)
    assert critique.cost_per_query == 2 * (10 + 2)
    assert not critique.is_critique_cost_given
    assert critique.avoided(found.points[0]) == pytest.approx(24 - 6)
    given = curve(make_demonstrations, lambdas=[0.05], critique_costs=np.array([20.0, 20.0])).self_critique
    assert (given.cost_per_query, given.is_critique_cost_given) == (52, True)


def test_a_prompt_costs_its_words_numbers_and_marks() -> None:
    prompts = [
        Prompt.from_text("Think step by step.", id="a"),
        Prompt("b", "{{query}} Answer.", context=(Message("system", "Be brief!"),)),
    ]
    assert prompt_tokens(prompts).tolist() == [5, 5]


def test_bad_arguments(make_demonstrations: Make) -> None:
    for costs, message in (
        ([1.0], "shape"),
        ([-1.0, 1.0], "at least 0"),
        ([np.nan, 1.0], "finite"),
    ):
        with pytest.raises(ParameterError, match=message):
            curve(make_demonstrations, costs)
    for lambdas in ([], [-1.0], [np.inf]):
        with pytest.raises(ParameterError, match="lambdas"):
            curve(make_demonstrations, lambdas=lambdas)
