from __future__ import annotations

import json
from typing import Any

import pytest

from prompt_oirl.errors import DataError
from prompt_oirl.records import Message
from prompt_oirl.testing.chat_completions import ChatRequest, Completed, content_hash, encode, tokens_of

ASKED: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "How many, please?"}]}


def request_of(**fields: object) -> ChatRequest:
    return ChatRequest.parse(encode(ASKED | fields))


@pytest.mark.parametrize("text", ["", "one", " Two  words,\n and £3.50! ", "\n\n", "naïve – “x”\t"])
def test_tokens_join_to_the_text(text: str) -> None:
    assert "".join(tokens_of(text)) == text


def test_words_and_marks_are_tokens() -> None:
    assert tokens_of("It costs $3,500.") == ["It", " costs", " $", "3", ",", "500", "."]


def test_the_fields_of_a_request_are_read() -> None:
    request = request_of(
        temperature=0, seed=3, max_tokens=5, stop="\n", stream=True, stream_options={"include_usage": True}, user="x"
    )
    message = Message("user", "How many, please?")
    assert request == ChatRequest("m", (message,), 0, 3, 5, ("\n",), stream=True, include_usage=True)
    assert request_of(max_completion_tokens=7, stop=["a", "b"], n=1, temperature=None).max_tokens == 7


def test_the_text_is_the_last_message_of_the_user() -> None:
    messages = [{"role": role, "content": role + number} for role in ("user", "assistant") for number in "12"]
    assert request_of(messages=messages).text == "user2"
    assert request_of(messages=messages[2:]).text == ""


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"n": 2}, "'n' is 2"),
        ({"model": None}, "'model' is None; str is expected"),
        ({"messages": []}, "'messages' is \\[\\]"),
        ({"messages": ["hello"]}, "a message is 'hello'"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "a message's role"),
        ({"messages": [{"role": "user", "content": None}]}, "a user message needs"),
        ({"messages": [{"content": "x"}]}, "a message's role"),
        ({"temperature": "hot"}, "'temperature' is 'hot'; int or float"),
        ({"seed": 1.5}, "'seed' is 1.5"),
        ({"seed": True}, "'seed' is True"),
        ({"stream": "yes"}, "'stream' is 'yes'"),
        ({"stop": 3}, "'stop' is 3"),
        ({"stop": [3]}, "'stop'"),
        ({"max_tokens": 0}, "'max_tokens' is 0"),
    ],
)
def test_a_malformed_request_is_named(fields: dict[str, Any], expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        request_of(**fields)


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff\xfe", b"null"])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(DataError, match="the body is"):
        ChatRequest.parse(body)


def test_an_answer_is_cut_at_its_limit_and_at_stop_texts() -> None:
    def cut(**fields: object) -> tuple[str, str]:
        completed = Completed.of(request_of(**fields), "One two. Three four.", id="i", created=1)
        return "".join(completed.pieces), completed.finish_reason

    assert cut() == ("One two. Three four.", "stop")
    assert cut(max_tokens=2) == ("One two", "length")
    assert cut(max_tokens=6) == ("One two. Three four.", "stop")
    assert cut(stop=["four", " Three"]) == ("One two.", "stop")


def test_usage_counts_all_messages() -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1 + 1?"}]
    completed = Completed.of(request_of(messages=messages), "It is 2.", id="i", created=1)
    assert completed.usage == {"prompt_tokens": 7, "completion_tokens": 4, "total_tokens": 11}


def test_a_stream_ends_as_the_protocol_says() -> None:
    request = request_of(stream=True, stream_options={"include_usage": True})
    *events, last = Completed.of(request, "It is 2.", id="i", created=1).events()
    assert last == b"data: [DONE]\n\n"
    chunks = [json.loads(event.removeprefix(b"data: ")) for event in events]
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] == 4
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks[:-1]) == "It is 2."


def test_the_content_hash_tells_contents_apart() -> None:
    one, two = Message("user", "one"), Message("user", "two")
    contents = [
        ([one], None),
        ([two], None),
        ([one], 0),
        ([one], 1),
        ([one, two], None),
        ([Message("system", "one")], None),
    ]
    assert len({content_hash(messages, seed) for messages, seed in contents}) == len(contents)
    assert content_hash((one,)) == content_hash([one], None)
