"""Find a store in a database, or make one: its tables, their version, and the run's configuration."""

from __future__ import annotations

from collections.abc import Mapping

from prompt_oirl.errors import DataError, StoreError
from prompt_oirl.runs.configuration import RunConfiguration
from prompt_oirl.runs.schema import SCHEMA_VERSION, TABLES
from prompt_oirl.stores.database import Database
from prompt_oirl.stores.opening import StoreKind, find, find_or_create

__all__ = ["check_same", "create_or_read", "read"]

_KIND = StoreKind(TABLES, SCHEMA_VERSION)


def read(database: Database) -> RunConfiguration:
    """Return the configuration of the store that a database holds.

    Raises:
        StoreError: It holds none, a damaged one, or one of another version.
    """
    if database.path is not None and not database.path.is_file():
        raise StoreError(f"{database.name}: there is no such file; put back a copy of it, or use another --out")
    found = find(database, _KIND)
    if found is None:
        raise StoreError(f"{database.name}: there is no run in it; put back a copy of it, or use another --out")
    return _configuration(found, database.name)


def create_or_read(database: Database, configuration: RunConfiguration) -> RunConfiguration:
    """Make a store in a database that holds none; return the configuration of the one that is there then.

    Raises:
        StoreError: It holds a damaged one, or one of another version.
    """
    found = find_or_create(database, _KIND, {"configuration": configuration.to_json()})
    return _configuration(found, database.name)


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


def _configuration(stated: Mapping[str, str], name: str) -> RunConfiguration:
    try:
        return RunConfiguration.from_json(stated.get("configuration", ""))
    except DataError as error:
        raise StoreError(f"{name}: damaged, {error}; put back a copy of it, or use another --out") from error
