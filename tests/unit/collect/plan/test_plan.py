from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prompt_oirl.collect.plan.grid import Grid
from prompt_oirl.collect.plan.plan import Plan, requests_answered, uncounted_tokens
from prompt_oirl.collect.plan.prices import Price
from prompt_oirl.collect.plan.tokens import CharacterCounter
from prompt_oirl.errors import ParameterError
from prompt_oirl.records import SLOT, Prompt, Query, Question
from prompt_oirl.runs.configuration import RunConfiguration, SamplingParameters
from prompt_oirl.runs.outcomes import Completion, Failure
from prompt_oirl.runs.spending import Spending
from prompt_oirl.runs.store import RunStore, State, StoredOutcome

PROMPTS = (Prompt("plain", SLOT), Prompt("polite", f"Please: {SLOT}"))


def grid(n_queries: int = 3, *, n_samples: int = 1, **parameters: Any) -> Grid:
    queries = tuple(Question(Query(f"How much is {i:04d}?")) for i in range(n_queries))
    configuration = RunConfiguration("some-model", "http://localhost/v1", SamplingParameters(**parameters))
    return Grid(queries, PROMPTS, n_samples, configuration)


def states(made: Grid, *of_cells: State | None) -> dict[bytes, State]:
    keys: list[bytes] = made.keys.tolist()
    return {key: state for key, state in zip(keys, of_cells, strict=False) if state is not None}


def test_what_is_stored_is_counted_and_the_rest_is_to_come() -> None:
    made = grid()
    stored = states(made, "answered", "failed", "planned", "claimed") | {b"0" * 16: "answered"}
    counts = Plan.of(made, stored).counts
    assert (counts.queries, counts.prompts, counts.samples, counts.cells, counts.chosen) == (3, 2, 1, 6, 6)
    assert (counts.answered, counts.failed, counts.planned, counts.claimed) == (1, 1, 1, 1)
    assert (counts.to_come, counts.elsewhere) == (4, 1)
    assert Plan.of(made, stored, retry_failed=True).counts.to_come == 5


def test_calls_come_in_the_grids_order_with_their_messages() -> None:
    made = grid()
    calls = list(Plan.of(made, states(made, None, "answered", "claimed")).calls())
    assert [call.cell for call in calls] == [made.cell(number) for number in (0, 2, 3, 4, 5)]
    assert [call.messages for call in calls] == [made.messages(number) for number in (0, 2, 3, 4, 5)]


def test_calls_are_made_when_they_are_asked_for() -> None:
    made = grid()
    calls = Plan.of(made, {}).calls()
    assert next(calls).cell == made.cell(0)


def test_a_strategy_chooses_cells_with_a_propensity() -> None:
    made = grid()
    chosen = np.array([True, True, False, True, False, False])
    propensities = np.array([0.5, 0.25, 0.0, 1.0, np.nan, 0.1])
    plan = Plan.of(made, states(made, "answered", None, "answered"), chosen=chosen, propensities=propensities)
    assert [(call.cell.key, call.cell.propensity) for call in plan.calls()] == [
        (made.cell(1).key, 0.25),
        (made.cell(3).key, 1.0),
    ]
    assert (plan.counts.chosen, plan.counts.answered, plan.counts.to_come, plan.counts.elsewhere) == (3, 1, 2, 0)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"chosen": np.ones(5, dtype=bool)}, r"chosen has the shape \(5,\); \(6,\), one for each cell"),
        ({"chosen": np.ones(6)}, "chosen has the type float64"),
        ({"propensities": np.ones((2, 3))}, r"propensities has the shape \(2, 3\)"),
        ({"propensities": np.array([1, 1, 0, 1, 1, 1.0])}, r"the propensity 0\.0; a probability"),
        ({"propensities": np.array([1, 1, np.nan, 1, 1, 1])}, "the propensity nan"),
        ({"propensities": np.array([1, 1, 1.5, 1, 1, 1])}, r"the propensity 1\.5"),
    ],
)
def test_a_choice_that_does_not_fit_the_grid_is_refused(arrays: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Plan.of(grid(), {}, **arrays)


def test_several_samples_at_temperature_0_are_warned_about() -> None:
    (warning,) = Plan.of(grid(n_samples=3, temperature=0.0), {}).warnings
    assert warning.startswith("3 samples at temperature 0 buy the same answer 3 times")
    assert Plan.of(grid(n_samples=1, temperature=0.0), {}).warnings == ()
    assert Plan.of(grid(n_samples=3, temperature=0.7), {}).warnings == ()
    assert Plan.of(grid(n_samples=3), {}).warnings == ()


def test_an_estimate_says_what_it_rests_on() -> None:
    made = grid(max_tokens=100)
    plan = Plan.of(made, states(made, "answered", "answered"))
    counter, price = CharacterCounter(), Price(2, 4)
    tokens = sum(counter.count(made.messages(number)) for number in range(2, 6))
    before = plan.estimate(counter, spent=Spending(), price=price)
    assert (before.calls, before.prompt_tokens, before.completion_tokens) == (4, tokens, 400)
    assert before.prompt_basis == "estimated: 4 characters per token"
    assert before.completion_basis == "at most: max_tokens=100 for each answer"
    assert before.usd == pytest.approx((2 * tokens + 4 * 400) / 1e6)
    assert before.usd_basis == "2 USD per million tokens asked, 4 answered; the answers: at most"
    spent = Spending(requests=4, answered=3, prompt_tokens=60, completion_tokens=25, uncounted=1)
    after = plan.estimate(counter, spent=spent, price=None)
    assert after.completion_tokens == 50
    assert after.completion_basis == "measured: 12.5 tokens an answer, the mean of 2 stored ones"
    assert (after.usd, after.usd_basis) == (None, "unpriced: no price of the model is known")


def test_answers_of_unknown_length_are_not_guessed() -> None:
    estimate = Plan.of(grid(), {}).estimate(CharacterCounter(), spent=Spending(), price=Price(1000, 1))
    assert (estimate.completion_tokens, estimate.usd) == (None, None)
    assert estimate.completion_basis == "unknown: no answer is stored yet, and max_tokens is not set"
    assert estimate.usd_basis.startswith("unknown, as the tokens of the answers are; the requests alone cost 0.0")


def test_of_many_calls_a_sample_is_counted_and_scaled() -> None:
    made = grid(12_000, max_tokens=1)
    counter = CharacterCounter()
    estimate = Plan.of(made, {}).estimate(counter, spent=Spending(), price=None)
    exact = sum(counter.count(made.messages(number)) for number in range(len(made)))
    assert estimate.prompt_tokens == pytest.approx(exact, rel=0.02)
    assert estimate.prompt_basis.endswith("per token; a random 10,000 of the 24,000 calls, scaled up")


def test_nothing_to_come_costs_nothing() -> None:
    made = grid(1)
    plan = Plan.of(made, states(made, "answered", "failed"))
    estimate = plan.estimate(CharacterCounter(), spent=Spending(answered=1, completion_tokens=9), price=Price(1, 1))
    assert (estimate.calls, estimate.prompt_tokens, estimate.completion_tokens, estimate.usd) == (0, 0, 0, 0)
    assert list(plan.calls()) == []


def test_a_plan_is_plain_values() -> None:
    plan = Plan.of(grid(n_samples=2, temperature=0), {})
    shown = json.loads(json.dumps(plan.to_dict(plan.estimate(CharacterCounter(), spent=Spending(), price=None))))
    assert shown["to_come"] == shown["cells"] == shown["estimate"]["calls"] == 12
    assert len(shown["warnings"]) == 1
    assert plan.to_dict()["estimate"] is None


def test_answers_are_brought_together_with_their_requests() -> None:
    made = grid(2)
    completion = Completion("yes", "m", prompt_tokens=3, completion_tokens=1)
    uncounted = Completion("perhaps", "m", completion_tokens=2)
    stored = [
        StoredOutcome(made.cell(0), completion),
        StoredOutcome(made.cell(1), Failure("timeout", "late")),
        StoredOutcome(made.cell(2), uncounted),
    ]
    pairs = list(requests_answered(made.queries, made.prompts, stored))
    assert pairs == [(made.messages(0), completion), (made.messages(2), uncounted)]
    assert list(requests_answered(made.queries, (), stored)) == []
    counter = CharacterCounter()
    assert uncounted_tokens(pairs, counter) == (counter.count(made.messages(2)), 0)
    assert uncounted_tokens([(made.messages(0), Completion("four", "m"))], counter)[1] == 5


def test_a_plan_goes_on_where_the_store_is(tmp_path: Path) -> None:
    made = grid(4)
    with RunStore.open(f"sqlite:///{tmp_path / 'store.sqlite'}", configuration=made.configuration) as store:
        store.register(made.queries, made.prompts)
        bought = [call.cell for call, _ in zip(Plan.of(made, store.states()).calls(), range(3), strict=False)]
        store.save([StoredOutcome(cell, Completion("yes", "m")) for cell in bought])
        plan = Plan.of(made, store.states())
        assert (plan.counts.answered, plan.counts.to_come) == (3, 5)
        assert not {call.cell.key for call in plan.calls()} & {cell.key for cell in bought}
