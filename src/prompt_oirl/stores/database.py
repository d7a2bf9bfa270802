"""A SQLite file or a PostgreSQL database: transactions, and errors that say what to do."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from prompt_oirl.errors import ParameterError, StoreError
from prompt_oirl.optional import import_optional
from prompt_oirl.stores.store_url import parse_store_url, redacted, without_password

__all__ = ["Database", "WayOut", "is_full"]

_KEPT = "everything that was saved before is kept"
_DISK_FULL = "53100"
"""PostgreSQL's code for it."""


@dataclass(frozen=True, slots=True)
class WayOut:
    """What errors tell to do, in the words of who opens the database."""

    again: str = "try again"
    """Once the cause is removed."""

    another: str = "another store"
    """Where this one cannot be used."""

    first: str = "save first what it refers to"
    """Before a row that refers to another one."""


class Database:
    """Opens connections when they are needed; may be used from several threads at once.

    Args:
        url: Of a SQLite file or a PostgreSQL database.
        way_out: What errors tell to do.
        busy_seconds: For which a SQLite file that another process writes to is waited for.

    Raises:
        ParameterError: It is the address of something else.
        MissingDependencyError: It is PostgreSQL's, and its driver is not installed.
    """

    def __init__(self, url: str | URL, *, way_out: WayOut = WayOut(), busy_seconds: float = 60.0) -> None:
        self.url = parse_store_url(url)
        self.path = Path(self.url.database or "") if self.url.get_backend_name() == "sqlite" else None
        """Of the SQLite file; None for PostgreSQL."""
        self.name = without_password(self.url) if self.path is None else str(self.path)
        """To show: without a password."""
        self.way_out = way_out
        self._busy_seconds = busy_seconds
        self._engine = _postgresql_engine(self.url) if self.path is None else _sqlite_engine(self.url, busy_seconds)
        self._writing_engine = self._engine.execution_options(writes=True)
        self._writing = threading.Lock()

    def __repr__(self) -> str:
        return f"Database({self.name!r})"

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection in a transaction.

        Raises:
            StoreError: The database cannot be reached or read.
        """
        with self._explained(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield a connection in a transaction that is durable when the block ends, and undone if it raises.

        Raises:
            StoreError: The database cannot be reached or written.
            ParameterError: A row refers to one that is not there.
        """
        if self.path is None:
            with self._explained(), self._writing_engine.begin() as connection:
                yield connection
            return
        # SQLite has one writer at a time; waiting here is faster than its polling.
        with self._writing, self._explained(), self._writing_engine.begin() as connection:
            yield connection

    def is_reachable(self) -> bool:
        """Whether a server answers, if only to refuse; a SQLite file needs none.

        False also while it starts or stops. It is asked without user and password being checked; what is wrong with
        these, or with the address, opening a connection tells.
        """
        return self.path is not None or _postgresql_answers(self._engine)

    def insert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        """Return an INSERT that knows ON CONFLICT."""
        return postgresql.insert(table) if self.path is None else sqlite.insert(table)

    def time(self, connection: Connection) -> float:
        """Return PostgreSQL's time in seconds since 1970: one clock for all machines."""
        return float(connection.scalars(select(func.extract("epoch", func.clock_timestamp()))).one())

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError as error:
            raise ParameterError(
                f"{self.name}: a row refers to one that is not there, or lacks a value; {self.way_out.first}"
            ) from error
        except DBAPIError as error:
            problem = self._postgresql_problem(error) if self.path is None else self._sqlite_problem(error)
            raise StoreError(redacted(f"{self.name}: {problem}", self.url)) from error
        except SQLAlchemyError as error:  # such as: all connections are taken
            problem = f"{type(error).__name__}, {str(error).partition('(Background')[0].strip()}"
            raise StoreError(
                redacted(f"{self.name}: {problem}; {_KEPT}. See what holds it, and {self.way_out.again}", self.url)
            ) from error

    def _sqlite_problem(self, error: DBAPIError) -> str:
        problem, again, another = str(error.orig), self.way_out.again, self.way_out.another
        match _sqlite_code(error.orig) & 0xFF:
            case sqlite3.SQLITE_FULL:
                return f"{problem}; {_KEPT}. Free some space, and {again}"
            case sqlite3.SQLITE_IOERR:
                return f"{problem}; {_KEPT}. See to the disk and the space on it, and {again}"
            case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
                return f"{problem}: no store, or a damaged one. Put back a copy of it, or use {another}"
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                held = f"another process has held it for {self._busy_seconds:g} s"
                return f"{problem}: {held}; end that one, or try again later"
            case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
                return f"{problem}; the folder must be there, and it and its files writable"
        return f"{problem}: not the tables of this kind of store, or damaged ones. Put back a copy, or use {another}"

    def _postgresql_problem(self, error: DBAPIError) -> str:
        if error.orig is not None:
            error.orig._pgconn = None  # type: ignore[attr-defined]  # psycopg keeps the password in it
        problem, again = " ".join(str(error.orig).split()), self.way_out.again
        state = getattr(error.orig, "sqlstate", None)
        if state == _DISK_FULL:
            return f"{problem}; {_KEPT}. Free some space on the server, and {again}"
        if state == "3F000":
            return f"{problem}; make the schema that the address names (CREATE SCHEMA …), and {again}"
        if error.connection_invalidated or state is None:
            return (
                f"{problem}; {_KEPT}. See that the server runs, that the database exists (createdb {self.url.database})"
                f" and that the user may connect (password in PGPASSWORD or ~/.pgpass), and {again}"
            )
        return f"{problem}; {_KEPT}. See that the user may read and write the tables, and {again}"


def is_full(error: StoreError) -> bool:
    """Whether it was raised because there is no space left on the disk."""
    original = getattr(error.__cause__, "orig", None)
    return _sqlite_code(original) == sqlite3.SQLITE_FULL or getattr(original, "sqlstate", None) == _DISK_FULL


def _sqlite_engine(url: URL, busy_seconds: float) -> Engine:
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": busy_seconds})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where _begin_sqlite says so
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA cache_size = -32768")  # 32 MiB: keys are random, and so are the pages they are on


def _begin_sqlite(connection: Connection) -> None:
    """Lock at once where something is to be written: a lock that is taken late may have to be given up."""
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgresql_engine(url: URL) -> Engine:
    import_optional("psycopg", extra="postgres")
    return create_engine(url, hide_parameters=True, pool_pre_ping=True, connect_args=_patience(url))


def _patience(url: URL) -> dict[str, int]:
    return {} if "connect_timeout" in url.query else {"connect_timeout": 10}


def _postgresql_answers(engine: Engine) -> bool:
    psycopg = import_optional("psycopg", extra="postgres")
    _, options = engine.dialect.create_connect_args(engine.url)
    of_server = {name: value for name, value in options.items() if isinstance(value, str | int)}  # others are psycopg's
    try:
        address = psycopg.conninfo.make_conninfo(**of_server, **_patience(engine.url))
    except psycopg.Error:
        return True
    state = psycopg.pq.PGconn.ping(address.encode())
    return state not in (psycopg.pq.Ping.REJECT, psycopg.pq.Ping.NO_RESPONSE)


def _sqlite_code(original: object) -> int:
    code = getattr(original, "sqlite_errorcode", None)
    return code if isinstance(code, int) else sqlite3.SQLITE_OK
