"""How numbers and users' texts are shown: one way everywhere in the report."""

from __future__ import annotations

import math
import re

from prompt_oirl.evaluation import Estimate

__all__ = [
    "count",
    "gained",
    "gains",
    "harmless",
    "harmless_json",
    "interval",
    "marked",
    "often",
    "percent",
    "points",
    "points_up",
    "prompt_name",
    "sentence",
    "shown",
    "signed_points",
    "visible",
    "with_margin",
    "wording",
]

_PICTURES = {code: chr(0x2400 + code) for code in range(0x20)} | {0x7F: "\u2421"}
"""Unicode's pictures of control characters."""

_HARMLESS = _PICTURES | {
    code: f"<U+{code:04X}>"
    for code in (*range(0x80, 0xA0), 0x200B, *range(0x2028, 0x202F), *range(0x2060, 0x2070), 0xFEFF)
}
"""With those that would turn or hide the text around them."""

_HARMLESS_ON_LINES = {code: shown for code, shown in _HARMLESS.items() if chr(code) not in "\n\t"}

_IN_JSON = {code: f"\\u{code:04x}" for code in _HARMLESS if code > 0x20}

_LONGEST_NAME = 40
_TIGHT_PERCENT = re.compile(r"(?<=\d)%")


def visible(text: str) -> str:
    """Return a text with control and direction characters as what can be seen; line breaks become spaces."""
    return " ".join(text.split()).translate(_HARMLESS)


def harmless(text: str) -> str:
    """Return a text with such characters made visible and its lines as they are."""
    return text.translate(_HARMLESS_ON_LINES)


def harmless_json(text: str) -> str:
    """Return JSON with such characters as escapes: the same JSON."""
    return text.translate(_IN_JSON)


def sentence(text: str) -> str:
    """Return what another module says as the report says it: true minus signs, a space before the per cent sign."""
    return _TIGHT_PERCENT.sub("\u00a0%", re.sub(r"(?<![\w-])-(?=\d)", "−", text))


def shown(text: str, length: int = _LONGEST_NAME) -> str:
    """Return a text on one line, made visible and cut where it is long."""
    line = visible(text[: 20 * length])
    return line if len(line) <= length else f"{line[: length - 1]}…"


def wording(text: str) -> str:
    """Return a prompt's wording, or that it has none but the query's."""
    return text or "(the query alone)"


def prompt_name(prompt_id: str) -> str:
    """Return how a sentence names a prompt: #2 for the id 2, in quotes otherwise."""
    return f"#{prompt_id}" if prompt_id.isascii() and prompt_id.isdigit() else f"“{shown(prompt_id)}”"


def count(number: int) -> str:
    """Return a whole number with thousands separators."""
    return f"{number:,}"


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share in per cent, a dash where there is none."""
    if share is None or math.isnan(share):
        return "–"
    return f"{round(100 * share, digits) + 0.0:.{digits}f}\u00a0%".replace("-", "−")  # plus 0.0 turns -0.0 into 0.0


def often(share: float) -> str:
    """Return how often something happens."""
    return "four times of five" if math.isclose(share, 0.8) else f"{percent(share, 0)} of the time"


def points(difference: float) -> str:
    """Return the size of a difference of shares in percentage points."""
    return f"{abs(round(100 * difference, 1)):.1f}"


def points_up(difference: float) -> str:
    """Return a difference of shares in percentage points, rounded up: of what is still seen, not of less."""
    return f"{math.ceil(round(1000 * difference, 6)) / 10:.1f}"


def signed_points(difference: float | None) -> str:
    """Return a difference of shares in percentage points with its sign, a dash where there is none."""
    if difference is None or math.isnan(difference):
        return "–"
    return f"{round(100 * difference, 1) + 0.0:+.1f}".replace("-", "−")  # plus 0.0 turns -0.0 into 0.0


def with_margin(estimate: Estimate) -> str:
    """Return a gain in points with half the width of its interval, or with its ends where they are not even.

    With a second digit where one would hide that 0 is out of the interval.
    """
    below, above = estimate.value - estimate.low, estimate.high - estimate.value
    if abs(below - above) > 0.1 * max(below, above):
        return f"{signed_points(estimate.value)} ({interval(estimate)})"
    value, half = 100 * estimate.value, 50 * (estimate.high - estimate.low)
    digits = 2 if abs(value) > half and round(abs(value), 1) <= round(half, 1) else 1
    return f"{round(value, digits) + 0.0:+.{digits}f} ± {half:.{digits}f}".replace("-", "−")


def gained(estimate: Estimate) -> str:
    """Return what a choice gains or loses, in points with the margin."""
    return f"{gains(estimate.value)} {with_margin(estimate).removeprefix('−')} points"


def gains(difference: float, verbs: tuple[str, str] = ("gains", "loses")) -> str:
    """Return the verb for a difference; what is lost is said without its sign."""
    return verbs[round(100 * difference, 1) < 0]


def interval(estimate: Estimate) -> str:
    """Return the ends of a gain's interval in points."""
    return f"{signed_points(estimate.low)} to {signed_points(estimate.high)}"


def marked(detail: str, estimate: Estimate) -> str:
    """Return a detail with what speaks against trusting it, in a few words."""
    if estimate.has_few_groups:
        return f"{detail}; {estimate.n_groups} groups of queries, too few to trust"
    if estimate.has_dominant_group:
        return f"{detail}; {percent(estimate.largest_group_share, 0)} of it is one group of near-duplicates"
    return detail
