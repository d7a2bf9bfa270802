"""What a token counts for, whatever text it is in."""

from __future__ import annotations

from typing import NamedTuple

from prompt_oirl.features.one_text.memo import Memo
from prompt_oirl.features.surface import (
    HOW,
    KEY_NAMES,
    KEY_OF_WORD,
    LAST_KEYS,
    MARK_KINDS,
    SPACED_MARKS,
    SURFACE_NAMES,
    WH,
    number_value,
)
from prompt_oirl.features.tokens import STOPS, TITLES, is_number, is_word, without_space

__all__ = ["FORMS", "Form"]

_COLUMN = {name: column for column, name in enumerate(SURFACE_NAMES)}


class Form(NamedTuple):
    """A token without the space before it, and what the surface statistics need of it."""

    form: str
    length: int
    """Characters without white space."""

    is_wordlike: bool
    """Whether it is a word or a number."""

    is_word: bool
    is_capital: bool
    is_stop: bool
    is_title: bool
    is_spaced: bool
    """Whether it is a mark that hardly anyone writes a space before, with one."""

    may_be_spaced: bool
    value: float | None
    """The number that it stands for, if it is one."""

    how: int
    wh: int
    columns: tuple[int, ...]
    """Columns of the surface statistics that it adds one to."""

    columns_in_last: tuple[int, ...]
    """Columns that it adds one to if it is in the last sentence."""

    @classmethod
    def of(cls, token: str) -> Form:
        """Look at a token as written."""
        form = without_space(token)
        lower = form.lower()
        value = number_value(form) if is_number(form) else None
        may_be_spaced = form[-1] in SPACED_MARKS
        return cls(
            form=form,
            length=len(form.lstrip()),
            is_wordlike=form[-1].isalnum(),
            is_word=is_word(form),
            is_capital=form[0].isupper(),
            is_stop=form[-1] in STOPS,
            is_title=lower in TITLES,
            is_spaced=may_be_spaced and form[0].isspace(),
            may_be_spaced=may_be_spaced,
            value=value,
            how=HOW.get(lower, 0),
            wh=WH.get(lower, 0),
            columns=tuple(_COLUMN[name] for name in _counts(form, lower, value)),
            columns_in_last=tuple(_COLUMN[name] for name in _counts_in_last(lower, value)),
        )


def _counts(form: str, lower: str, value: float | None) -> list[str]:
    """Return the names of the statistics that a form adds one to."""
    names = [name for name, marks in MARK_KINDS.items() if form[-1] in marks]
    if not form[-1].isalnum():
        names.append("marks")
    if lower in KEY_OF_WORD:
        names.append(KEY_NAMES[KEY_OF_WORD[lower]])
    if value is not None:
        kinds = {"numbers": True, "decimals": "." in form, "fractional_numbers": value % 1 > 0}
        names += [name for name, holds in (kinds | {"numbers_over_100": value > 100}).items() if holds]
    return names


def _counts_in_last(lower: str, value: float | None) -> list[str]:
    names = [] if value is None else ["numbers_in_last_sentence"]
    return names + [f"last_{KEY_NAMES[key]}" for key in LAST_KEYS if KEY_OF_WORD.get(lower) == key]


FORMS: Memo[Form] = Memo(Form.of)
"""The forms by token as written."""
