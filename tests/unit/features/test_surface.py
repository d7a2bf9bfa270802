from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_oirl.features.surface import SURFACE_NAMES, surface_statistics


def statistics(text: str) -> dict[str, float]:
    return dict(zip(SURFACE_NAMES, surface_statistics([text])[0], strict=True))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ann has 8 pens. She buys 2 more.", {"numbers": 2, "second_divides_first": 1, "first_divides_second": 0}),
        ("2 then 8", {"first_divides_second": 1, "ascending": 1, "first_exceeds_second": 0}),
        ("8 then 2", {"ascending": 0, "first_exceeds_second": 1, "log_ratio_of_first_two": np.log(9 / 3)}),
        ("0 then 5", {"first_divides_second": 0, "second_divides_first": 1}),
        ("5 then 5 then 5", {"numbers": 3, "distinct_numbers": 1, "ascending": 1}),
        ("1,000 and 2.5 and 8.0", {"decimals": 2, "fractional_numbers": 1, "numbers_over_100": 1}),
        ("1,000 and 3", {"log_largest": np.log(1001), "log_smallest": np.log(4), "log_last": np.log(4)}),
        ("no digits", {"numbers": 0, "log_smallest": 0, "ascending": 0, "share_of_numbers": 0}),
        ("It costs $5 or 50% off.", {"currency": 1, "percent": 1, "money": 1}),
        ("He ran . Then , he sat .", {"spaced_marks": 1, "commas": 1}),
        ("He ran. Then, he sat .", {"spaced_marks": 1 / 3}),
        ("He has 3. How many more does he need?", {"how_many": 1, "how_many_more": 1, "how_much": 0, "more": 1}),
        ("How many were there? How far is it?", {"how_many": 0, "how_other": 1, "question_marks": 2}),
        ("What is left?", {"what": 1, "left": 1, "last_left": 1}),
        ("Some were left. What now?", {"left": 1, "last_left": 0}),
        ("One two. Three", {"log_sentences": np.log(2), "words_per_sentence": 1.5, "share_of_last_sentence": 1 / 3}),
        ("The the cat", {"share_of_distinct_words": 1, "share_of_capitals": 1 / 3}),
        ("version 1.2.3", {"log_first": np.log1p(1.2)}),
    ],
)
def test_statistics_are_what_they_say(text: str, expected: dict[str, float]) -> None:
    found = statistics(text)
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_how_many_does_not_reach_into_the_next_text() -> None:
    found = surface_statistics(["and how", "many more"])
    assert found[0, SURFACE_NAMES.index("how_many")] == 0
    assert found[0, SURFACE_NAMES.index("how_other")] == 1


def test_names_are_distinct_and_match_the_columns() -> None:
    assert len(set(SURFACE_NAMES)) == len(SURFACE_NAMES)
    assert surface_statistics(["a"]).shape == (1, len(SURFACE_NAMES))
    assert surface_statistics([]).shape == (0, len(SURFACE_NAMES))


@given(st.lists(st.text(max_size=60) | st.from_regex(r"[0-9., $%a]{1,30}", fullmatch=True), max_size=5))
def test_any_text_has_finite_statistics_of_its_own(texts: list[str]) -> None:
    together = surface_statistics(texts)
    assert np.isfinite(together).all()
    for row, text in zip(together, texts, strict=True):
        np.testing.assert_allclose(row, surface_statistics([text])[0], rtol=1e-12)


def test_a_number_of_many_digits_is_capped() -> None:
    assert statistics("9" * 500)["log_largest"] == pytest.approx(np.log1p(1e15))
