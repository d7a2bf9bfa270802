"""What the page is made of: sections with sentences, tables and figures, and the numbers of each as a CSV."""

from __future__ import annotations

import base64
import csv
import io
import math
from dataclasses import dataclass
from typing import Any, Literal

from prompt_oirl.errors import ParameterError
from prompt_oirl.report.texts import count, harmless, percent, shown, signed_points

__all__ = ["MARK", "Column", "Figure", "Kind", "Section", "Table"]

Kind = Literal["text", "count", "share", "points", "number", "mark"]
"""What a column holds: `share` is shown in per cent and `points` in percentage points, both held as fractions; `mark`
is True or False, shown as † or nothing."""

Value = str | int | float | bool | None

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
_LONGEST_TEXT = 160

MARK = "†"
"""Of what cannot be trusted."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    """In the CSV."""

    title: str
    """On the page."""

    kind: Kind = "text"

    is_on_page: bool = True
    """False for columns that only the CSV has."""


@dataclass(frozen=True)
class Table:
    """Numbers that can be downloaded.

    Raises:
        ParameterError: A row is not as long as there are columns.
    """

    name: str
    """Of the CSV file, without suffix, unique on the page."""

    caption: str
    """What the numbers are, and what they rest on."""

    columns: tuple[Column, ...]

    rows: tuple[tuple[Value, ...], ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ParameterError(f"table {self.name!r}: {len(row)} values for {len(self.columns)} columns: {row}")

    @property
    def page_columns(self) -> tuple[Column, ...]:
        """The columns that are shown."""
        return tuple(column for column in self.columns if column.is_on_page)

    @property
    def page_rows(self) -> list[list[str]]:
        """The rows as they are shown."""
        return [
            [_shown(value, column.kind) for value, column in zip(row, self.columns, strict=True) if column.is_on_page]
            for row in self.rows
        ]

    def records(self) -> list[dict[str, Any]]:
        """Return a dictionary for each row, as `report.json` has them."""
        names = [column.name for column in self.columns]
        return [dict(zip(names, map(_plain, row), strict=True)) for row in self.rows]

    @property
    def csv(self) -> str:
        """The rows as CSV; texts that a spreadsheet would take for a formula have an apostrophe before them."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\r\n")
        writer.writerow([column.name for column in self.columns])
        for row in self.rows:
            writer.writerow([_csv_value(_plain(value)) for value in row])
        return out.getvalue()

    @property
    def csv_link(self) -> str:
        """The CSV as a data: address."""
        return f"data:text/csv;charset=utf-8;base64,{base64.b64encode(self.csv.encode()).decode()}"


@dataclass(frozen=True)
class Figure:
    """A picture with its numbers."""

    title: str
    """What it shows, for those who cannot see it too."""

    svg: str
    """Inline SVG; made by `prompt_oirl.report.figures`, which escapes every text."""

    table: Table
    """Its numbers and its caption."""


@dataclass(frozen=True)
class Section:
    """One part of the page."""

    anchor: str
    title: str
    content: tuple[str | Table | Figure, ...]
    """Sentences, tables and figures in their order."""


def _shown(value: Value, kind: Kind) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, str):
        return shown(value, _LONGEST_TEXT)
    if kind == "mark":
        return MARK if value else ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if kind == "count":
        return count(int(value))
    if kind == "share":
        return percent(value)
    return signed_points(value) if kind == "points" else f"{value:,.3g}".replace("-", "−")


def _plain(value: Value) -> Value:
    """Return a value as CSV and JSON have it: what is not a number as nothing, control characters made visible."""
    if isinstance(value, str):
        return harmless(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _csv_value(value: Value) -> Value:
    if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA_STARTS):
        return f"'{value}"
    return value
