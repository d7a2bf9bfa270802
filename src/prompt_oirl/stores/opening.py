"""Find a store in a database, or make one: its tables, their version, and what else its metadata say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, MetaData, Table, func, inspect, select

from prompt_oirl.errors import StoreError
from prompt_oirl.stores.database import Database

__all__ = ["StoreKind", "find", "find_or_create"]

_CREATING = 0x0B5E55ED
"""Number of PostgreSQL's advisory lock that is held while tables are made."""


@dataclass(frozen=True, slots=True)
class StoreKind:
    """What tells the stores of one kind from other ones."""

    tables: MetaData
    """One of them is `metadata`, of names and values."""

    version: str
    """Of the tables."""

    content: str | None = None
    """What the metadata say that the tables hold; a run's say nothing."""

    @property
    def metadata(self) -> Table:
        """The table of names and values."""
        return self.tables.tables["metadata"]


def find(database: Database, kind: StoreKind) -> dict[str, str] | None:
    """Return what the metadata of a store say; None where there is no store, and nothing is made then.

    Raises:
        StoreError: It is a damaged one, one of another version, or something else.
    """
    # SQLite would make the file, or begin to write into an empty one.
    if database.path is not None and not (database.path.is_file() and database.path.stat().st_size):
        return None
    with database.reading() as connection:
        return _find(connection, database, kind)


def find_or_create(database: Database, kind: StoreKind, stated: Mapping[str, str] | None = None) -> dict[str, str]:
    """Make a store in a database that holds none; return what the metadata say of the one that is there then.

    Args:
        database: Where.
        kind: Of the store.
        stated: What the metadata of a new one say, besides its version and its content.

    Raises:
        StoreError: It is a damaged one, one of another version, or something else.
    """
    with database.writing() as connection:
        if database.path is None:
            _prepare_postgresql(connection, database.name)
        found = _find(connection, database, kind)
        if found is None:
            found = {"schema_version": kind.version, **(stated or {})}
            if kind.content is not None:
                found["content"] = kind.content
            kind.tables.create_all(connection)
            connection.execute(kind.metadata.insert(), [{"name": name, "value": found[name]} for name in found])
    return found


def _find(connection: Connection, database: Database, kind: StoreKind) -> dict[str, str] | None:
    expected = [table.name for table in kind.tables.sorted_tables]
    there = [name for name in expected if inspect(connection).has_table(name)]
    if not there:
        return None
    stated = _read(connection, kind.metadata) if kind.metadata.name in there else None
    another = database.way_out.another
    if stated is None or stated.get("content") != kind.content:
        raise StoreError(
            f"{database.name}: holds the tables {', '.join(there)} of something else; use {another}, an empty "
            "database, or a schema of its own (?options=-csearch_path%3DNAME)"
        )
    version = stated.get("schema_version")
    if version != kind.version:
        raise StoreError(
            f"{database.name}: a store of version {version or '(none)'}, and this is for version {kind.version}; "
            f"use the version of prompt-oirl that made it, or {another}"
        )
    if missing := sorted(set(expected) - set(there)):
        raise StoreError(
            f"{database.name}: damaged, has no table {', '.join(missing)}; put back a copy of it, or use {another}"
        )
    return stated


def _read(connection: Connection, metadata: Table) -> dict[str, str]:
    return {row.name: row.value for row in connection.execute(select(metadata.c.name, metadata.c.value))}


def _prepare_postgresql(connection: Connection, name: str) -> None:
    """Keep other processes from making tables meanwhile, and refuse a database that cannot hold every text."""
    connection.execute(select(func.pg_advisory_xact_lock(_CREATING)))
    encoding = connection.scalar(select(func.current_setting("server_encoding")))
    if encoding != "UTF8":
        raise StoreError(
            f"{name}: the database's encoding is {encoding}; make one of UTF8: createdb -E UTF8 -T template0"
        )
