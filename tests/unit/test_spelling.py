from __future__ import annotations

import pytest

from prompt_oirl.spelling import did_you_mean

KNOWN = ("query", "gold", "prompt_id")


@pytest.mark.parametrize(("name", "meant"), [("querry", "query"), ("Query", "query"), (" promptid ", "prompt_id")])
def test_a_close_name_is_suggested(name: str, meant: str) -> None:
    assert did_you_mean(name, KNOWN) == f"; did you mean {meant!r}?"


@pytest.mark.parametrize("name", ["colour", "", 7, None])
def test_nothing_is_said_of_any_other_name(name: object) -> None:
    assert did_you_mean(name, KNOWN) == ""


def test_other_words_for_a_name_are_known() -> None:
    assert did_you_mean("Question", KNOWN, synonyms={"question": "query"}) == "; did you mean 'query'?"
