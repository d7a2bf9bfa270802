from __future__ import annotations

import pytest

from prompt_oirl.collect.plan.budget import Budget, Ledger
from prompt_oirl.collect.plan.prices import Price
from prompt_oirl.collect.plan.tokens import CharacterCounter
from prompt_oirl.collect.progress import Progress, ProgressMeter, no_progress
from prompt_oirl.records import Message
from prompt_oirl.runs.outcomes import Completion, Failure, Outcome
from prompt_oirl.runs.spending import Spending

ANSWER = Completion("4", "m", prompt_tokens=100, completion_tokens=10)
FAILURE = Failure("timeout", "60 s")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


PRICE = Price(input=1e4, output=1e5)


def ledger(*, spent: Spending | None = None, price: Price | None = PRICE) -> Ledger:
    return Ledger(Budget(), spent=spent or Spending(), price=price, counter=CharacterCounter(), max_answer_tokens=None)


def settle(made: Ledger, outcome: Outcome) -> None:
    reservation = made.reserve([Message("user", "What is 2 + 2?")])
    assert reservation is not None
    made.settle(reservation, outcome)


def test_the_numbers_follow_the_outcomes() -> None:
    clock, seen, of_run = Clock(), [], ledger()
    meter = ProgressMeter(ledger=of_run, limit=lambda: 7, on_progress=seen.append, clock=clock)
    meter.expect(10)
    for outcome in (ANSWER, FAILURE, ANSWER):
        clock.now += 0.5
        settle(of_run, outcome)
        meter.count(outcome)
    last = Progress(
        answered=2, failed=1, left=7, seconds=1.5, tokens=220, usd=4.0, projected_usd=4 + 4 / 3 * 7, limit=7
    )
    assert seen[-1] == last
    assert (last.done, last.per_second) == (3, 2.0)
    assert last.to_dict()["answered"] == 2
    assert [each.left for each in seen] == [9, 8, 7]


def test_nothing_has_happened_yet() -> None:
    meter = ProgressMeter(ledger=ledger(), limit=lambda: 1, on_progress=no_progress, clock=Clock())
    now = meter.now()
    assert (now.done, now.left, now.per_second, now.usd, now.projected_usd) == (0, 0, 0.0, 0.0, None)


def test_what_comes_beyond_what_was_expected_leaves_nothing() -> None:
    of_run = ledger()
    meter = ProgressMeter(ledger=of_run, limit=lambda: 1, on_progress=no_progress)
    settle(of_run, ANSWER)
    meter.count(ANSWER)
    assert meter.now().left == 0
    meter.expect(5)
    assert meter.now().left == 5


def test_an_unpriced_model_has_no_projection() -> None:
    of_run = ledger(price=None)
    meter = ProgressMeter(ledger=of_run, limit=lambda: 1, on_progress=no_progress)
    settle(of_run, ANSWER)
    meter.count(ANSWER)
    assert (meter.now().usd, meter.now().projected_usd) == (None, None)


def test_a_resumed_run_is_projected_by_its_own_calls_and_then_by_those_of_this_session() -> None:
    """Answers of 2 USD were bought before; the critiques of now cost 1 USD each, half of it for their requests."""
    of_run = ledger(spent=Spending(requests=5, answered=4, failed=1, prompt_tokens=500, completion_tokens=50))
    meter = ProgressMeter(ledger=of_run, limit=lambda: 1, on_progress=no_progress)
    meter.expect(10)
    assert meter.now().projected_usd == pytest.approx(10 + 10 * 2)
    settle(of_run, Completion("yes", "m", prompt_tokens=50, completion_tokens=5))
    meter.count(ANSWER)
    assert meter.now().projected_usd == pytest.approx(11 + 9 * 1)


def test_answers_without_counts_are_estimated_in_tokens_and_money_alike() -> None:
    of_run = ledger()
    meter = ProgressMeter(ledger=of_run, limit=lambda: 1, on_progress=no_progress)
    settle(of_run, Completion("four", "m"))
    assert meter.now().tokens == of_run.tokens > 0
