from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from prompt_oirl.errors import ParameterError
from prompt_oirl.testing.llm_faults import FAULT_KINDS, Burst, Faults


def test_nothing_goes_wrong_unless_it_is_asked_for() -> None:
    faults = Faults()
    assert {faults.draw(number, seconds=number, in_flight=number) for number in range(200)} == {None}
    assert faults.seconds(3) == 0


def test_shares_are_kept() -> None:
    shares = dict.fromkeys(FAULT_KINDS, 0.05) | {"rate_limited": 0.2, "hang": 0.0}
    faults, n = Faults(**shares), 20_000  # type: ignore[arg-type]
    drawn = Counter(faults.draw(number) for number in range(n))
    assert sum(drawn.values()) == n
    for kind, share in shares.items():
        assert drawn[kind] / n == pytest.approx(share, abs=4 * (share * (1 - share) / n) ** 0.5)


def test_draws_are_a_function_of_seed_and_number() -> None:
    faults = Faults(server_error=0.5, latency=0.2, jitter=0.1)
    again, other = replace(faults), replace(faults, seed=1)
    draws = [faults.draw(number) for number in range(50)]
    assert draws == [again.draw(number) for number in range(50)]
    assert draws != [other.draw(number) for number in range(50)]
    assert faults.seconds(4) == again.seconds(4) != other.seconds(4)


def test_latency_stays_within_its_jitter() -> None:
    seconds = [Faults(latency=0.2, jitter=0.1).seconds(number) for number in range(2000)]
    assert min(seconds) == pytest.approx(0.1, abs=0.005)
    assert max(seconds) == pytest.approx(0.3, abs=0.005)
    assert sum(seconds) / len(seconds) == pytest.approx(0.2, abs=0.01)
    assert Faults(latency=0.2).seconds(7) == 0.2


def test_a_burst_is_the_end_of_each_period() -> None:
    by_requests = Faults(burst=Burst(10, 3))
    assert [number for number in range(20) if by_requests.draw(number)] == [7, 8, 9, 17, 18, 19]
    by_seconds = Faults(burst=Burst(2.0, 0.5, "seconds"))
    assert by_seconds.draw(0, seconds=1.4) is None
    assert by_seconds.draw(0, seconds=1.6) == by_seconds.draw(1, seconds=3.5) == "rate_limited"


def test_too_many_at_once_are_refused() -> None:
    faults = Faults(max_in_flight=4)
    assert faults.draw(0, in_flight=4) is None
    assert faults.draw(0, in_flight=5) == "rate_limited"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"hang": -0.1}, "hang=-0.1"),
        ({"html": 1.1}, "html=1.1"),
        ({"html": float("nan")}, "html=nan"),
        ({"html": 0.6, "hang": 0.6}, "sum to 1.2"),
        ({"latency": 0.1, "jitter": 0.2}, "jitter=0.2"),
        ({"latency": -1.0}, "latency=-1.0"),
        ({"retry_after": -1.0}, "retry_after=-1.0"),
        ({"max_in_flight": 0}, "max_in_flight=0"),
    ],
)
def test_impossible_faults_are_refused(fields: dict[str, Any], expected: str) -> None:
    with pytest.raises(ParameterError, match=expected):
        Faults(**fields)


@pytest.mark.parametrize("fields", [(10, 0), (10, 11), (10, 1, "minutes")])
def test_impossible_bursts_are_refused(fields: tuple[Any, ...]) -> None:
    with pytest.raises(ParameterError):
        Burst(*fields)
