from __future__ import annotations

import hashlib
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_oirl.errors import DataError
from prompt_oirl.records import SLOT, Demonstration, Prompt, Query, text_hash


def test_a_hash_is_the_beginning_of_the_sha256() -> None:
    assert text_hash("naïve") == hashlib.sha256("naïve".encode()).hexdigest()[:16]
    assert text_hash("a") != text_hash("b")


def test_equal_texts_are_one_query() -> None:
    assert Query("How many?") == Query("How many?")
    assert Query("How many?").id == text_hash("How many?")
    assert Query("How many?").id != Query("how many?").id
    assert len({Query("a"), Query("a"), Query("b")}) == 2


@pytest.mark.parametrize("text", ["", " \n\t", None, 3, ["a"]])
def test_a_query_is_a_text(text: object) -> None:
    with pytest.raises(DataError, match="non-empty text") as caught:
        Query(text)  # type: ignore[arg-type]
    assert repr(text) in str(caught.value)


def test_a_query_that_has_no_bytes_is_refused() -> None:
    with pytest.raises(DataError):
        Query("\ud800").id  # noqa: B018


def test_a_prompt_has_an_id_and_a_slot() -> None:
    prompt = Prompt("steps", "Think.\n{{query}}\nAnswer:")
    assert prompt.text == "Think.\n\nAnswer:"
    assert prompt.render(Query("How many?")) == "Think.\nHow many?\nAnswer:"


@pytest.mark.parametrize("id", ["", "  ", None, 7])
def test_a_prompt_needs_an_id(id: object) -> None:
    with pytest.raises(DataError, match="non-empty id"):
        Prompt(id, "{{query}}")  # type: ignore[arg-type]


@pytest.mark.parametrize("template", ["", "no slot", "{query}", "{{ query }}", None])
def test_a_template_needs_the_slot_and_the_error_says_what_to_do(template: object) -> None:
    with pytest.raises(DataError, match=r"prompt 'p'.*no \{\{query\}\} slot.*Prompt\.from_text"):
        Prompt("p", template)  # type: ignore[arg-type]


def test_a_bare_wording_follows_the_query() -> None:
    bare, template = Prompt.from_text("Think step by step."), Prompt.from_text("Q: {{query}} A:", id="qa")
    assert (bare.template, bare.text) == ("{{query}}\nThink step by step.", "Think step by step.")
    assert bare.id == text_hash("Think step by step.")
    assert (template.template, template.id) == ("Q: {{query}} A:", "qa")
    assert Prompt.from_text("").text == ""


@given(before=st.text(), after=st.text(), query=st.text().filter(str.strip))
def test_rendering_is_literal_replacement(before: str, after: str, query: str) -> None:
    template = before + SLOT + after
    if template.count(SLOT) == 1:
        assert Prompt("p", template).render(Query(query)) == before + query + after


def test_what_looks_like_a_format_is_left_alone() -> None:
    prompt = Prompt("p", "{0} %s {{query}} ${x} {{query}}")
    assert prompt.render(Query("{{query}} {}")) == "{0} %s {{query}} {} ${x} {{query}} {}"


@pytest.mark.parametrize("reward", [0, 1, None])
def test_a_reward_is_one_or_zero_or_missing(reward: int | None) -> None:
    made = Demonstration(Query("q"), Prompt.from_text("p"), reward)  # type: ignore[arg-type]
    assert made.reward is reward
    assert made.answer is None


@pytest.mark.parametrize("reward", [2, -1, 0.5, float("nan"), "1", ""])
def test_any_other_reward_is_refused_with_its_place(reward: object) -> None:
    with pytest.raises(DataError, match=r"1, 0 or None.*'How many\?'.*'p'") as caught:
        Demonstration(Query("How many?"), Prompt.from_text("x", id="p"), reward)  # type: ignore[arg-type]
    assert repr(reward) in str(caught.value)


def test_records_cannot_be_changed() -> None:
    prompt = Prompt.from_text("p")
    for record, name in ((Query("q"), "text"), (prompt, "template"), (Demonstration(Query("q"), prompt, 1), "reward")):
        with pytest.raises(FrozenInstanceError):
            setattr(record, name, "other")
