from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from prompt_oirl.stores.any_text import AnyText

DIALECT = sqlite.dialect()
HALVES = st.characters(categories=["Cs"])


@given(st.text(HALVES | st.sampled_from("\0\x1a0af") | st.characters()))
@example("\x1a0000")
@example("\ud83d\ude00")
def test_any_text_comes_back(text: str) -> None:
    stored = AnyText().process_bind_param(text, DIALECT)
    assert stored is not None
    assert "\0" not in stored
    stored.encode()
    assert AnyText().process_result_value(stored, DIALECT) == text


@given(st.text(), st.text(HALVES | st.characters()))
def test_different_texts_are_stored_differently(one: str, other: str) -> None:
    stored = [AnyText().process_bind_param(text, DIALECT) for text in (one, other)]
    assert (stored[0] == stored[1]) == (one == other)


def test_most_texts_are_stored_as_they_are() -> None:
    text = "4 + 4 = 8\n\tand 😀 too\u2028"
    assert AnyText().process_bind_param(text, DIALECT) == text
    assert AnyText().process_bind_param(None, DIALECT) is None
    assert AnyText().process_result_value(None, DIALECT) is None
