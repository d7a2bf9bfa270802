"""The surface statistics of one text; what they mean is said in `prompt_oirl.features.surface`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from prompt_oirl.features.one_text.form import Form
from prompt_oirl.features.one_text.text import OneText
from prompt_oirl.features.surface import SURFACE_NAMES

__all__ = ["surface_of_one"]

_COLUMN = {name: column for column, name in enumerate(SURFACE_NAMES)}
_HOW, _MANY, _MUCH, _MORE = 1, 2, 3, 4


def surface_of_one(text: OneText) -> list[float]:
    """Return the statistics named by `SURFACE_NAMES`."""
    statistics = [0.0] * len(SURFACE_NAMES)
    last = text.forms[text.last_sentence :]
    for form in text.forms:
        for column in form.columns:
            statistics[column] += 1
    for form in last:
        for column in form.columns_in_last:
            statistics[column] += 1
    others = _lengths(text, last) | _numbers(text.forms) | _marks(text.forms) | _questions(last)
    for name, value in others.items():
        statistics[_COLUMN[name]] = value
    return statistics


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def _lengths(text: OneText, last: Sequence[Form]) -> dict[str, float]:
    wordlike = [form for form in text.forms if form.is_wordlike]
    words, sentences = len(wordlike), len(text.sentence_ends) + 1
    words_in_last = sum([form.is_wordlike for form in last])
    return {
        "log_words": math.log1p(words),
        "log_characters": math.log1p(sum([form.length for form in text.forms])),
        "log_sentences": math.log(sentences),
        "words_per_sentence": words / sentences,
        "characters_per_word": _share(sum([form.length for form in wordlike]), words),
        "share_of_distinct_words": _share(len({form.form for form in wordlike}), words),
        "log_words_in_last_sentence": math.log1p(words_in_last),
        "share_of_last_sentence": _share(words_in_last, words),
        "share_of_numbers": _share(sum([form.value is not None for form in wordlike]), words),
    }


def _numbers(forms: Sequence[Form]) -> dict[str, float]:
    numbers = [form for form in forms if form.value is not None]
    if not numbers:
        return {}
    values = [form.value or 0.0 for form in numbers]
    logs = list(map(math.log1p, values))
    statistics = {
        "distinct_numbers": float(len({form.form for form in numbers})),
        "log_smallest": min(logs),
        "log_largest": max(logs),
        "log_mean": sum(logs) / len(logs),
        "log_first": logs[0],
        "log_last": logs[-1],
    }
    return statistics | _order(values, logs) if len(values) > 1 else statistics


def _order(values: Sequence[float], logs: Sequence[float]) -> dict[str, float]:
    """Return the statistics of at least two numbers' order."""
    first, second = values[:2]
    return {
        "log_second": logs[1],
        "log_ratio_of_first_two": logs[0] - logs[1],
        "first_exceeds_second": float(first > second),
        "first_divides_second": float(first > 0 and second % first == 0),
        "second_divides_first": float(second > 0 and first % second == 0),
        "ascending": float(all(a <= b for a, b in pairwise(values))),
    }


def _marks(forms: Sequence[Form]) -> dict[str, float]:
    return {
        "spaced_marks": _share(sum([form.is_spaced for form in forms]), sum([form.may_be_spaced for form in forms])),
        "share_of_capitals": _share(sum([form.is_capital for form in forms]), sum([form.is_word for form in forms])),
    }


def _questions(last: Sequence[Form]) -> dict[str, float]:
    statistics = dict.fromkeys(("how_many", "how_much", "how_many_more", "how_other"), 0.0)
    for place, form in enumerate(last):
        if form.how == _HOW:
            after = [other.how for other in last[place + 1 : place + 3]] + [0, 0]
            kind = {_MANY: "how_many", _MUCH: "how_much"}.get(after[0], "how_other")
            statistics[kind] += 1
            statistics["how_many_more"] += kind != "how_other" and after[1] == _MORE
    wh = [form.wh for form in last if form.wh]
    return statistics | {"what": float(wh.count(1)), "who_which_where_when_why": float(wh.count(2))}
