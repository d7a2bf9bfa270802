"""Read the numbers that a text writes: signs, separators, fractions, powers of ten, percentages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal

__all__ = ["WrittenNumber", "written_numbers"]

_ARITHMETIC = Context(prec=50, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])
"""Never raises: what overflows becomes infinite or NaN, which equals nothing."""

_SCALES = {
    "": Decimal(1),
    "%": Decimal("0.01"),
    "percent": Decimal("0.01"),
    "hundred": Decimal(10**2),
    "thousand": Decimal(10**3),
    "million": Decimal(10**6),
    "billion": Decimal(10**9),
    "trillion": Decimal(10**12),
}

_CURRENCY = "[$€£¥₹]"
_DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d{1,2}(?:,\d{2})+,\d{3}(?!\d)|\d+)"  # 1,234,567 or 12,34,567 or 1234567
_UNSIGNED = rf"(?:{_DIGITS}(?:\.\d+)?|(?<!\w)\.\d+)"
_MINUS = rf"""(?:
    (?<![\w)\]}}%-])(?<![\d)\]}}%]\s)-(?:{_CURRENCY}\s?)?   # "-5" and "-$5", but not the dashes of "9-5", "9 -5", "- 5"
  | (?<==)\s?-\s{_CURRENCY}?                                # "= - 5"
  | \bnegative\s{_CURRENCY}?
)"""
_NO_VALUE = r"""
    \d+(?::\d+)+                  # 10:30
  | \d+(?:\.\d+){2,}              # 1.2.3
  | \d+(?:/\d+){2,}               # 1/2/2026
  | \d+\s?\^\s?\{?-?\d+\}?        # 2^3
  | \d+[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+
  | \^\s?\{?-?\d+\}?              # the power in cm^2
  | [^\W\d_]_?\d[\w.]*(?<!\.)     # x2, x_1
"""
_TOKEN = re.compile(
    rf"""
    (?P<no_value>{_NO_VALUE})
  | (?P<minus>{_MINUS})?
    (?:
        (?P<whole>\d+)\s+(?P<part_top>\d+)\s?/\s?(?P<part_bottom>\d+)(?![\d/])
      | (?P<top>{_UNSIGNED})\s?/\s?(?P<bottom>{_UNSIGNED})(?![\d/])
      | (?P<plain>{_UNSIGNED})
        (?: e(?P<exponent>[+-]?\d{{1,9}})(?!\d)
          | \s?[x×*·]\s?10\s?(?:\^|\*\*)\s?\{{?\s?(?P<power>[+-]?\d{{1,9}})\s?\}}?
        )?
    )
    (?:\s?(?P<scale>%)|\s(?P<scale_word>percent|hundred|thousand|million|billion|trillion)\b)?
    """,
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class WrittenNumber:
    """A number as a text writes it."""

    value: Decimal
    """What the digits say, the sign included, the scale not."""

    scale: Decimal
    """What `%` or a word such as "million" multiplies it by; 1 where there is none."""

    start: int
    """Where it starts in the text."""

    end: int
    """Where it ends in the text."""

    def equals(self, other: WrittenNumber, *, relative: Decimal, absolute: Decimal) -> bool:
        """Tell whether two numbers are the same amount.

        Where only one of the two has a scale, it may also be a unit that the other leaves out: "50%" equals 0.5 and 50.
        Whole numbers are equal only if all their digits are; others within the tolerance.
        """
        if self.scale == other.scale or Decimal(1) not in (self.scale, other.scale):
            pairs = [(self._amount, other._amount)]
        else:
            pairs = [(self._amount, other._amount), (self.value, other.value)]
        return any(_close(*pair, relative=relative, absolute=absolute) for pair in pairs)

    @property
    def _amount(self) -> Decimal:
        return _ARITHMETIC.multiply(self.value, self.scale) if self.scale != 1 else self.value


def _close(a: Decimal, b: Decimal, *, relative: Decimal, absolute: Decimal) -> bool:
    if a == b:
        return True
    if a == a.to_integral_value() and b == b.to_integral_value():
        return False
    allowed = max(absolute, _ARITHMETIC.multiply(relative, max(a.copy_abs(), b.copy_abs())))
    return _ARITHMETIC.subtract(a, b).copy_abs() <= allowed


def _decimal(digits: str) -> Decimal:
    return Decimal(digits.replace(",", ""))


def _value(token: re.Match[str]) -> Decimal:
    if token["plain"]:
        power = int(token["exponent"] or token["power"] or 0)
        value = _decimal(token["plain"])
        value = value.scaleb(power, _ARITHMETIC) if power else value
    elif token["top"]:
        value = _ARITHMETIC.divide(_decimal(token["top"]), _decimal(token["bottom"]))
    else:
        part = _ARITHMETIC.divide(_decimal(token["part_top"]), _decimal(token["part_bottom"]))
        value = _ARITHMETIC.add(_decimal(token["whole"]), part)
    return value.copy_negate() if token["minus"] else value


def written_numbers(text: str) -> Iterator[WrittenNumber]:
    """Yield the numbers in a plain text, in order.

    Read are signs, thousands separators, decimals, fractions ("3/4", "1 1/2"), powers of ten ("1.5e3", "2 × 10^5"),
    `%`, ordinals, and scale words after digits ("2 million"). What has digits but no value is passed over: times,
    dates, versions, powers, names such as x2. A decimal comma is not known: it is a thousands separator or none.
    """
    for token in _TOKEN.finditer(text):
        if token["no_value"]:
            continue
        value = _value(token)
        if value.is_finite():
            scale = _SCALES[(token["scale"] or token["scale_word"] or "").lower()]
            yield WrittenNumber(value, scale, token.start(), token.end())
