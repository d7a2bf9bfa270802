from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_oirl.collect.client.replies import failure_of_status, read_error, read_models, read_reply
from prompt_oirl.runs.outcomes import Completion, Failure

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def read(body: object) -> Completion | Failure:
    return read_reply(json.dumps(body).encode(), model="asked-for", latency=1.0)


def reply(content: object, *, finish_reason: object = "stop", **fields: object) -> dict[str, object]:
    choice = {"message": {"role": "assistant", "content": content}, "finish_reason": finish_reason}
    return {"model": "named", "choices": [choice]} | fields


@given(st.binary())
def test_no_bytes_are_an_answer(content: bytes) -> None:
    assert isinstance(read_reply(content, model="m", latency=1.0), Failure)
    assert read_error(content).message
    read_models(content)


@given(values, values, values)
def test_no_odd_shape_is_an_error_or_an_answer(first, second, third) -> None:
    for body in (
        first,
        {"choices": first},
        {"choices": [first]},
        {"choices": [{"message": first}]},
        {"choices": [{"message": {"content": first}, "finish_reason": second}], "usage": third, "model": third},
        {"choices": [{"message": {"content": "a"}}], "error": {"message": first, "code": second}},
    ):
        outcome = read(body)
        if isinstance(outcome, Completion):
            assert outcome.text == body["choices"][0]["message"]["content"].replace("\0", "\ufffd")
        error = read_error(json.dumps({"error": body}).encode())
        assert isinstance(error.message, str)
        assert error.code is None or isinstance(error.code, str)


@given(st.text())
def test_a_text_is_kept_as_it_is(text: str) -> None:
    outcome = read(reply(text))
    assert isinstance(outcome, Completion)
    assert outcome.text == text.replace("\0", "\ufffd")


def test_what_no_store_holds_is_replaced() -> None:
    outcome = read_reply(
        b'{"choices": [{"message": {"content": "a\\u0000b \\ud83d\\ude00 \\ud83d"}}]}', model="m", latency=1
    )
    assert isinstance(outcome, Completion)
    assert outcome.text == "a\ufffdb 😀 \ufffd"
    assert outcome.text.encode()


def test_what_the_server_does_not_say() -> None:
    assert read({"choices": [{"message": {"content": "a"}}]}) == Completion("a", "asked-for", latency=1.0)
    odd = {"prompt_tokens": -1, "completion_tokens": 2**40}
    outcome = read(reply("a", usage=odd))
    assert isinstance(outcome, Completion)
    assert (outcome.prompt_tokens, outcome.completion_tokens) == (None, None)
    assert read(reply("a", usage={"prompt_tokens": True, "completion_tokens": "3"})) == outcome
    assert read(reply("a", usage=None)) == outcome


@pytest.mark.parametrize("content", [["a"], [{"type": "text", "text": "a"}], 5, True, {"text": "a"}])
def test_content_of_another_type(content: object) -> None:
    outcome = read(reply(content))
    assert isinstance(outcome, Failure)
    assert outcome.kind == "malformed"


def test_an_answer_that_broke_off_is_none() -> None:
    half = reply("The answer i", finish_reason="error")
    choice = {"message": {"content": "The answer i"}, "error": {"code": 502, "message": "upstream"}}
    for body in (half, {"choices": [choice]}, {"error": {"message": "upstream"}} | reply("The answer i")):
        outcome = read(body)
        assert isinstance(outcome, Failure)
        assert outcome.kind == "malformed"


def test_a_cut_answer_is_a_completion() -> None:
    for reason in ("length", "content_filter", "stop", None, 7):
        outcome = read(reply("The answer i", finish_reason=reason))
        assert isinstance(outcome, Completion)
        assert outcome.finish_reason == (reason if isinstance(reason, str) else None)


def test_deep_nesting_is_malformed() -> None:
    outcome = read_reply(b"[" * 200_000, model="m", latency=1.0)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "malformed"


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        ({"error": {"message": "a", "code": "b"}}, "a", "b"),
        ({"error": {"message": "a", "type": "insufficient_quota", "code": None}}, "a", "insufficient_quota"),
        ({"error": {"message": "a", "code": 429}}, "a", None),
        ({"error": "a"}, "a", None),
        ({"object": "error", "message": "a"}, "a", None),
        ({"detail": "a"}, "a", None),
        ({"detail": [{"loc": ["body"]}]}, '{"detail": [{"loc": ["body"]}]}', None),
        (["a"], '["a"]', None),
    ],
)
def test_errors_in_the_usual_shapes(body: object, message: str, code: str | None) -> None:
    found = read_error(json.dumps(body).encode())
    assert (found.message, found.code) == (message, code)


def test_errors_that_are_no_json() -> None:
    assert read_error(b"<h1>502</h1>").message == "<h1>502</h1>"
    assert read_error(b"").message == "an empty body"
    assert failure_of_status(502, "x") == Failure("server_error", "HTTP 502: x", status=502)
