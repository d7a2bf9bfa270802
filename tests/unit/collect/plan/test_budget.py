from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_oirl.collect.plan.budget import Budget, Ledger, Reservation
from prompt_oirl.collect.plan.prices import Price, PriceFile
from prompt_oirl.errors import ParameterError
from prompt_oirl.records import Message
from prompt_oirl.runs.outcomes import Completion, Failure, Outcome
from prompt_oirl.runs.spending import Spending


class LengthCounter:
    """One token a character."""

    basis = "for tests"

    def count(self, messages: Sequence[Message]) -> int:
        return sum(len(message.content) for message in messages)


def asking(n_tokens: int) -> list[Message]:
    return [Message("user", "x" * n_tokens)]


def answer(
    prompt_tokens: int | None, completion_tokens: int | None, *, text: str = "yes", attempts: int = 1
) -> Outcome:
    counts = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
    return Completion(text, "m", attempts=attempts, **counts)


def ledger(
    *,
    spent: Spending | None = None,
    price: Price | None = None,
    max_answer_tokens: int | None = 10,
    uncounted: tuple[int, int] = (0, 0),
    **caps: float,
) -> Ledger:
    return Ledger(
        Budget(**caps),  # type: ignore[arg-type]
        spent=spent or Spending(),
        price=price,
        counter=LengthCounter(),
        max_answer_tokens=max_answer_tokens,
        uncounted=uncounted,
    )


def reserved(made: Ledger, n_tokens: int) -> Reservation:
    reservation = made.reserve(asking(n_tokens))
    assert reservation is not None
    return reservation


@pytest.mark.parametrize(
    "caps",
    [
        {"max_calls": 0},
        {"max_calls": True},
        {"max_calls": 1.5},
        {"max_tokens": -1},
        {"max_usd": 0},
        {"max_usd": float("nan")},
        {"max_usd": float("inf")},
        {"max_usd": True},
        {"max_usd": "5"},
    ],
)
def test_a_cap_is_positive(caps: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match=f"{next(iter(caps))}=.* is needed, or none for no cap"):
        Budget(**caps)  # type: ignore[arg-type]


def test_without_caps_everything_fits() -> None:
    made = ledger(max_answer_tokens=None)
    for _ in range(100):
        made.settle(reserved(made, 1000), answer(1000, 10**6))
    assert made.reached is None
    assert made.spending == Spending(100, 100, 0, 10**5, 10**8)
    assert made.usd is None


def test_a_call_waits_for_those_in_flight_and_only_then_is_the_cap_reached() -> None:
    made = ledger(max_tokens=50)
    first, second = reserved(made, 10), reserved(made, 10)
    assert made.reserve(asking(10)) is None
    assert made.reached is None
    made.settle(first, answer(10, 5))
    assert made.reserve(asking(10)) is None
    assert made.reached is None
    made.settle(second, answer(10, 5))
    made.settle(reserved(made, 10), answer(10, 1))
    assert made.reserve(asking(10)) is None
    assert made.reached == "max_tokens"
    assert made.refusal == "max_tokens=50: 41 spent, the next call may take 20"


def test_a_call_that_could_never_fit_reaches_the_cap_though_others_are_in_flight() -> None:
    made = ledger(max_tokens=50)
    reserved(made, 10)
    assert made.reserve(asking(1000)) is None
    assert made.reached == "max_tokens"


def test_requests_count_attempts() -> None:
    made = ledger(max_calls=4)
    first = reserved(made, 1)
    made.settle(first, answer(1, 1, attempts=3))
    made.settle(reserved(made, 1), Failure("timeout", "no answer", attempts=1))
    assert made.spending == Spending(requests=4, answered=1, failed=1, prompt_tokens=1, completion_tokens=1)
    assert made.reserve(asking(1)) is None
    assert made.reached == "max_calls"
    assert made.refusal == "max_calls=4: 4 spent, the next call may take 1"


def test_money_is_capped_at_the_models_price() -> None:
    made = ledger(max_usd=1.0, price=Price(10_000, 20_000))
    made.settle(reserved(made, 50), answer(50, 10))
    assert made.usd == pytest.approx(0.7)
    made.settle(reserved(made, 5), answer(5, 5))
    assert made.reserve(asking(1)) is None
    assert made.refusal == "max_usd=1: 0.85 spent, the next call may take 0.21"


def test_what_was_spent_before_counts() -> None:
    made = ledger(max_tokens=100, spent=Spending(9, 9, 0, 80, 10), uncounted=(3, 4))
    assert made.tokens == 97
    assert made.reserve(asking(1)) is None
    assert made.reached == "max_tokens"


def test_an_answer_that_the_server_did_not_count_is_estimated() -> None:
    made = ledger(max_tokens=100, price=Price(1, 1))
    made.settle(reserved(made, 20), answer(None, None, text="12345"))
    assert made.spending == Spending(requests=1, answered=1, uncounted=1)
    assert made.tokens == 25
    assert made.usd == pytest.approx(25e-6)
    made.settle(reserved(made, 20), answer(None, None, text="longer than ten tokens"))
    assert made.tokens == 55


def test_without_a_limit_an_answer_is_taken_for_the_longest_so_far() -> None:
    made = ledger(max_tokens=5000, max_answer_tokens=None)
    first = reserved(made, 1)
    assert first.answer_tokens == 1024
    made.settle(first, answer(1, 30))
    second = reserved(made, 1)
    made.settle(second, answer(1, 7))
    assert (second.answer_tokens, reserved(made, 1).answer_tokens) == (30, 30)


def test_where_the_server_counts_more_than_the_counter_more_is_reserved() -> None:
    made = ledger()
    first, second = reserved(made, 10), reserved(made, 10)
    made.settle(first, answer(17, 1))
    made.settle(second, answer(15, 1))
    third = reserved(made, 20)
    assert third.prompt_tokens == 27
    made.settle(third, answer(27, 1))
    assert reserved(made, 20).prompt_tokens == 27


def test_a_reservation_is_settled_once() -> None:
    made = ledger(max_calls=2)
    first, second = reserved(made, 1), reserved(made, 1)
    made.release(first)
    with pytest.raises(ParameterError, match="settle it once"):
        made.settle(first, answer(1, 1))
    made.settle(second, answer(1, 1))
    assert reserved(made, 1)
    assert made.spending.requests == 1


def test_what_others_have_spent_is_taken_in() -> None:
    made = ledger(max_calls=10)
    made.settle(reserved(made, 1), answer(5, 5))
    made.observe(Spending(requests=9, answered=8, failed=1, prompt_tokens=3, completion_tokens=50))
    assert made.spending == Spending(9, 8, 1, 5, 50)
    assert reserved(made, 1)
    assert made.reserve(asking(1)) is None


def test_a_cap_on_money_needs_a_price(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="max_usd=5 can only be kept where the model's price is known"):
        ledger(max_usd=5)
    path = tmp_path / "prices.yaml"
    path.write_text("gpt-4o: {input: 1, output: 2}")
    prices = PriceFile.read(path)
    assert Budget(max_usd=5).price_of("gpt-4o", prices) == Price(1, 2)
    with pytest.raises(ParameterError, match=r"prices\.yaml has no price of 'gpt-4'; .* add a line gpt-4: {input"):
        Budget(max_usd=5).price_of("gpt-4", prices)
    with pytest.raises(ParameterError, match="no price of 'gpt-4' is known; give a price file"):
        Budget(max_usd=5).price_of("gpt-4", None)
    assert Budget(max_calls=5).price_of("gpt-4", None) is None


CAP_SETS = st.fixed_dictionaries(
    {}, optional={"max_calls": st.integers(1, 30), "max_tokens": st.integers(1, 500), "max_usd": st.floats(1e-6, 2.0)}
)
STEPS = st.lists(
    st.tuples(
        st.booleans(),
        st.integers(1, 40),
        st.floats(0, 1),
        st.floats(0, 1),
        st.sampled_from(["counted", "uncounted", "half counted", "failure"]),
    ),
    max_size=80,
)


@given(
    caps=CAP_SETS,
    steps=STEPS,
    max_answer_tokens=st.integers(1, 60),
    price=st.builds(Price, st.floats(0, 9e3), st.floats(0, 9e3)),
)
def test_caps_are_never_exceeded_where_answers_have_a_limit(
    caps: dict[str, float], steps: list[tuple[bool, int, float, float, str]], max_answer_tokens: int, price: Price
) -> None:
    made = ledger(**caps, max_answer_tokens=max_answer_tokens, price=price)
    in_flight: list[tuple[Reservation, int]] = []
    for is_new, n_tokens, share, part, kind in steps:
        if is_new or not in_flight:
            reservation = made.reserve(asking(n_tokens))
            if reservation is not None:
                in_flight.append((reservation, n_tokens))
            else:
                assert in_flight or made.reached
        else:
            reservation, asked = in_flight.pop(int(part * (len(in_flight) - 1)))
            counts = {
                "counted": (int(share * asked), int(part * max_answer_tokens)),
                "uncounted": (None, None),
                "half counted": (None, max_answer_tokens),
            }
            is_failure = kind == "failure"
            made.settle(reservation, Failure("timeout", "late") if is_failure else answer(*counts[kind], text="y" * 50))
        assert made.spending.requests <= caps.get("max_calls", 10**9)
        assert made.tokens <= caps.get("max_tokens", 10**9)
        assert (made.usd or 0) <= caps.get("max_usd", 1e9)


def test_a_failure_may_cost_tokens() -> None:
    made = ledger(max_tokens=100)
    made.settle(reserved(made, 5), Failure("no_content", "filtered", attempts=2, prompt_tokens=20, completion_tokens=7))
    assert made.spending == Spending(requests=2, failed=1, prompt_tokens=20, completion_tokens=7)
    assert (made.tokens, made.n_settled) == (27, 1)
    made.settle(reserved(made, 5), answer(5, 5))
    assert made.n_settled == 2
    made.observe(Spending(requests=100, answered=100))
    assert made.n_settled == 2, "what others have bought is not this ledger's"
