"""A prompt goes around the query; every byte of the client stays."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from prompt_oirl.errors import DataError
from prompt_oirl.records import Message, Prompt, Query
from prompt_oirl.serve.gateway.conversation import Conversation

THINK = Prompt.from_text("Let's think step by step.", id="think")
BEFORE_AND_AFTER = Prompt("both", 'Say "no":\n{{query}}\n\\ünd {{query}} again?')
EXAMPLES = Prompt(
    "examples",
    "Q: {{query}}\nA:",
    (
        Message("system", 'You "count".'),
        Message("system", "You are asked {{query}}"),
        Message("user", "Q: 1+1\nA:"),
        Message("assistant", "2"),
        Message("system", "Go on."),
    ),
)
QUERY_IN_CONTEXT = Prompt("context", "So the answer is?", (Message("user", "{{query}}"), Message("assistant", "Hm.")))
PROMPTS = (THINK, BEFORE_AND_AFTER, EXAMPLES, QUERY_IN_CONTEXT)
prompts = pytest.mark.parametrize("prompt", PROMPTS, ids=lambda prompt: prompt.id)


def parse(body: object) -> Conversation:
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Conversation.parse(encoded, most_messages=1000)


def asked(prompt: Prompt, body: object) -> Any:
    return json.loads(parse(body).with_prompt(prompt))


def sent(prompt: Prompt, query: str) -> list[dict[str, str]]:
    return [{"role": each.role, "content": each.content} for each in prompt.messages(Query(query))]


def user(content: object) -> dict[str, object]:
    return {"role": "user", "content": content}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
QUERIES = st.text(min_size=1).filter(str.strip)
ROLES = st.sampled_from(["system", "developer", "user", "assistant", "tool", "other"])
PARTS = (
    st.builds(lambda text, more: {**more, "type": "text", "text": text}, st.text(max_size=8), st.just({"cache": 1}))
    | st.builds(lambda url: {"type": "image_url", "image_url": {"url": url}}, st.text(max_size=8))
    | VALUES
)
CONTENTS = QUERIES | st.none() | VALUES | st.lists(PARTS, max_size=4)
MESSAGES = (
    st.builds(lambda role, content, more: {**more, "role": role, "content": content}, ROLES, CONTENTS, st.just({}))
    | st.builds(lambda role, content: {"name": "x", "content": content, "role": role}, ROLES, CONTENTS)
    | VALUES
)
OTHERS = MESSAGES.filter(lambda message: not isinstance(message, dict) or message.get("role") != "user")
TEXT_PART = st.builds(lambda text: {"type": "text", "text": text}, QUERIES)
QUESTIONS = st.builds(
    lambda content, more: {**more, "content": content, "role": "user"},
    QUERIES
    | st.builds(lambda a, text, b: [*a, text, *b], st.lists(PARTS, max_size=2), TEXT_PART, st.lists(PARTS, max_size=2)),
    st.just({}) | st.just({"name": "Ann"}),
)
FIELDS = st.dictionaries(st.text(max_size=8).filter(lambda name: name != "messages"), VALUES, max_size=4)


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, dict[str, object]]:
    """A body as some client might write it, and what it says."""
    before, after = draw(FIELDS), draw(FIELDS)
    first, last = draw(st.lists(MESSAGES, max_size=4)), draw(st.lists(OTHERS, max_size=2))
    fields = {**before, "messages": [*first, draw(QUESTIONS), *last], **after}
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:\r\n ")]))
    text = json.dumps(fields, ensure_ascii=draw(st.booleans()), separators=separators)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = json.dumps(fields, separators=separators)
    return text, fields


MARKED = Prompt(
    "marked",
    "⟦{{query}}⟦after: {{query}}⟧",
    (Message("system", "⟪{{query}}⟫"), Message("user", "⟦{{query}}⟧"), Message("assistant", "⟦a⟧")),
)
PUT_IN = re.compile(
    r'{"role":"(?:system|user|assistant)","content":"(?:⟪[^⟫]*⟫|⟦[^⟧]*⟧)"},'
    r'|,{"type":"text","text":"⟪[^⟫]*⟫"}'
    r"|(?:\\n\\n)?⟪[^⟫]*⟫"
    r"|⟦after[^⟧]*⟧"
    r"|⟦"
)


@given(bodies())
def test_what_is_not_the_prompt_is_unchanged(given: tuple[str, dict[str, Any]]) -> None:
    """Once all that carries the prompt's marks is taken out again, every byte is as it was."""
    text, fields = given
    assume(not set("⟦⟧⟪⟫") & set(text))
    conversation = parse(text.encode())
    assert conversation.text == text
    changed = conversation.with_prompt(MARKED).decode()
    assert changed.count("⟦after") == 1
    assert PUT_IN.sub("", changed) == text
    assert list(json.loads(changed)) == list(fields)


@given(QUERIES, st.sampled_from(PROMPTS), st.booleans(), FIELDS)
def test_a_single_question_becomes_what_the_prompt_makes_of_it(
    query: str, prompt: Prompt, is_ascii: bool, more: dict[str, object]
) -> None:
    assume(is_encodable(query))
    body = json.dumps({**more, "messages": [user(query)]}, ensure_ascii=True).encode()
    conversation = parse(body)
    assert conversation.query == query
    assert json.loads(conversation.with_prompt(prompt)) == {**more, "messages": sent(prompt, query)}


def is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@prompts
@pytest.mark.parametrize(
    "query", ["{{query}}", "{{{query}}}", '"}],"x":["', "\\", "\\n", "\x00\x1f\x7f", "é\u2028😀", "<b>{0}%s"]
)
def test_awkward_queries_stay_what_they_are(prompt: Prompt, query: str) -> None:
    for is_ascii in (True, False):
        body = json.dumps({"messages": [user(query)]}, ensure_ascii=is_ascii).encode()
        assert json.loads(parse(body).with_prompt(prompt)) == {"messages": sent(prompt, query)}


def test_the_rest_of_the_body_stays_byte_for_byte() -> None:
    before = b' {"temperature" : 1.0, "seed":123456789012345678901234567890, "x":1E+2, "x":-0.0,\n"\\u0061":"\\u00e9", '
    message = b'{"name":"Ann","role":"user" , "content": "2\\u002b3\\/?", "extra":[1.0,{ }]}'
    after = b' ] ,\t"messages2":null, "stream":false, "stream":true}\n'
    body = before + b'"messages":[ {"role":"assistant","content":"7"}, ' + message + after
    expected = body.replace(b"2\\u002b3\\/?", b"2\\u002b3\\/?\\nLet's think step by step.")
    conversation = parse(body)
    assert conversation.query == "2+3/?"
    assert conversation.with_prompt(THINK) == expected


def test_of_two_lists_of_messages_the_last_counts() -> None:
    body = b'{"messages":[{"role":"user","content":"a"}],"messages":[{"role":"user","content":"b","content":"c"}]}'
    assert parse(body).query == "c"
    assert parse(body).with_prompt(Prompt("x", "X{{query}}")) == body.replace(b'"c"', b'"Xc"')


def test_earlier_turns_stay_and_examples_come_before_them() -> None:
    turns = [{"role": "system", "content": "Be brief."}, user("hi"), {"role": "assistant", "content": "hello"}]
    found = asked(EXAMPLES, {"messages": [*turns, user("3+4")]})["messages"]
    assert found == [
        {"role": "system", "content": 'Be brief.\n\nYou "count".\n\nYou are asked 3+4'},
        *sent(EXAMPLES, "3+4")[2:-1],
        *turns[1:],
        user("Q: 3+4\nA:"),
    ]


def test_a_question_before_calls_of_tools_gets_the_prompt_too() -> None:
    calls = [{"role": "assistant", "content": None, "tool_calls": []}, {"role": "tool", "content": "7"}]
    found = asked(THINK, {"messages": [user("first"), {"role": "assistant"}, user("3+4"), *calls]})["messages"]
    assert found == [user("first"), {"role": "assistant"}, user("3+4\nLet's think step by step."), *calls]


@pytest.mark.parametrize("role", ["system", "developer"])
@pytest.mark.parametrize(
    ("content", "joined"),
    [
        ("Be brief.", 'Be brief.\n\nYou "count".\n\nYou are asked 3+4'),
        ("", 'You "count".\n\nYou are asked 3+4'),
        (
            [{"type": "text", "text": "Be brief."}],
            [{"type": "text", "text": "Be brief."}, {"type": "text", "text": 'You "count".\n\nYou are asked 3+4'}],
        ),
    ],
    ids=["text", "empty", "parts"],
)
def test_the_prompts_system_messages_join_the_clients(role: str, content: object, joined: object) -> None:
    first = {"role": "system", "content": "First."}
    found = asked(EXAMPLES, {"messages": [first, {"role": role, "content": content, "name": "n"}, user("3+4")]})
    assert found["messages"] == [first, {"role": role, "content": joined, "name": "n"}, *sent(EXAMPLES, "3+4")[2:]]


@pytest.mark.parametrize("content", [None, 5, []])
def test_where_a_system_message_cannot_be_joined_the_prompts_follow_it(content: object) -> None:
    first = {"role": "system", "content": content}
    found = asked(EXAMPLES, {"messages": [first, user("3+4")]})["messages"]
    assert found == [first, *sent(EXAMPLES, "3+4")]


def test_a_system_message_in_the_middle_is_not_joined() -> None:
    turns = [user("hi"), {"role": "system", "content": "Be brief."}]
    assert asked(EXAMPLES, {"messages": [*turns, user("3+4")]})["messages"] == [
        *sent(EXAMPLES, "3+4")[:-1],
        *turns,
        user("Q: 3+4\nA:"),
    ]


def test_parts_of_text_are_one_query() -> None:
    parts = [{"type": "text", "text": "What is", "cache_control": {"x": 1.0}}, {"text": "3+4?", "type": "text"}]
    conversation = parse({"messages": [user(parts)]})
    assert (conversation.query, conversation.is_text_only) == ("What is\n3+4?", True)
    content = json.loads(conversation.with_prompt(BEFORE_AND_AFTER))["messages"][0]["content"]
    assert content == [
        {"type": "text", "text": 'Say "no":\nWhat is', "cache_control": {"x": 1.0}},
        {"text": "3+4?\n\\ünd What is\n3+4? again?", "type": "text"},
    ]


def test_a_single_part_becomes_the_rendered_prompt() -> None:
    content = asked(BEFORE_AND_AFTER, {"messages": [user([{"type": "text", "text": "3+4?"}])]})["messages"][0][
        "content"
    ]
    assert content == [{"type": "text", "text": BEFORE_AND_AFTER.render(Query("3+4?"))}]


def test_other_parts_stay_where_they_are() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    conversation = parse({"messages": [user([image, {"type": "text", "text": "Where?"}, image])]})
    assert (conversation.query, conversation.is_text_only) == ("Where?", False)
    content = json.loads(conversation.with_prompt(THINK))["messages"][0]["content"]
    assert content == [image, {"type": "text", "text": "Where?\nLet's think step by step."}, image]


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "assistant", "content": "a"}],
        [{"role": ["user"], "content": "a"}],
        ["user"],
        "user",
        None,
        {"role": "user", "content": "a"},
        [user("a"), user(None)],
        [user("a"), {"role": "user"}],
        [user(" \n")],
        [user([])],
        [user([{"type": "image_url"}])],
        [user([{"type": "text", "text": 5}, "text", None])],
        [user([{"type": "text", "text": ""}, {"type": "text", "text": " "}])],
    ],
)
def test_without_a_text_of_the_user_there_is_no_query(messages: object) -> None:
    assert not parse({"model": "m", "messages": messages}).query.strip()


def test_a_body_without_messages_has_no_query() -> None:
    assert parse(b"{}").query == ""


def test_half_a_surrogate_pair_goes_through() -> None:
    body = b'{"messages":[{"role":"user","content":"a\\ud800"}]}'
    assert parse(body).query == "a\ud800"
    assert parse(body).with_prompt(THINK) == body.replace(b'd800"', b"d800\\nLet's think step by step.\"")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b'{"messages":[{"role":"user","content":"a"}]', "not JSON"),
        (b'{"messages":[{"role":"user","content":"\xff"}]}', "not UTF-8 at byte 39"),
        ("{}".encode("utf-16"), "not UTF-8 at byte 0"),
        (b'{"messages":[' + b"1," * 1000 + b"1]}", "1001 messages; at most 1000"),
        (b'{"x":NaN}', "not JSON"),
    ],
)
def test_what_cannot_be_read_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse(body)


def test_what_is_nested_deeply_is_refused_or_answered_whole() -> None:
    """However near to the limit, what could be read once can be read again."""
    outcomes = set()
    for depth in range(850, 1000):
        deep = "[" * depth + "]" * depth
        text = f'{{"messages":[{{"role":"system","content":{deep}}},{{"role":"user","content":"a","x":{deep}}}]}}'
        try:
            conversation = parse(text.encode())
        except DataError:
            outcomes.add("refused")
        else:
            assert conversation.with_prompt(EXAMPLES)
            outcomes.add("answered")
    assert outcomes == {"answered", "refused"}


@pytest.mark.parametrize("role", ["user", "system", "tool"])
def test_a_message_of_too_many_parts_is_refused(role: str) -> None:
    part = {"type": "text", "text": ""}
    messages = [user("3+4"), {"role": role, "content": [part] * 1000}]
    parse({"messages": messages})
    messages[1]["content"] = [part] * 1001
    with pytest.raises(DataError, match=r"messages\[1\] has 1001 parts; at most 1000"):
        parse({"messages": messages})
