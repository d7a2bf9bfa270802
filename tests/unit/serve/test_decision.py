from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from prompt_oirl.errors import ParameterError
from prompt_oirl.serve.decision import Decision, Feedback


@pytest.fixture
def make() -> Callable[..., Decision]:
    """Makes a decision; each field may be given."""

    def make(**fields: Any) -> Decision:
        defaults: dict[str, Any] = {
            "query_id": "q",
            "query": None,
            "prompt_id": "think",
            "score": None,
            "propensity": 1.0,
            "choice": "fallback",
            "source": "recommend",
            "recommender": "v1",
            "seconds": 0.0,
        }
        return Decision(**(defaults | fields))

    return make


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["seconds", "created"])
def test_times_are_finite(make: Callable[..., Decision], name: str, value: float) -> None:
    assert make(**{name: 0.25})
    with pytest.raises(ParameterError, match=f"{name}={value}.*finite numbers are needed"):
        make(**{name: value})


@pytest.mark.parametrize("propensity", [0.0, -0.5, 1.5, math.nan])
def test_a_propensity_is_a_probability_above_0(make: Callable[..., Decision], propensity: float) -> None:
    assert make(propensity=1e-9)
    with pytest.raises(ParameterError, match="a probability above 0"):
        make(propensity=propensity)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_the_time_of_feedback_is_finite(value: float) -> None:
    assert Feedback("0" * 32, 1, 0.25)
    with pytest.raises(ParameterError, match=f"created={value}: a finite number is needed"):
        Feedback("0" * 32, 1, value)
