from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_oirl.evaluation import Estimate
from prompt_oirl.report.texts import (
    gained,
    harmless,
    interval,
    often,
    percent,
    prompt_name,
    sentence,
    shown,
    signed_points,
    visible,
    with_margin,
)


def estimate(value: float, low: float, high: float) -> Estimate:
    return Estimate(value, low, high, level=0.95, n_queries=100, n_groups=90, n_trials=600, n_left_out=0)


@given(st.text())
def test_no_text_keeps_what_would_turn_hide_or_break_a_line(text: str) -> None:
    for character in visible(text):
        assert unicodedata.category(character) not in ("Cc", "Zl", "Zp"), hex(ord(character))
        assert character not in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\ufeff"


@given(st.text(), st.integers(2, 60))
def test_a_shown_text_is_never_longer_than_allowed(text: str, length: int) -> None:
    assert len(shown(text, length)) <= length


def test_lines_stay_where_they_are_harmless() -> None:
    assert harmless("a\nb\tc\x00\x1b[31m\u202e") == "a\nb\tc␀␛[31m<U+202E>"
    assert visible("  a\n\n b ") == "a b"


@pytest.mark.parametrize(("prompt_id", "name"), [("2", "#2"), ("think", "“think”"), ("²", "“²”"), ("x" * 60, None)])
def test_a_prompt_is_named_by_number_or_in_quotes(prompt_id: str, name: str | None) -> None:
    assert prompt_name(prompt_id) == (name or f"“{'x' * 39}…”")


def test_numbers_have_true_signs_and_no_negative_zero() -> None:
    assert signed_points(-0.0004) == "+0.0"
    assert signed_points(-0.012) == "−1.2"
    assert signed_points(float("nan")) == signed_points(None) == percent(None) == "–"
    assert percent(0.6443) == "64.4\u00a0%"
    assert sentence("at 95%, -0.5 points, a well-known x-1") == "at 95\u00a0%, −0.5 points, a well-known x-1"


def test_a_loss_is_a_loss_and_signs_are_true() -> None:
    assert gained(estimate(-0.023, -0.045, -0.001)) == "loses 2.3 ± 2.2 points"
    assert gained(estimate(-0.0003, -0.01, 0.0094)) == "gains +0.0 ± 1.0 points"
    assert gained(estimate(0.012, 0.005, 0.019)) == "gains +1.2 ± 0.7 points"
    assert percent(-0.002) == "−0.2\u00a0%"
    assert percent(-0.0002) == "0.0\u00a0%"


def test_how_often_is_in_words_where_there_are_some() -> None:
    assert often(0.8) == "four times of five"
    assert often(0.9) == "90\u00a0% of the time"


def test_a_gain_has_its_margin_or_its_ends_where_they_are_not_even() -> None:
    assert with_margin(estimate(0.001, -0.006, 0.008)) == "+0.1 ± 0.7"
    assert with_margin(estimate(0.02, 0.001, 0.021)) == "+2.0 (+0.1 to +2.1)"
    assert interval(estimate(0.001, -0.006, 0.008)) == "−0.6 to +0.8"
    assert with_margin(estimate(0.0, 0.0, 0.0)) == "+0.0 ± 0.0"
    assert with_margin(estimate(0.0042, 0.0003, 0.0081)) == "+0.42 ± 0.39"  # 0 is out of it
    assert with_margin(estimate(-0.0042, -0.0081, -0.0003)) == "−0.42 ± 0.39"
    assert with_margin(estimate(0.0042, -0.0001, 0.0085)) == "+0.4 ± 0.4"
