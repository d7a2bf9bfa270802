"""One result: what was measured, where, by which method, with its interval and its n."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from prompt_oirl.errors import FileFormatError
from prompt_oirl.files import atomic_path

__all__ = ["ResultRow", "read_rows", "write_rows"]


@dataclass(frozen=True, kw_only=True)
class ResultRow:
    """A line of `results.jsonl`. Values are fractions of 1; what does not apply is None."""

    table: str
    llm: str
    dataset: str
    protocol: str
    """How training and test queries were parted: `published`, `paper`, `by_template`, `by_question`, or `none`."""

    method: str
    k: int | None = None
    """Number of training prompts."""

    prompts: str | None = None
    """Indices of the training prompts, such as `0,2,5`; None where the row is a mean over subsets."""

    seeds: str | None = None
    """Fold seeds whose mean the row is, such as `0,1,2,3,4`."""

    n_queries: int
    n_trials: int | None = None
    n_groups: int | None = None
    """Groups of near-duplicate queries: the units that the interval is clustered by."""

    n_left_out: int | None = None
    """Test queries that could not be valued, because the chosen prompt has no logged trial."""

    value: float | None = None
    gain: float | None = None
    """Value less that of the best single prompt."""

    low: float | None = None
    high: float | None = None
    """Ends of the 95 % interval of the gain (of the value, in tables that have no gain)."""

    bootstrap_low: float | None = None
    bootstrap_high: float | None = None
    """The same by a bootstrap over groups."""

    metric: str | None = None
    """What `value` is, where it is not a success rate."""

    note: str | None = None

    def to_json(self) -> str:
        """Return the row as one line of JSON, without the fields that do not apply."""
        return json.dumps(
            {name: value for name, value in asdict(self).items() if value is not None}, ensure_ascii=False
        )

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Self:
        """Make a row of parsed JSON.

        Raises:
            TypeError: A field is unknown or missing.
        """
        return cls(**record)


FIELDS = tuple(field.name for field in fields(ResultRow))


def write_rows(rows: Iterable[ResultRow], path: Path) -> None:
    """Write rows as JSON lines, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text("".join(row.to_json() + "\n" for row in rows), encoding="utf-8")


def read_rows(path: Path) -> Iterator[ResultRow]:
    """Yield the rows of a file of JSON lines.

    Raises:
        FileFormatError: A line is not a result row.
    """
    with path.open(encoding="utf-8", newline="\n") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield ResultRow.from_dict(json.loads(line))
            except (ValueError, TypeError) as error:
                raise FileFormatError(
                    path, f"{line[:80]!r} is not a result row ({error}); run it again", row=number
                ) from error
