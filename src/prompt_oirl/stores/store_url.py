"""Addresses of stores: what is accepted, and how they are shown without their password."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from prompt_oirl.errors import ParameterError

__all__ = ["check_no_password", "named_store", "parse_store_url", "redacted", "sqlite_url", "without_password"]

_FORMS = "postgresql://user@host/database"


def sqlite_url(path: Path) -> URL:
    """Return the address of a SQLite file."""
    return URL.create("sqlite", database=str(path))


def parse_store_url(url: str | URL) -> URL:
    """Return the address of a SQLite file or a PostgreSQL database, its password out of the query part.

    Raises:
        ParameterError: It is something else; the message does not repeat it, for there may be a password in it.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ParameterError(f"the address of the store cannot be read; write {_FORMS}") from None
    backend = parsed.get_backend_name()
    if backend in ("postgresql", "postgres"):
        return _postgresql(parsed)
    if backend != "sqlite":
        raise ParameterError(f"the address of the store starts with {parsed.drivername}://, but {_FORMS} is needed")
    if parsed.database in (None, "", ":memory:"):
        raise ParameterError("a store in memory would lose what it holds; name a file: sqlite:///path/of/store.sqlite")
    return parsed


def _postgresql(url: URL) -> URL:
    if not url.database:
        raise ParameterError(f"the address of the store names no database; write {_FORMS}")
    if "sslpassword" in url.query:
        raise ParameterError("the address of the store has an sslpassword; use a client key without one")
    password = url.query.get("password", url.password)
    url = url.difference_update_query(["password"])
    return url.set(drivername="postgresql+psycopg", password=password if isinstance(password, str) else None)


def named_store(argument: str) -> URL:
    """Return the address of the store that an argument of a command names: a SQLite file or an address.

    Raises:
        ParameterError: It is the address of something else, or has a password.
    """
    url = parse_store_url(argument) if "://" in argument else sqlite_url(Path(argument))
    check_no_password(url)
    return url


def check_no_password(url: URL) -> None:
    """Raise if a parsed address, given as an argument of a command, has a password in it.

    Raises:
        ParameterError: It has; the message does not repeat the password.
    """
    if url.password is not None:
        raise ParameterError(
            f"the store {without_password(url)} was given with a password, which others can see in the list of "
            "processes; put it into PGPASSWORD or ~/.pgpass, or the whole address into $PROMPT_OIRL_STORE"
        )


def without_password(url: URL) -> str:
    """Return a parsed address as text, without the password and without the driver's name."""
    bare = URL.create(url.get_backend_name(), url.username, None, url.host, url.port, url.database, url.query)
    return bare.render_as_string(hide_password=False)


def redacted(text: str, url: URL) -> str:
    """Return a text with the address' password replaced, wherever it occurs."""
    password = url.password
    return text.replace(str(password), "***") if password else text
