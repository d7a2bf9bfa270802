from __future__ import annotations

import numpy as np
import pytest

from prompt_oirl.features.tokens import is_number, is_word, tokenize


def forms_of(text: str) -> list[str]:
    tokens = tokenize([text])
    return [tokens.forms[i] for i in tokens.form]


def last_sentence(text: str) -> str:
    tokens = tokenize([text])
    return " ".join(tokens.forms[i].strip() for i in tokens.form[tokens.last_sentence()])


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        ("Tom's 1,000 apples cost $2.50.", ["Tom's", "1,000", "apples", "cost", " $", "2.50", "."]),
        ("half a cup .5 , ok ?", ["half", "a", "cup", ".5", " ,", "ok", " ?"]),
        ("12cm³ and naïve_text", ["12", "cm³", "and", "naïve", "text"]),
        ("多少 苹果？", ["多少", "苹果", "？"]),
        ("  \n ", []),
        ("", []),
    ],
)
def test_text_is_split_into_words_numbers_and_marks(text: str, forms: list[str]) -> None:
    assert forms_of(text) == forms


def test_every_form_is_a_word_a_number_or_a_mark() -> None:
    forms = forms_of("Ann has 3 cats (2.5 kg each) , ² and ¾ !")
    assert [form for form in forms if is_number(form)] == ["3", "2.5"]
    assert not any(is_word(form) and is_number(form) for form in forms)


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("Tom has 3. How many now?", "How many now ?"),
        ("Tom asks Mr. Smith for $2.50 today", "Tom asks Mr . Smith for $ 2.50 today"),
        ("Really?! Yes. And then?!", "And then ? !"),
        ('He said "go." How far?"', '" How far ? "'),
        ("One sentence.", "One sentence ."),
        ("How many? ...", "How many ? . . ."),
    ],
)
def test_last_sentence(text: str, last: str) -> None:
    assert last_sentence(text) == last


def test_sentences_do_not_run_over_texts() -> None:
    tokens = tokenize(["One. Two", "", "Three. Four"])
    kept = tokens.select(tokens.last_sentence())
    assert [(int(text), kept.forms[form]) for text, form in zip(kept.text, kept.form, strict=True)] == [
        (0, "Two"),
        (2, "Four"),
    ]
    assert kept.n_texts == 3


def test_a_title_at_the_end_of_a_text_says_nothing_of_the_next_text() -> None:
    tokens = tokenize(["Ask Mr", ". Three"])
    np.testing.assert_array_equal(tokens.last_sentence(), [True, True, False, True])


def test_forms_are_distinct_though_written_with_and_without_space() -> None:
    tokens = tokenize(["(cat cat)"])
    assert tokens.forms == ("(", "cat", ")")
