"""Where values stand in a JSON text, so that one of them can be replaced and every other byte stays as it was."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn

from prompt_oirl.errors import DataError

__all__ = ["Edit", "Span", "edited", "elements", "member", "members", "read_json"]


_FRAMES_BELOW = 16


class Span(NamedTuple):
    """A value and its place: it is written at `text[start:end]`. All numbers are read as floats."""

    start: int
    end: int
    value: Any


class Edit(NamedTuple):
    """Another text for `text[start:end]`."""

    start: int
    end: int
    text: str


def read_json(text: str) -> Span:
    """Read a whole text as one value.

    Raises:
        DataError: It is not JSON (RFC 8259), or nested too deeply.
    """
    start = _past(_space, text, 0)
    try:
        value, end = _scan_from_below(text, start, _FRAMES_BELOW)
    except RecursionError:
        raise DataError("it is nested too deeply; a few hundred levels are read") from None
    except ValueError as error:
        raise DataError(f"it is not JSON: {error}") from None  # the cause would hold the whole text
    if _past(_space, text, end) != len(text):
        raise DataError(f"it is not JSON: more follows the value that ends at character {end}")
    return Span(start, end, value)


def members(text: str, whole: Span) -> Iterator[tuple[str, Span]]:
    """Yield the names and values of an object that `read_json` has read, in order and with duplicates."""
    position = _past(_space, text, whole.start + 1)
    while text[position] != "}":
        name, position = _scan(text, position)
        start = _past(_colon, text, position)
        value, end = _scan(text, start)
        yield name, Span(start, end, value)
        position = _past(_comma, text, end)


def member(text: str, whole: Span, name: str) -> Span | None:
    """Return the value of that name in an object, the last one where there are several, as JSON readers do."""
    found = None
    for each, span in members(text, whole):
        if each == name:
            found = span
    return found


def elements(text: str, whole: Span) -> Iterator[Span]:
    """Yield the elements of an array that `read_json` has read."""
    position = _past(_space, text, whole.start + 1)
    while text[position] != "]":
        value, end = _scan(text, position)
        yield Span(position, end, value)
        position = _past(_comma, text, end)


def edited(text: str, edits: list[Edit]) -> str:
    """Return the text after all edits, which may touch but not overlap; insertions at one place keep their order."""
    pieces: list[str] = []
    position = 0
    for edit in sorted(edits, key=lambda each: each.start):
        pieces += (text[position : edit.start], edit.text)
        position = edit.end
    return "".join((*pieces, text[position:]))


def _scan_from_below(text: str, start: int, n_frames: int) -> tuple[Any, int]:
    """Read a value from deeper in the stack than its parts will be read from later, so that they can be."""
    return _scan_from_below(text, start, n_frames - 1) if n_frames else _scan(text, start)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


# Nobody asks for the value of a number, and making an integer of a long one takes quadratic time, or is refused.
_scan = json.JSONDecoder(parse_int=float, parse_constant=_refuse).raw_decode
_space = re.compile(r"[ \t\n\r]*")
_colon = re.compile(r"[ \t\n\r]*:[ \t\n\r]*")
_comma = re.compile(r"[ \t\n\r]*(?:,[ \t\n\r]*)?")


def _past(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    return position if found is None else found.end()
