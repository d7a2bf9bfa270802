"""Find a store in a database, or make one: its tables, their version, and the run's configuration."""

from __future__ import annotations

from sqlalchemy import Connection, func, inspect, select

from prompt_oirl.errors import DataError, StoreError
from prompt_oirl.runs.configuration import RunConfiguration
from prompt_oirl.runs.database import Database
from prompt_oirl.runs.schema import SCHEMA_VERSION, TABLES, metadata

__all__ = ["check_same", "create_or_read", "read"]

_CREATING = 0x0B5E55ED
"""Number of PostgreSQL's advisory lock that is held while tables are made."""


def read(database: Database) -> RunConfiguration:
    """Return the configuration of the store that a database holds.

    Raises:
        StoreError: It holds none, a damaged one, or one of another version.
    """
    if database.path is not None and not database.path.is_file():
        raise StoreError(f"{database.name}: there is no such file; put back a copy of it, or use another --out")
    found = None
    if database.path is None or database.path.stat().st_size:  # SQLite would begin to write into an empty file
        with database.reading() as connection:
            found = _found(connection, database.name)
    if found is None:
        raise StoreError(f"{database.name}: there is no run in it; put back a copy of it, or use another --out")
    return found


def create_or_read(database: Database, configuration: RunConfiguration) -> RunConfiguration:
    """Make a store in a database that holds none; return the configuration of the one that is there then.

    Raises:
        StoreError: It holds a damaged one, or one of another version.
    """
    with database.writing() as connection:
        if database.path is None:
            _prepare_postgresql(connection, database.name)
        found = _found(connection, database.name)
        if found is not None:
            return found
        TABLES.create_all(connection)
        stated = {"schema_version": SCHEMA_VERSION, "configuration": configuration.to_json()}
        rows = [{"name": name, "value": value} for name, value in stated.items()]
        connection.execute(metadata.insert(), rows)
    return configuration


def check_same(given: RunConfiguration, stored: RunConfiguration, *, name: str) -> None:
    """Raise if a run is to go on with another LLM, or asked in another way.

    Raises:
        StoreError: It is; the message lists the differences.
    """
    differences = given.differences(stored)
    if differences:
        raise StoreError(
            f"{name} holds the answers of another configuration (here: this command, there: the store): "
            f"{'; '.join(differences)}. Use the same settings to go on with it, or another --out for a new run"
        )


def _found(connection: Connection, name: str) -> RunConfiguration | None:
    there = [table.name for table in TABLES.sorted_tables if inspect(connection).has_table(table.name)]
    if not there:
        return None
    if metadata.name not in there:
        raise StoreError(f"{name}: holds the tables {', '.join(there)} of something else; use an empty database")
    stated = {row.name: row.value for row in connection.execute(select(metadata.c.name, metadata.c.value))}
    version = stated.get("schema_version")
    if version != SCHEMA_VERSION:
        raise StoreError(
            f"{name}: a store of version {version or '(none)'}, and this is for version {SCHEMA_VERSION}; "
            "use the version of prompt-oirl that made it, or another --out"
        )
    missing = {table.name for table in TABLES.sorted_tables} - set(there)
    if missing:
        raise StoreError(f"{name}: damaged, has no table {', '.join(sorted(missing))}; put back a copy of it")
    try:
        return RunConfiguration.from_json(stated.get("configuration", ""))
    except DataError as error:
        raise StoreError(f"{name}: damaged, {error}; put back a copy of it, or use another --out") from error


def _prepare_postgresql(connection: Connection, name: str) -> None:
    """Keep other workers from making the same tables, and refuse a database that cannot hold every text."""
    connection.execute(select(func.pg_advisory_xact_lock(_CREATING)))
    encoding = connection.scalar(select(func.current_setting("server_encoding")))
    if encoding != "UTF8":
        raise StoreError(
            f"{name}: the database's encoding is {encoding}; make one of UTF8: createdb -E UTF8 -T template0"
        )
