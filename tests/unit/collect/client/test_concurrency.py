from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prompt_oirl.collect.client.concurrency import AdaptiveConcurrency
from prompt_oirl.errors import ParameterError


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_no_more_than_the_limit_are_under_way() -> None:
    gate = AdaptiveConcurrency(3)
    most = 0

    async def call() -> None:
        nonlocal most
        async with gate:
            most = max(most, gate.in_flight)
            await asyncio.sleep(0)

    await asyncio.gather(*(call() for _ in range(50)))
    assert (most, gate.in_flight) == (3, 0)


async def test_slots_are_handed_out_in_order() -> None:
    gate = AdaptiveConcurrency(2)
    order: list[int] = []

    async def call(number: int) -> None:
        async with gate:
            order.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*(call(number) for number in range(20)))
    assert order == list(range(20))


async def test_who_comes_late_does_not_overtake() -> None:
    gate = AdaptiveConcurrency(1)
    await gate.acquire()
    first = asyncio.create_task(gate.acquire())
    await settle()
    gate.release()
    late = asyncio.create_task(gate.acquire())
    await settle()
    assert (first.done(), late.done()) == (True, False)
    late.cancel()
    gate.release()


def test_halved_once_for_all_that_were_under_way() -> None:
    clock = Clock()
    gate = AdaptiveConcurrency(64, clock=clock)
    started = [clock() for _ in range(64)]
    for each in started:
        gate.rate_limited(each)
    assert gate.limit == 32
    gate.rate_limited(clock())
    assert gate.limit == 16
    for _ in range(10):
        gate.rate_limited(clock())
    assert gate.limit == 1


def test_grows_by_one_for_as_many_successes_as_there_are_slots() -> None:
    gate = AdaptiveConcurrency(4, start=1)
    limits = []
    for _ in range(12):
        gate.succeeded()
        limits.append(gate.limit)
    assert limits == [2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4]


def test_successes_before_a_429_do_not_count() -> None:
    gate = AdaptiveConcurrency(9, start=8)
    for _ in range(7):
        gate.succeeded()
    gate.rate_limited(1e18)
    gate.succeeded()
    assert gate.limit == 4


async def test_a_halved_gate_lets_nobody_in_before_enough_have_left() -> None:
    gate = AdaptiveConcurrency(4)
    for _ in range(4):
        await gate.acquire()
    waiting = asyncio.create_task(gate.acquire())
    gate.rate_limited(1e18)
    gate.release()
    gate.release()
    await settle()
    assert not waiting.done()
    gate.release()
    await settle()
    assert waiting.done()
    assert gate.in_flight == 2


async def test_growth_wakes_who_waits() -> None:
    gate = AdaptiveConcurrency(2, start=1)
    await gate.acquire()
    waiting = asyncio.create_task(gate.acquire())
    await settle()
    gate.succeeded()
    await settle()
    assert waiting.done()


async def test_a_slot_handed_to_a_cancelled_task_is_passed_on() -> None:
    gate = AdaptiveConcurrency(1)
    await gate.acquire()
    cancelled, next_one = asyncio.create_task(gate.acquire()), asyncio.create_task(gate.acquire())
    await settle()
    gate.release()  # hands the slot out; the task has not run yet
    cancelled.cancel()
    await settle()
    assert cancelled.cancelled()
    assert next_one.done()
    assert gate.in_flight == 1


Step = tuple[str, int]
STEPS = ["ask", "ask", "run", "leave", "cancel", "429", "old 429", "success"]
steps = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 20)), min_size=30, max_size=60)


@given(st.integers(1, 6), steps)
@settings(deadline=None)
def test_no_slot_is_lost_and_none_is_invented(most: int, script: list[Step]) -> None:
    asyncio.run(follow(AdaptiveConcurrency(most, clock=Clock()), script))


async def follow(gate: AdaptiveConcurrency, script: list[Step]) -> None:
    asked: list[asyncio.Task[None]] = []
    inside: list[asyncio.Task[None]] = []

    async def ask() -> None:
        await gate.acquire()
        mine = asyncio.current_task()
        assert mine is not None
        inside.append(mine)

    actions: dict[str, Callable[[int], object]] = {
        "ask": lambda _: asked.append(asyncio.create_task(ask())),
        "cancel": lambda i: asked[i % len(asked)].cancel() if asked else None,
        "leave": lambda i: (inside.pop(i % len(inside)), gate.release()) if inside else None,
        "429": lambda _: gate.rate_limited(1e18),
        "old 429": lambda _: gate.rate_limited(-1.0),
        "success": lambda _: gate.succeeded(),
    }
    for name, number in script:
        before = gate.in_flight
        if name == "run":
            await settle()
            assert gate.in_flight == len(inside)
            let_in = [task.done() for task in asked if not task.cancelled()]
            assert all(let_in) or gate.in_flight >= gate.limit, "who waits, waits for a reason"
            assert let_in == sorted(let_in, reverse=True), "who asked first is let in first"
        else:
            actions[name](number)
        assert 1 <= gate.limit <= gate.most
        assert gate.in_flight <= max(before, gate.limit)
    await settle()
    while any(not task.done() for task in asked):
        assert inside
        inside.pop()
        gate.release()
        await settle()
    assert gate.in_flight == len(inside)


@pytest.mark.parametrize(("most", "start"), [(0, None), (4, 5), (4, 0)])
def test_arguments_that_cannot_be_used(most: int, start: int | None) -> None:
    with pytest.raises(ParameterError, match="1 ≤ start ≤ most"):
        AdaptiveConcurrency(most, start=start)


def test_a_slot_is_given_back_once() -> None:
    gate = AdaptiveConcurrency(1)
    with pytest.raises(ParameterError, match="without an acquire"):
        gate.release()
    assert repr(gate) == "AdaptiveConcurrency(most=1, limit=1, in_flight=0)"
