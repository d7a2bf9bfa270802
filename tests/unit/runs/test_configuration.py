from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.runs.configuration import RunConfiguration, SamplingParameters

CONFIGURATION = RunConfiguration("a-model", "https://api.openai.com/v1", SamplingParameters(temperature=0, seed=7))


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"temperature": -1.0}, "temperature=-1"),
        ({"temperature": float("inf")}, "temperature=inf"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"top_p": 0.0}, "top_p=0"),
        ({"top_p": 1.5}, "top_p=1.5"),
        ({"max_tokens": 0}, "max_tokens=0"),
        ({"extra": "{"}, "not JSON"),
        ({"extra": "[1]"}, "JSON object"),
    ],
)
def test_parameters_are_checked(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ParameterError, match=named):
        SamplingParameters(**wrong)


def test_equal_extras_are_equal_however_they_are_written() -> None:
    written = SamplingParameters(extra='{"b":1,  "a": "é"}')
    assert written == SamplingParameters(extra='{"a": "\\u00e9", "b": 1}')


def test_each_sample_has_a_seed_of_its_own_where_there_is_one() -> None:
    assert CONFIGURATION.parameters.for_sample(3) == replace(CONFIGURATION.parameters, seed=10)
    assert SamplingParameters().for_sample(3) == SamplingParameters()


@pytest.mark.parametrize("model", ["", "  ", None])
def test_a_model_has_a_name(model: Any) -> None:
    with pytest.raises(ParameterError, match="model"):
        replace(CONFIGURATION, model=model)


@pytest.mark.parametrize("base_url", ["", "api.openai.com/v1", "ftp://host/v1", "http://"])
def test_an_address_is_one(base_url: str) -> None:
    with pytest.raises(ParameterError, match="http"):
        replace(CONFIGURATION, base_url=base_url)


@pytest.mark.parametrize(
    "base_url", ["https://me:hidden@host/v1", "https://hidden@host/v1", "https://host/v1?key=hidden"]
)
def test_an_address_with_a_secret_is_refused_and_not_repeated(base_url: str) -> None:
    with pytest.raises(ParameterError, match="host has a user") as caught:
        replace(CONFIGURATION, base_url=base_url)
    assert "hidden" not in str(caught.value)


def test_a_slash_at_the_end_makes_no_difference() -> None:
    assert replace(CONFIGURATION, base_url="https://api.openai.com/v1/") == CONFIGURATION


def test_a_local_model_has_no_address() -> None:
    assert RunConfiguration("tiny", "local:0123abcd").base_url == "local:0123abcd"


@given(
    model=st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip),
    temperature=st.none() | st.floats(0, 2),
    stop=st.lists(st.text(), max_size=3).map(tuple),
    extra=st.dictionaries(st.text(), st.integers() | st.text()).map(json.dumps),
)
def test_a_configuration_comes_back_from_its_json(model: str, temperature: float, stop: Any, extra: str) -> None:
    made = RunConfiguration(model, "http://host", SamplingParameters(temperature=temperature, stop=stop, extra=extra))
    again = RunConfiguration.from_json(made.to_json())
    assert again == made
    assert again.to_json() == made.to_json()
    assert again.differences(made) == []


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"model": "m", "base_url": "http://h", "parameters": {"x": 1}}']
)
def test_something_else_is_no_configuration(text: str) -> None:
    with pytest.raises(DataError, match="is not the configuration of a run"):
        RunConfiguration.from_json(text)


def test_differences_are_listed_field_by_field() -> None:
    other = RunConfiguration("b-model", "http://host/v1", SamplingParameters(temperature=0.7, seed=7))
    assert CONFIGURATION.differences(other) == [
        "model: 'a-model' here, 'b-model' there",
        "base_url: 'https://api.openai.com/v1' here, 'http://host/v1' there",
        "temperature: 0 here, 0.7 there",
    ]
