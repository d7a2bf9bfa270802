from __future__ import annotations

import hashlib
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_oirl.errors import DataError
from prompt_oirl.records import SLOT, Demonstration, Message, Prompt, Query, Question, text_hash, wording_hash


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


SYSTEM, EXAMPLE = Message("system", "Be brief."), Message("assistant", "It is 4.")


def test_the_messages_are_the_context_and_then_the_query_in_its_template() -> None:
    prompt = Prompt("p", "{{query}}\nThink.", (SYSTEM, Message("user", "First: {{query}}"), EXAMPLE))
    assert prompt.messages(Query("2 + {{query}}?")) == (
        SYSTEM,
        Message("user", "First: 2 + {{query}}?"),
        EXAMPLE,
        Message("user", "2 + {{query}}?\nThink."),
    )
    assert prompt.render(Query("2?")) == "2?\nThink."
    assert prompt.text == "Be brief.\nFirst:\nIt is 4.\nThink."
    assert Prompt("p", "{{query}}").messages(Query("a")) == (Message("user", "a"),)


def test_the_slot_may_be_in_the_context_alone() -> None:
    prompt = Prompt("p", "Now answer.", (Message("user", "The question is: {{query}}"), EXAMPLE))
    assert [message.content for message in prompt.messages(Query("2?"))][::2] == ["The question is: 2?", "Now answer."]
    with pytest.raises(DataError, match=r"no \{\{query\}\} slot"):
        Prompt("p", "Now answer.", (SYSTEM,))


@pytest.mark.parametrize("template", ["", " \n", "\ud800"])
def test_the_last_message_has_a_text(template: str) -> None:
    with pytest.raises(DataError, match="the last message, the user's, needs a non-empty text"):
        Prompt("p", template, (Message("user", "{{query}}"), EXAMPLE))


def test_a_context_is_kept_as_a_tuple_of_messages() -> None:
    prompt = Prompt("p", "{{query}}", [SYSTEM])  # type: ignore[arg-type]
    assert prompt == Prompt("p", "{{query}}", (SYSTEM,))
    assert hash(prompt) == hash(Prompt("p", "{{query}}", (SYSTEM,)))
    assert prompt != Prompt("p", "{{query}}")
    with pytest.raises(DataError, match="the context is made of messages"):
        Prompt("p", "{{query}}", ("Be brief.",))  # type: ignore[arg-type]


def test_a_bare_wording_with_a_context_follows_the_query_unless_a_message_has_the_slot() -> None:
    assert Prompt.from_text("Think.", context=[SYSTEM]).template == "{{query}}\nThink."
    asked = Message("user", "{{query}}")
    assert Prompt.from_text("Now answer.", context=[asked, EXAMPLE]).template == "Now answer."


def test_the_hash_of_a_wording_depends_on_all_its_messages() -> None:
    assert wording_hash("a") == text_hash("a")
    hashes = [
        wording_hash("a"),
        wording_hash("a", [SYSTEM]),
        wording_hash("a", [EXAMPLE]),
        wording_hash("a", [SYSTEM, EXAMPLE]),
        wording_hash("a", [Message("user", SYSTEM.content)]),
    ]
    assert len(set(hashes)) == len(hashes)
    assert Prompt.from_text("a", context=[SYSTEM]).id == hashes[1]


@pytest.mark.parametrize("role", ["", "User", "human", None])
def test_a_message_has_a_known_role(role: object) -> None:
    with pytest.raises(DataError, match="one of system, user, assistant"):
        Message(role, "a")  # type: ignore[arg-type]


@pytest.mark.parametrize("content", ["", " ", None, 3, "\ud800"])
def test_a_message_has_a_text(content: object) -> None:
    with pytest.raises(DataError, match="user message needs a non-empty text"):
        Message("user", content)  # type: ignore[arg-type]


def test_a_question_may_have_a_gold_answer() -> None:
    assert Question(Query("a")).gold is None
    assert Question(Query("a"), "4") == Question(Query("a"), "4")
    for gold in ("", " ", 4):
        with pytest.raises(DataError, match="the gold answer to 'a' must be a non-empty text"):
            Question(Query("a"), gold)  # type: ignore[arg-type]


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
    records = (
        (Query("q"), "text"),
        (Question(Query("q")), "gold"),
        (SYSTEM, "content"),
        (prompt, "template"),
        (Demonstration(Query("q"), prompt, 1), "reward"),
    )
    for record, name in records:
        with pytest.raises(FrozenInstanceError):
            setattr(record, name, "other")
