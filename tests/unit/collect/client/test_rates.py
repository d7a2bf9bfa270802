from __future__ import annotations

import asyncio

import pytest

from prompt_oirl.collect.client.rates import RateLimits
from prompt_oirl.errors import ParameterError


class SimulatedTime(asyncio.SelectorEventLoop):
    """A loop that jumps to the next timer instead of waiting for it; each turn of it takes a tenth of a microsecond."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        select = self._selector.select
        self._selector.select = lambda timeout=None: (self._advance(timeout), select(0))[1]

    def _advance(self, timeout: float | None) -> None:
        self.now += (timeout or 0.0) + 1e-7

    def time(self) -> float:
        return self.now


async def admission_times(rates: RateLimits, amounts: list[int]) -> list[float]:
    """Return when each of several calls that come at once is let through, in order of coming."""
    clock = asyncio.get_running_loop().time
    times = [0.0] * len(amounts)

    async def call(number: int, amount: int) -> None:
        await rates.wait(amount)
        times[number] = clock()

    await asyncio.gather(*(call(number, amount) for number, amount in enumerate(amounts)))
    return times


def simulated(rates: RateLimits, amounts: list[int]) -> list[float]:
    with asyncio.Runner(loop_factory=SimulatedTime) as runner:
        return runner.run(admission_times(rates, amounts))


def test_requests_are_spread_over_the_minute() -> None:
    times = simulated(RateLimits(requests_per_minute=600), [0] * 610)
    assert times == sorted(times)
    assert times[9] < 0.01, "a second's worth may come at once"
    assert times[10] == pytest.approx(0.1, abs=0.01)
    assert times[-1] == pytest.approx(60.0, abs=0.1)


def test_few_requests_a_minute() -> None:
    times = simulated(RateLimits(requests_per_minute=6), [0] * 4)
    assert times == pytest.approx([0, 10, 20, 30], abs=0.01)


def test_tokens_are_spread_and_large_amounts_wait_in_proportion() -> None:
    times = simulated(RateLimits(tokens_per_minute=60_000), [1000, 500, 10_000, 1])
    assert times == pytest.approx([0.0, 0.5, 10.5, 10.501], abs=0.01)


def test_a_large_amount_is_not_overtaken() -> None:
    times = simulated(RateLimits(tokens_per_minute=600), [10, 100, *[1] * 20])
    assert times == sorted(times)
    assert times[1] == pytest.approx(10.0, abs=0.01)


def test_the_tighter_limit_holds() -> None:
    times = simulated(RateLimits(requests_per_minute=60, tokens_per_minute=600), [20] * 4)
    assert times == pytest.approx([1, 3, 5, 7], abs=0.01)
    times = simulated(RateLimits(requests_per_minute=60, tokens_per_minute=6000), [20] * 4)
    assert times == pytest.approx([0, 1, 2, 3], abs=0.01)


def test_no_limit_is_no_wait() -> None:
    assert simulated(RateLimits(), [10**9] * 100) == pytest.approx([0.0] * 100, abs=0.01)
    assert simulated(RateLimits(tokens_per_minute=1), [0] * 5) == pytest.approx([0.0] * 5, abs=0.01)


async def test_a_cancelled_wait_holds_nobody_up() -> None:
    rates = RateLimits(tokens_per_minute=60)
    waiting = [asyncio.create_task(rates.wait(amount)) for amount in (1, 10**6, 0)]
    await asyncio.sleep(0.02)
    assert [task.done() for task in waiting] == [True, False, False]
    waiting[1].cancel()
    await asyncio.wait_for(waiting[2], 1)
    with pytest.raises(asyncio.CancelledError):
        await waiting[1]


async def test_by_the_real_clock() -> None:
    start = asyncio.get_running_loop().time()
    await admission_times(RateLimits(requests_per_minute=3000), [0] * 60)
    assert 0.15 < asyncio.get_running_loop().time() - start < 2


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_limits_that_are_none(value: float) -> None:
    with pytest.raises(ParameterError, match="requests_per_minute"):
        RateLimits(requests_per_minute=value)
    with pytest.raises(ParameterError, match="tokens_per_minute"):
        RateLimits(tokens_per_minute=value)
