"""Find a decision store in a database, or make one."""

from __future__ import annotations

from prompt_oirl.errors import StoreError
from prompt_oirl.serve.decisions.schema import CONTENT, SCHEMA_VERSION, TABLES
from prompt_oirl.stores.database import Database
from prompt_oirl.stores.opening import StoreKind, find, find_or_create

__all__ = ["create_or_check", "require"]

_KIND = StoreKind(TABLES, SCHEMA_VERSION, CONTENT)


def require(database: Database) -> None:
    """Check that a database holds a decision store.

    Raises:
        StoreError: It holds none, a damaged one, or one of another version.
    """
    if find(database, _KIND) is None:
        raise StoreError(
            f"{database.name}: there are no decisions in it; name the store that prompt-oirl serve --store was given"
        )


def create_or_check(database: Database) -> None:
    """Make a decision store in a database that holds none, and check the one that it holds.

    Raises:
        StoreError: It holds a damaged one, one of another version, or the tables of something else.
    """
    find_or_create(database, _KIND)
