"""Find a decision store in a database, or make one."""

from __future__ import annotations

from sqlalchemy import Connection, func, inspect, select

from prompt_oirl.errors import StoreError
from prompt_oirl.runs.database import Database
from prompt_oirl.serve.decisions.schema import CONTENT, SCHEMA_VERSION, TABLES, metadata

__all__ = ["create_or_check", "require"]

_CREATING = 0x0DEC1DED
"""Number of PostgreSQL's advisory lock that is held while tables are made."""


def require(database: Database) -> None:
    """Check that a database holds a decision store.

    Raises:
        StoreError: It holds none, a damaged one, or one of another version.
    """
    is_found = False
    # SQLite would make the file, or begin to write into an empty one.
    if database.path is None or (database.path.is_file() and database.path.stat().st_size):
        with database.reading() as connection:
            is_found = _is_found(connection, database.name)
    if not is_found:
        raise StoreError(
            f"{database.name}: there are no decisions in it; name the store that prompt-oirl serve --store was given"
        )


def create_or_check(database: Database) -> None:
    """Make a decision store in a database that holds none, and check the one that it holds.

    Raises:
        StoreError: It holds a damaged one, one of another version, or the tables of something else.
    """
    with database.writing() as connection:
        if database.path is None:
            _prepare_postgresql(connection, database.name)
        if not _is_found(connection, database.name):
            TABLES.create_all(connection)
            stated = {"content": CONTENT, "schema_version": SCHEMA_VERSION}
            connection.execute(metadata.insert(), [{"name": name, "value": value} for name, value in stated.items()])


def _is_found(connection: Connection, name: str) -> bool:
    expected = {table.name for table in TABLES.sorted_tables}
    there = expected.intersection(inspect(connection).get_table_names())
    if not there:
        return False
    stated = {}
    if metadata.name in there:
        stated = {row.name: row.value for row in connection.execute(select(metadata.c.name, metadata.c.value))}
    if stated.get("content") != CONTENT:
        raise StoreError(
            f"{name}: holds the tables {', '.join(sorted(there))} of something else, such as a run; decisions need a "
            "file, a database or a schema (?options=-csearch_path%3DNAME) of their own"
        )
    version = stated.get("schema_version")
    if version != SCHEMA_VERSION:
        raise StoreError(
            f"{name}: decisions of version {version or '(none)'}, and this is for version {SCHEMA_VERSION}; use the "
            "version of prompt-oirl that made them, or another --store"
        )
    if missing := expected - there:
        raise StoreError(f"{name}: damaged, has no table {', '.join(sorted(missing))}; put back a copy of it")
    return True


def _prepare_postgresql(connection: Connection, name: str) -> None:
    """Keep other replicas from making the same tables, and refuse a database that cannot hold every text."""
    connection.execute(select(func.pg_advisory_xact_lock(_CREATING)))
    encoding = connection.scalar(select(func.current_setting("server_encoding")))
    if encoding != "UTF8":
        raise StoreError(
            f"{name}: the database's encoding is {encoding}; make one of UTF8: createdb -E UTF8 -T template0"
        )
