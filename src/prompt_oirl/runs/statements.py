"""The store's statements about cells, the same for SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Select,
    Update,
    and_,
    bindparam,
    case,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from prompt_oirl.runs.cells import Purpose
from prompt_oirl.runs.rows import CELL_COLUMNS, KEPT_COLUMNS, OUTCOME_COLUMNS, SPENT_COLUMNS
from prompt_oirl.runs.schema import cells

__all__ = ["Insert", "claiming", "held_by", "outcomes_of", "planned_after", "releasing", "saving", "spent"]

Insert: TypeAlias = sqlite.Insert | postgresql.Insert
"""An INSERT that knows ON CONFLICT."""


def claiming(insert: Insert, *, retry_failed: bool) -> Insert:
    """Insert cells as claimed, or claim those that are there and free: planned, or held by a lease that has run out.

    Each row has the parameter `now` beside its columns. What is returned is the key of those that were claimed.
    """
    new = insert.excluded
    is_free = or_(
        cells.c.state == "planned",
        and_(cells.c.state == "failed", literal(retry_failed)),
        and_(cells.c.state == "claimed", or_(cells.c.worker == new.worker, cells.c.lease_expires < bindparam("now"))),
    )
    taken = {"state": new.state, "worker": new.worker, "lease_expires": new.lease_expires}
    return insert.on_conflict_do_update(index_elements=["key"], set_=taken, where=is_free)


def saving(insert: Insert) -> Insert:
    """Insert cells with their outcomes; where an answer is there it stays, and only what was spent is added."""
    new = insert.excluded
    # Constants instead of parameters: the latter would be bound again for each row.
    is_answered = cells.c.state == literal_column("'answered'")
    kept: dict[str, Any] = {
        name: case((is_answered, cells.c[name]), else_=new[name]) for name in ("state", *KEPT_COLUMNS)
    }
    summed = {name: cells.c[name] + new[name] for name in SPENT_COLUMNS}
    claim_is_over = {"worker": null(), "lease_expires": null()}
    return insert.on_conflict_do_update(index_elements=["key"], set_=kept | summed | claim_is_over)


def held_by(worker: str | None) -> ColumnElement[bool]:
    """Whether a cell is claimed by this worker; None: by any."""
    is_claimed = cells.c.state == "claimed"
    return is_claimed if worker is None else is_claimed & (cells.c.worker == worker)


def releasing(worker: str | None) -> Update:
    """Give claimed cells back: one that had failed before has failed again, any other one is planned."""
    former = case((cells.c.failure_kind.is_(None), "planned"), else_="failed")
    return update(cells).where(held_by(worker)).values(state=former, worker=None, lease_expires=None)


def planned_after(key: bytes, purpose: Purpose, *, limit: int) -> Select[Any]:
    """Select the next planned cells in the order of their keys."""
    is_next = (cells.c.state == "planned") & (cells.c.purpose == purpose) & (cells.c.key > key)
    return select(*CELL_COLUMNS).where(is_next).order_by(cells.c.key).limit(limit)


def outcomes_of(query_ids: Sequence[str], purpose: Purpose) -> Select[Any]:
    """Select everything about the cells of some queries, whatever their state.

    A condition on the state would lead SQLite to the index of states, which has nearly all cells of a run in one.
    """
    return select(*OUTCOME_COLUMNS).where(cells.c.query_id.in_(query_ids), cells.c.purpose == purpose)


def spent(purpose: Purpose | None) -> Select[Any]:
    """Select one row: the fields of a Spending."""
    is_answered = cells.c.state == "answered"
    is_uncounted = is_answered & (cells.c.prompt_tokens.is_(None) | cells.c.completion_tokens.is_(None))
    totals = select(
        func.sum(cells.c.attempts),
        func.sum(case((is_answered, 1), else_=0)),
        func.sum(case((cells.c.state == "failed", 1), else_=0)),
        func.sum(cells.c.spent_prompt_tokens),
        func.sum(cells.c.spent_completion_tokens),
        func.sum(case((is_uncounted, 1), else_=0)),
    )
    return totals if purpose is None else totals.where(cells.c.purpose == purpose)
