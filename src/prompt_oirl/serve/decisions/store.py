"""The store of decisions and of what came of them, in SQLite or PostgreSQL."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Self

from sqlalchemy import URL, Connection, Select, Table, bindparam, insert, select, tuple_

from prompt_oirl.errors import StoreError
from prompt_oirl.records import Prompt
from prompt_oirl.runs.rows import prompt_definition, prompt_of
from prompt_oirl.serve.decision import Decision, Feedback
from prompt_oirl.serve.decisions.opening import create_or_check, require
from prompt_oirl.serve.decisions.rows import decision_of, decision_row
from prompt_oirl.serve.decisions.schema import decisions, feedbacks, recommenders
from prompt_oirl.stores.database import Database

__all__ = ["DecisionStore"]

_BATCH = 5_000
"""Of decisions in memory at once."""

_BUSY_SECONDS = 5.0
"""A service that waits for longer had better say that its store is down; it tries again by itself."""

_logger = logging.getLogger(__name__)


class DecisionStore:
    """Keeps decisions, all feedback to them, and the prompts that were chosen among.

    Made by `DecisionStore.open`; a context manager that closes it. Several threads may use it at once, and several
    processes may open the same store. What was saved is durable: it survives the end of the process and the loss of
    power.

    Args:
        database: Holds a store, or will.
        is_there: Whether the store is there; if not, it is looked for, and made, when something is saved.
    """

    def __init__(self, database: Database, *, is_there: bool = True) -> None:
        self._database = database
        self._prompts: dict[str, tuple[Prompt, ...]] = {}
        """By the version of the recommender; registered by this process."""
        self._stored: set[str] | None = set() if is_there else None
        """Versions whose prompts are stored; None after a failure, when the store may have been lost or replaced."""
        self._inode = self._find_inode()

    @classmethod
    def open(cls, url: str | URL, *, create: bool = True, may_be_down: bool = False) -> Self:
        """Open the store at an address, `sqlite:///PATH` or `postgresql://…`.

        Args:
            url: The address.
            create: Whether a store is made where there is none.
            may_be_down: Whether a server that does not answer is no error: its store is looked for, and made, when
                something is saved.

        Raises:
            StoreError: There is no store, a damaged one, one of another version, or something else.
            ParameterError: The address is of something else.
            MissingDependencyError: PostgreSQL's driver is not installed.
        """
        database = Database(url, busy_seconds=_BUSY_SECONDS)
        try:
            is_there = not may_be_down or database.is_reachable()
            if is_there:
                (create_or_check if create else require)(database)
            return cls(database, is_there=is_there)
        except BaseException:
            database.close()
            raise

    @property
    def name(self) -> str:
        """The file or the address, without a password."""
        return self._database.name

    def __repr__(self) -> str:
        return f"DecisionStore({self.name!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def register(self, version: str, prompts: Sequence[Prompt]) -> None:
        """Take the prompts of a version of the recommender, in their order, to be stored with the next decisions.

        It neither blocks nor fails, and is to be called before the first decision of that version.
        """
        self._prompts[version] = tuple(prompts)

    def save(self, taken: Sequence[Decision], given: Sequence[Feedback] = ()) -> tuple[bool, ...]:
        """Store decisions, then feedback, in one transaction that is durable when this returns.

        A decision that is there stays as it is, so that a transaction of unknown fate may be repeated.

        Returns:
            Of each feedback whether its decision is known; that to an unknown one is not stored.

        Raises:
            StoreError: The store is down, and nothing is stored.
            ParameterError: The database refuses a value, and nothing is stored.
        """
        try:
            stored = self._stored_here()
            missing = [version for version in tuple(self._prompts) if version not in stored]
            with self._database.writing() as connection:
                if missing:
                    rows = [row for version in missing for row in _prompt_rows(version, self._prompts[version])]
                    connection.execute(self._insert(recommenders), rows)
                if taken:
                    connection.execute(self._saving, [decision_row(each) for each in taken])
                known = tuple(_give(connection, each) for each in given)
        except StoreError:
            self._stored = None
            raise
        stored.update(missing)
        return known

    def give_feedback(self, feedback: Feedback) -> bool:
        """Store feedback; False where its decision is not known. See `save`."""
        return self.save((), [feedback])[0]

    def recent(self, limit: int = 50) -> list[tuple[Decision, float | None]]:
        """Return the latest decisions, newest first, each with the last reward given to it.

        Raises:
            StoreError: The store is down.
        """
        newest_first = _with_reward().order_by(decisions.c.created.desc(), decisions.c.id.desc())
        with self._database.reading() as connection:
            return [_pair(row) for row in connection.execute(newest_first.limit(limit))]

    def decisions(self) -> Iterator[tuple[Decision, float | None]]:
        """Yield all decisions, oldest first, each with the last reward given to it; others may be saved meanwhile.

        Raises:
            StoreError: The store is down.
        """
        place = tuple_(decisions.c.created, decisions.c.id)
        page = _with_reward().order_by(decisions.c.created, decisions.c.id).limit(_BATCH)
        statement = page
        while True:
            with self._database.reading() as connection:
                pairs = [_pair(row) for row in connection.execute(statement)]
            yield from pairs
            if len(pairs) < _BATCH:
                return
            last = pairs[-1][0]
            statement = page.where(place > tuple_(last.created, last.id))

    def recommenders(self) -> dict[str, tuple[Prompt, ...]]:
        """Return the prompts of every version that was registered, in their order."""
        found: dict[str, list[Prompt]] = {}
        columns = recommenders.c
        rows = select(columns.version, columns.prompt_id, columns.definition)
        with self._database.reading() as connection:
            for version, id, definition in connection.execute(rows.order_by(columns.version, columns.position)):
                found.setdefault(version, []).append(prompt_of(id, definition))
        return {version: tuple(prompts) for version, prompts in found.items()}

    @cached_property
    def _saving(self) -> Any:
        """Made once: it takes longer to make than to execute for a few rows."""
        return self._insert(decisions)

    def _insert(self, table: Table) -> Any:
        return self._database.insert(table).on_conflict_do_nothing()

    def _stored_here(self) -> set[str]:
        """Return the versions whose prompts are stored, in the store as it is now; it is made again where it is lost.

        Connections to a SQLite file that was removed would go on writing into nothing, without an error.
        """
        inode = self._find_inode()
        if self._stored is None or inode != self._inode:
            self._database.close()
            create_or_check(self._database)
            found = self._find_inode()
            if self._inode not in (None, found):
                _logger.warning("%s was removed or replaced; what comes is stored in the file there now", self.name)
            self._stored, self._inode = set(), found
        return self._stored

    def _find_inode(self) -> int | None:
        """Return the number of the SQLite file, None where there is none."""
        path = self._database.path
        try:
            return None if path is None else path.stat().st_ino
        except OSError:
            return None


def _give(connection: Connection, feedback: Feedback) -> bool:
    """Store feedback to a decision that is there."""
    values = {"decision_id": feedback.decision_id, "reward": feedback.reward, "created": feedback.created}
    return connection.execute(_GIVING, values).first() is not None


_GIVING = (
    insert(feedbacks)
    .from_select(
        ["decision_id", "reward", "created"],
        select(
            decisions.c.id,
            bindparam("reward", type_=feedbacks.c.reward.type),
            bindparam("created", type_=feedbacks.c.created.type),
        ).where(decisions.c.id == bindparam("decision_id", type_=decisions.c.id.type)),
    )
    .returning(feedbacks.c.number)
)


def _with_reward() -> Select[Any]:
    """Select decisions, each with the reward that counts."""
    last = (
        select(feedbacks.c.reward)
        .where(feedbacks.c.decision_id == decisions.c.id)
        .order_by(feedbacks.c.number.desc())
        .limit(1)
        .scalar_subquery()
    )
    return select(*decisions.c, last.label("reward"))


def _pair(row: Any) -> tuple[Decision, float | None]:
    return decision_of(row[:-1]), row[-1]


def _prompt_rows(version: str, prompts: Sequence[Prompt]) -> list[dict[str, Any]]:
    return [
        {"version": version, "position": position, "prompt_id": each.id, "definition": prompt_definition(each)}
        for position, each in enumerate(prompts)
    ]
