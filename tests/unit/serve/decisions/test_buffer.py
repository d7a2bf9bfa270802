from __future__ import annotations

from collections.abc import Callable

import pytest

from prompt_oirl.serve.decision import Decision
from prompt_oirl.serve.decisions.buffer import DecisionBuffer

MakeDecision = Callable[..., Decision]


def test_decisions_leave_in_their_order_and_are_there_until_confirmed(make_decision: MakeDecision) -> None:
    buffer, given = DecisionBuffer(10), [make_decision() for _ in range(5)]
    assert all(map(buffer.add, given))
    assert buffer.take(2) == given[:2]
    assert buffer.take(3) == given[:3]
    assert buffer.take(1) == given[:3]
    assert len(buffer) == 5
    buffer.confirm()
    assert buffer.take(3) == given[3:]
    buffer.confirm()
    assert (len(buffer), buffer.n_dropped, buffer.take(3)) == (0, 0, [])


def test_what_has_no_place_is_dropped_and_counted(make_decision: MakeDecision) -> None:
    buffer, given = DecisionBuffer(3), [make_decision() for _ in range(5)]
    assert [buffer.add(each) for each in given] == [True] * 3 + [False] * 2
    assert buffer.n_dropped == 2
    buffer.take(1)
    assert not buffer.add(given[3])  # what is being stored needs its place until it is
    buffer.confirm()
    assert buffer.add(given[3])
    assert buffer.take(10) == given[1:4]


@pytest.mark.parametrize("fields", [{"query": "q" * 101}, {"candidates": ("a", "b")}])
def test_long_decisions_take_more_room(
    make_decision: MakeDecision, monkeypatch: pytest.MonkeyPatch, fields: dict[str, object]
) -> None:
    monkeypatch.setattr("prompt_oirl.serve.decisions.buffer._MOST_CHARACTERS", 300)
    buffer = DecisionBuffer(100)
    assert [buffer.add(make_decision(**fields)) for _ in range(3)] == [True, True, False]
    assert buffer.add(make_decision())
    buffer.take(1)
    buffer.confirm()
    assert [buffer.add(make_decision(**fields)) for _ in range(2)] == [True, False]


def test_what_is_given_up_is_counted(make_decision: MakeDecision) -> None:
    buffer = DecisionBuffer(10)
    for _ in range(5):
        buffer.add(make_decision())
    buffer.take(2)
    assert buffer.give_up() == 5
    assert (len(buffer), buffer.n_dropped) == (0, 5)
    buffer.add(make_decision())
    buffer.take(1)
    buffer.confirm(n_lost=1)
    assert (len(buffer), buffer.n_dropped, buffer.give_up()) == (0, 6, 0)
