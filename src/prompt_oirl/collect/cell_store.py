"""Where cells are claimed before they are bought, and where their outcomes go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from prompt_oirl.runs.cells import Cell
from prompt_oirl.runs.rows import StoredOutcome
from prompt_oirl.runs.spending import Spending

__all__ = ["CellStore"]


class CellStore(Protocol):
    """What a collection needs of a run's store; see `RunStore` for each of these."""

    @property
    def is_local(self) -> bool:
        """Whether nobody else collects into it meanwhile, so that its spending need not be looked at again."""
        ...

    def claim(self, cells: Sequence[Cell], *, worker: str, seconds: float, retry_failed: bool = False) -> list[Cell]:
        """Take cells for a worker for so many seconds; return those that it holds now."""
        ...

    def renew(self, worker: str, seconds: float) -> None:
        """Let what a worker holds expire only so many seconds from now."""
        ...

    def release(self, worker: str | None = None) -> int:
        """Give back what a worker holds, and return how many cells that were."""
        ...

    def save(self, results: Sequence[StoredOutcome]) -> None:
        """Store outcomes; they are safe when this returns."""
        ...

    def spending(self) -> Spending:
        """Return what the run has cost."""
        ...
