"""The places that values have in a JSON text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_oirl.errors import DataError
from prompt_oirl.serve.gateway.json_text import Edit, edited, elements, member, members, read_json

NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:\r\n ")])


@st.composite
def texts(draw: st.DrawFn, values: st.SearchStrategy[object]) -> tuple[str, object]:
    """A JSON text and what it says, with whatever space between and around."""
    value = draw(values)
    indent = draw(st.sampled_from([None, 0, 2]))
    text = json.dumps(value, ensure_ascii=draw(st.booleans()), separators=draw(SEPARATORS), indent=indent)
    around = st.sampled_from(["", " ", "\n\t"])
    return draw(around) + text + draw(around), value


@given(texts(st.dictionaries(st.text(), VALUES, max_size=5)))
def test_members_stand_where_their_spans_say(given: tuple[str, object]) -> None:
    text, value = given
    whole = read_json(text)
    found = {name: json.loads(text[span.start : span.end]) for name, span in members(text, whole)}
    assert found == value
    assert list(found) == list(value)
    assert json.loads(text[whole.start : whole.end]) == value


@given(texts(st.lists(VALUES, max_size=5)))
def test_elements_stand_where_their_spans_say(given: tuple[str, object]) -> None:
    text, value = given
    assert [json.loads(text[span.start : span.end]) for span in elements(text, read_json(text))] == value


@given(texts(VALUES), st.text(max_size=3))
def test_what_the_standard_library_refuses_is_refused(given: tuple[str, object], more: str) -> None:
    text = given[0] + more
    try:
        json.loads(text)
    except ValueError:
        with pytest.raises(DataError, match="not JSON"):
            read_json(text)
    else:
        read_json(text)


@pytest.mark.parametrize(
    "text", ["", " ", "{", '{"a":}', "[1,]", '{"a" 1}', "01", "'a'", "NaN", "[-Infinity]", "\ufeff{}", "{} {}", '"\n"']
)
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="not JSON") as raised:
        read_json(text)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_deep_nesting_is_refused(opening: str) -> None:
    with pytest.raises(DataError, match="too deeply"):
        read_json(opening * 100_000)


def test_long_numbers_are_not_converted() -> None:
    text = '{"n":' + "9" * 100_000 + "}"
    assert member(text, read_json(text), "n").value == float("inf")


def test_of_several_members_of_one_name_the_last_counts() -> None:
    text = '{"a":1,"b":2,"a":3}'
    whole = read_json(text)
    assert [name for name, _ in members(text, whole)] == ["a", "b", "a"]
    assert member(text, whole, "a").value == whole.value["a"] == 3
    assert member(text, whole, "c") is None


def test_escaped_names_are_recognised() -> None:
    text = '{"\\u006dessages":[]}'
    assert member(text, read_json(text), "messages") is not None


def test_edits_keep_their_order_at_one_place() -> None:
    assert edited("abcdef", [Edit(4, 5, "X"), Edit(2, 2, "1"), Edit(2, 2, "2"), Edit(2, 3, "C")]) == "ab12CdXf"
    assert edited("abc", []) == "abc"
