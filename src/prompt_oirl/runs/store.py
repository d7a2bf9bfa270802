"""The store of a run: every cell with its state and what became of it, durable as soon as it is saved."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, Literal, Self, TypeVar, get_args

from sqlalchemy import URL, Connection, Select, Table, delete, func, select, update
from sqlalchemy.sql.dml import ReturningInsert

from prompt_oirl.errors import ParameterError, StoreError
from prompt_oirl.grading import Grade
from prompt_oirl.records import Prompt, Question
from prompt_oirl.runs import schema
from prompt_oirl.runs.cells import Cell, Purpose
from prompt_oirl.runs.configuration import RunConfiguration
from prompt_oirl.runs.opening import check_same, create_or_read, read
from prompt_oirl.runs.outcomes import FailureKind
from prompt_oirl.runs.registration import read_prompts_of, read_queries_of, register
from prompt_oirl.runs.reserve import Reserve
from prompt_oirl.runs.rows import StoredOutcome, cell_of, cell_row, outcome_row, stored_outcome
from prompt_oirl.runs.spending import Spending
from prompt_oirl.runs.statements import Insert, claiming, held_by, outcomes_of, planned_after, releasing, saving, spent
from prompt_oirl.stores.database import Database, WayOut, is_full

__all__ = ["RunStore", "State", "StoredOutcome"]

State = Literal["planned", "claimed", "answered", "failed"]
"""`planned`: to be bought, by nobody yet. `claimed`: by a worker whose lease may have run out."""

_WAY_OUT = WayOut(
    again="run the same command again",
    another="another --out",
    first="register the queries and prompts, and save the answers, before what refers to them",
)
_STATES: dict[str, State] = {state: state for state in get_args(State)}
_BATCH = 10_000
"""Of rows in one statement, or in memory at once."""

_QUERIES_AT_ONCE = 64
"""Queries whose outcomes are in memory at once."""


_T = TypeVar("_T")


class RunStore:
    """What a run has bought and what it is buying, in SQLite or PostgreSQL.

    Made by `RunStore.open`; a context manager that closes it. Several threads may use it at once, and several processes
    may open the same store: of those that claim a cell at once, one gets it.
    """

    def __init__(
        self, database: Database, configuration: RunConfiguration, *, clock: Callable[[], float] | None = None
    ) -> None:
        self.configuration = configuration
        self._database = database
        self._clock = clock
        path = database.path
        self._reserve = None if path is None else Reserve(path.with_name(f"{path.name}-reserve"))

    @classmethod
    def open(
        cls,
        url: str | URL,
        *,
        configuration: RunConfiguration | None = None,
        clock: Callable[[], float] | None = None,
    ) -> Self:
        """Open the store at an address, `sqlite:///PATH` or `postgresql://…`.

        Args:
            url: The address.
            configuration: Of the run. The store is made where there is none, and must be of this configuration. Without
                it only a store that is there is opened.
            clock: Gives seconds since 1970, for leases; if None, the computer's for SQLite, the server's for
                PostgreSQL.

        Raises:
            StoreError: There is no store, a damaged one, or one of another version or configuration.
            ParameterError: The address is of something else.
            MissingDependencyError: PostgreSQL's driver is not installed.
        """
        database = Database(url, way_out=_WAY_OUT)
        try:
            found = read(database) if configuration is None else create_or_read(database, configuration)
            store = cls(database, found, clock=clock)
            if configuration is not None:
                store.begin(configuration)
        except BaseException:
            database.close()
            raise
        return store

    @property
    def is_local(self) -> bool:
        """Whether it is a file that one process at a time collects into."""
        return self._database.path is not None

    @property
    def name(self) -> str:
        """The file or the address, without a password."""
        return self._database.name

    def __repr__(self) -> str:
        return f"RunStore({self.name!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections, and free the space that was kept free."""
        if self._reserve is not None:
            self._reserve.close()
        self._database.close()

    @property
    def has_begun(self) -> bool:
        """Whether anything was asked, or is being asked."""
        begun = select(func.count()).where(schema.cells.c.state != "planned")
        return bool(self._all(begun)[0][0])

    def begin(self, configuration: RunConfiguration) -> None:
        """Take a configuration, and drop what was registered, planned and noted with another one.

        Raises:
            StoreError: Something was asked with the other one; the message lists the differences.
        """
        if self.has_begun:
            self.check_same(configuration)
        elif configuration != self.configuration:
            with self._database.writing() as connection:
                for table in (schema.grades, schema.cells, schema.notes, schema.queries, schema.prompts):
                    connection.execute(delete(table))
                self._put(connection, schema.metadata, "configuration", configuration.to_json())
            self.configuration = configuration

    def check_same(self, configuration: RunConfiguration) -> None:
        """Raise if a configuration is not this run's.

        Raises:
            StoreError: It is not; the message lists the differences.
        """
        check_same(configuration, self.configuration, name=self.name)

    def register(self, queries: Sequence[Question], prompts: Sequence[Prompt]) -> None:
        """Add what is new, and replace golds that have changed; a gold that is not given stays as it was.

        Grades of the answers to a query whose gold has changed are removed: they have to be graded again.

        Raises:
            DataError: A query is given with two golds, or two prompts share an id or a wording.
            StoreError: A prompt has another wording than the run's prompt of that id, or another id than the run's
                prompt of that wording.
        """
        register(self._database, queries, prompts)

    def queries(self) -> tuple[Question, ...]:
        """Return the queries in the order of their registration."""
        with self._database.reading() as connection:
            return read_queries_of(connection)

    def prompts(self) -> tuple[Prompt, ...]:
        """Return the prompts in the order of their registration."""
        with self._database.reading() as connection:
            return read_prompts_of(connection)

    def states(self, purpose: Purpose = "answer") -> dict[bytes, State]:
        """Return the state of every cell that is there, by key."""
        statement = select(schema.cells.c.key, schema.cells.c.state).where(schema.cells.c.purpose == purpose)
        with self._database.reading() as connection:
            rows = connection.execution_options(yield_per=_BATCH).execute(statement)
            return {key: _STATES[state] for key, state in rows}

    def plan(self, cells: Iterable[Cell], *, note: tuple[str, str] | None = None, expected: str | None = None) -> bool:
        """Add cells that are to be bought; those that are there stay as they are, their propensity too.

        Args:
            cells: What is to be bought.
            note: Name and text to note in the same transaction, such as the state of what has drawn the cells.
            expected: What is noted under that name now. If it is something else, because another worker was faster,
                nothing is added.

        Returns:
            Whether they were added.

        Raises:
            ParameterError: A cell is of a query or prompt that is not registered.
        """
        statement = self._database.insert(schema.cells).on_conflict_do_nothing()
        with self._database.writing() as connection:
            if note is not None and not self._swap(connection, *note, expected=expected):
                return False
            for batch in _batches(cells):
                connection.execute(statement, [cell_row(cell) | {"state": "planned"} for cell in _by_key(batch)])
        return True

    def planned(self, purpose: Purpose = "answer") -> Iterator[Cell]:
        """Yield the cells that are planned and not claimed, in the order of their keys, which is a random one.

        Cells may be claimed and saved meanwhile.
        """
        last = b""
        while True:
            rows = self._all(planned_after(last, purpose, limit=_BATCH))
            yield from map(cell_of, rows)
            if len(rows) < _BATCH:
                return
            last = rows[-1].key

    def make_room(self) -> None:
        """Keep space free for what is about to be bought; a server's disk is the server's.

        Raises:
            StoreError: The disk is full, so that what is bought could not be saved.
        """
        if self._reserve is not None:
            self._reserve.make()

    def claim(self, cells: Sequence[Cell], *, worker: str, seconds: float, retry_failed: bool = False) -> list[Cell]:
        """Take cells for a worker for so many seconds; return those that it holds now, in the order given.

        It gets those that nobody has bought and no other worker holds a lease of; those that it holds already too.

        Args:
            cells: Planned or not.
            worker: Name of who is to buy them; each worker has its own.
            seconds: After which others may take what has neither been saved nor renewed.
            retry_failed: Whether failed cells are taken as well.

        Raises:
            ParameterError: A cell is of a query or prompt that is not registered, or the worker has no name.
            StoreError: The disk is full, so that what is bought could not be saved.
        """
        if not worker or seconds <= 0:
            raise ParameterError(f"worker={worker!r}, seconds={seconds}: a name and more than 0 seconds are needed")
        self.make_room()
        held: set[bytes] = set()
        with self._database.writing() as connection:
            now = self._now(connection)
            lease = {"state": "claimed", "worker": worker, "lease_expires": now + seconds, "now": now}
            returning = self._claiming[retry_failed]
            for batch in _batches(_by_key(cells)):
                held.update(connection.scalars(returning, [cell_row(cell) | lease for cell in batch]))
        return list({cell.key: cell for cell in cells if cell.key in held}.values())

    def renew(self, worker: str, seconds: float) -> None:
        """Let what a worker holds expire only so many seconds from now."""
        self._despite_full_disk(lambda: self._renew(worker, seconds))

    def _renew(self, worker: str, seconds: float) -> None:
        with self._database.writing() as connection:
            expires = self._now(connection) + seconds
            connection.execute(update(schema.cells).where(held_by(worker)).values(lease_expires=expires))

    def release(self, worker: str | None = None) -> int:
        """Give back what a worker holds, or what all of them hold; return how many cells that were.

        A cell that had failed before has failed again, any other one is planned.
        """
        return self._despite_full_disk(lambda: self._release(worker))

    def _release(self, worker: str | None) -> int:
        with self._database.writing() as connection:
            return connection.execute(releasing(worker)).rowcount

    def save(self, results: Sequence[StoredOutcome]) -> None:
        """Store outcomes in one transaction; they are durable when this returns.

        An answer that is there stays: neither a failure nor a second answer replaces it. What these cost is added to
        the spending all the same.

        Raises:
            StoreError: They could not be stored; what was stored before is kept.
            ParameterError: A cell is of a query or prompt that is not registered.
        """
        if results:
            self._despite_full_disk(lambda: self._save(results))

    def _save(self, results: Sequence[StoredOutcome]) -> None:
        with self._database.writing() as connection:
            now = self._now(connection)
            rows = [cell_row(each.cell) | outcome_row(each.outcome) | {"finished_at": now} for each in results]
            rows.sort(key=lambda row: row["key"])
            connection.execute(self._saving, rows)

    @cached_property
    def _claiming(self) -> dict[bool, ReturningInsert[tuple[bytes]]]:
        """Without and with failed cells; see `_saving`."""
        insert = self._database.insert(schema.cells)
        return {retry: claiming(insert, retry_failed=retry).returning(schema.cells.c.key) for retry in (False, True)}

    @cached_property
    def _saving(self) -> Insert:
        """Made once: it takes longer to make than to execute for a few rows."""
        return saving(self._database.insert(schema.cells))

    def _despite_full_disk(self, write: Callable[[], _T]) -> _T:
        """Write what must be kept; where the disk is full, with the space that was kept free for it."""
        try:
            return write()
        except StoreError as error:
            if self._reserve is None or not is_full(error) or not self._reserve.give_up():
                raise
        return write()

    def spending(self, purpose: Purpose | None = None) -> Spending:
        """Return what the run has cost so far; None: for answers and critiques together."""
        row = self._all(spent(purpose))[0]
        return Spending(*(int(total or 0) for total in row))

    def outcomes(self, purpose: Purpose = "answer", *, answered_only: bool = False) -> Iterator[StoredOutcome]:
        """Yield what is stored, in the order of queries, prompts and samples, a few queries in memory at a time."""
        states = ("answered",) if answered_only else ("answered", "failed")
        rank_of_query, rank_of_prompt = self._positions(schema.queries), self._positions(schema.prompts)
        query_ids = list(rank_of_query)

        def rank(row: Any) -> tuple[Any, ...]:
            return rank_of_query[row.query_id], rank_of_prompt.get(row.prompt_id, -1), row.sample, row.key

        for start in range(0, len(query_ids), _QUERIES_AT_ONCE):
            rows = self._all(outcomes_of(query_ids[start : start + _QUERIES_AT_ONCE], purpose))
            for row in sorted(rows, key=rank):
                if row.state in states:
                    yield stored_outcome(row)

    def failures(self) -> dict[FailureKind, int]:
        """Return how many cells have failed, by the kind of their latest failure."""
        kind = schema.cells.c.failure_kind
        failed = select(kind, func.count()).where(schema.cells.c.state == "failed").group_by(kind).order_by(kind)
        return {row[0]: row[1] for row in self._all(failed)}

    def save_grades(self, grader: str, given: Iterable[tuple[bytes, Grade]]) -> None:
        """Store a grader's grades by the keys of the cells; it is the latest grader then.

        They replace its former grades of the same cells, and leave its other grades and those of other graders.

        Raises:
            ParameterError: There is no cell of such a key.
        """
        statement = self._database.insert(schema.grades)
        replace = statement.on_conflict_do_update(
            index_elements=["grader", "key"], set_={"grade": statement.excluded.grade}
        )
        with self._database.writing() as connection:
            for batch in _batches(given):
                rows = [{"grader": grader, "key": key, "grade": grade.value} for key, grade in batch]
                connection.execute(replace, rows)
            self._put(connection, schema.metadata, "grader", grader)

    def grades(self, grader: str | None = None) -> dict[bytes, Grade]:
        """Return a grader's grades by the keys of the cells; None: the latest grader's, none where there is none."""
        name = self.grader if grader is None else grader
        statement = select(schema.grades.c.key, schema.grades.c.grade).where(schema.grades.c.grader == name)
        by_value = {grade.value: grade for grade in Grade}
        with self._database.reading() as connection:
            rows = connection.execution_options(yield_per=_BATCH).execute(statement)
            return {key: by_value[value] for key, value in rows}

    @property
    def grader(self) -> str | None:
        """Name of the grader whose grades were stored last."""
        return self._get(schema.metadata, "grader")

    def note(self, name: str, value: str) -> None:
        """Keep a small text under a name, in place of a former one."""
        with self._database.writing() as connection:
            self._put(connection, schema.notes, name, value)

    def noted(self, name: str) -> str | None:
        """Return what was noted under a name."""
        return self._get(schema.notes, name)

    def _now(self, connection: Connection) -> float:
        if self._clock is not None:
            return self._clock()
        return time.time() if self._database.path else self._database.time(connection)

    def _all(self, statement: Select[Any]) -> list[Any]:
        with self._database.reading() as connection:
            return list(connection.execute(statement))

    def _positions(self, table: Table) -> dict[str, int]:
        """Return the ids of queries or prompts in their order, each with its number."""
        return {row.id: number for number, row in enumerate(self._all(select(table.c.id).order_by(table.c.position)))}

    def _get(self, table: Table, name: str) -> str | None:
        rows = self._all(select(table.c.value).where(table.c.name == name))
        return rows[0].value if rows else None

    def _swap(self, connection: Connection, name: str, value: str, *, expected: str | None) -> bool:
        """Note a text in place of the expected one, None for none; return whether that was there."""
        insert = self._database.insert(schema.notes)
        is_expected = schema.notes.c.value == expected
        swap = (
            insert.on_conflict_do_nothing()
            if expected is None
            else insert.on_conflict_do_update(
                index_elements=["name"], set_={"value": insert.excluded.value}, where=is_expected
            )
        )
        noted = connection.scalars(swap.returning(schema.notes.c.name), [{"name": name, "value": value}]).all()
        return bool(noted)

    def _put(self, connection: Connection, table: Table, name: str, value: str) -> None:
        insert = self._database.insert(table)
        replace = insert.on_conflict_do_update(index_elements=["name"], set_={"value": insert.excluded.value})
        connection.execute(replace, [{"name": name, "value": value}])


def _batches(items: Iterable[_T]) -> Iterator[list[_T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


def _by_key(cells: Iterable[Cell]) -> list[Cell]:
    """Return each cell once, in the order in which all workers lock them, so that none waits for another in a ring."""
    by_key = {cell.key: cell for cell in cells}
    return [by_key[key] for key in sorted(by_key)]
