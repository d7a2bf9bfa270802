from __future__ import annotations

import json

import pytest

from prompt_oirl.collect.client.request_body import is_openai, request_body
from prompt_oirl.errors import ParameterError
from prompt_oirl.records import Message
from prompt_oirl.runs.configuration import SamplingParameters


def body(parameters: SamplingParameters, base_url: str = "http://h/v1") -> dict[str, object]:
    found: dict[str, object] = json.loads(
        request_body("m", [Message("user", "a")], parameters=parameters, base_url=base_url)
    )
    return found


def test_the_limit_of_tokens_has_two_names() -> None:
    limited = SamplingParameters(max_tokens=5)
    assert body(limited)["max_tokens"] == 5
    for openai in ("https://api.openai.com/v1", "https://eu.api.openai.com/v1"):
        assert is_openai(openai)
        assert body(limited, openai)["max_completion_tokens"] == 5
        assert "max_tokens" not in body(limited, openai)
    assert not is_openai("https://api.openai.com.example.org/v1")
    assert not is_openai("https://notapi.openai.com/v1")


def test_the_text_is_sent_as_it_is() -> None:
    content = '“{{x}}” \\ "\n\t😀'
    sent = json.loads(
        request_body("m", [Message("user", content)], parameters=SamplingParameters(), base_url="http://h/v1")
    )
    assert sent["messages"] == [{"role": "user", "content": content}]


@pytest.mark.parametrize(
    "extra",
    ['{"stream": true}', '{"n": 2}', '{"messages": []}', '{"model": "x"}', '{"temperature": 1}', '{"x": NaN}'],
)
def test_extra_fields_that_cannot_be_sent(extra: str) -> None:
    with pytest.raises(ParameterError, match="extra"):
        body(SamplingParameters(temperature=0.5, extra=extra))


def test_half_a_surrogate_pair_cannot_be_sent() -> None:
    with pytest.raises(ParameterError, match="UTF-8"):
        body(SamplingParameters(stop=("\ud83d",)))
