"""A run: a folder that says where the store is, and by default holds it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sqlalchemy import URL

from prompt_oirl.errors import DataNotFoundError, ParameterError, StoreError
from prompt_oirl.files import atomic_path
from prompt_oirl.runs.configuration import RunConfiguration
from prompt_oirl.runs.lock import locked
from prompt_oirl.runs.store import RunStore
from prompt_oirl.stores.store_url import check_no_password, parse_store_url, sqlite_url, without_password

__all__ = ["RUN_FILE", "Run", "is_run"]

RUN_FILE = "run.json"
"""What makes a folder that of a run."""

_STORE_FILE = "store.sqlite"
_LOCK_FILE = "lock"
_FORMAT = 1


@dataclass(frozen=True, eq=False)
class Run:
    """A run's folder with its open store; a context manager that closes it."""

    folder: Path
    store: RunStore

    @classmethod
    def create_or_open(
        cls,
        folder: Path | str,
        configuration: RunConfiguration,
        *,
        store_url: str | None = None,
        environment_url: str | None = None,
    ) -> Self:
        """Open the run of a folder, or make one where there is nothing; it must be of this configuration.

        Args:
            folder: Of the run.
            configuration: Of the LLM and of how it is asked.
            store_url: Of a PostgreSQL database without a password, for a store that several machines share. If None,
                a new run's store is a SQLite file in the folder.
            environment_url: The same from an environment variable, where it may have a password. It counts for a new
                run without a `store_url`, and wherever it is the address of the run's store.

        Raises:
            StoreError: The folder holds something else, a damaged run, or one of another configuration or version.
            ParameterError: The address has a password, is no PostgreSQL's, or is not that of the run's store.
            MissingDependencyError: PostgreSQL's driver is not installed.
        """
        folder = Path(folder)
        given = None if store_url is None else _postgresql_url(store_url)
        if given is not None:
            check_no_password(given)
        if is_run(folder):
            return cls._open(folder, configuration, given, environment_url)
        _check_free(folder)
        url = given or (_postgresql_url(environment_url) if environment_url else sqlite_url(folder / _STORE_FILE))
        folder.mkdir(parents=True, exist_ok=True)
        store = RunStore.open(_with_password(url, environment_url), configuration=configuration)
        _write(folder, url)
        return cls(folder, store)

    @classmethod
    def open(cls, folder: Path | str, *, environment_url: str | None = None) -> Self:
        """Open the run that a folder holds.

        Args:
            folder: Of the run.
            environment_url: As of `create_or_open`.

        Raises:
            DataNotFoundError: There is no run.
            StoreError: It is damaged or of another version.
            MissingDependencyError: PostgreSQL's driver is not installed.
        """
        folder = Path(folder)
        if not is_run(folder):
            raise DataNotFoundError(f"{folder} is no run: it has no {RUN_FILE}; make one with prompt-oirl collect")
        return cls._open(folder, None, None, environment_url)

    @classmethod
    def _open(
        cls, folder: Path, configuration: RunConfiguration | None, given: URL | None, environment_url: str | None
    ) -> Self:
        url = _read(folder)
        if given is not None and given != url:
            raise ParameterError(
                f"the store of {folder} is {without_password(url)}, not {without_password(given)}; leave --store out, "
                "or use another --out"
            )
        store = RunStore.open(_with_password(url, environment_url))
        try:
            if configuration is not None:
                store.begin(configuration)
        except StoreError:
            store.close()
            raise
        return cls(folder, store)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from collecting into this folder for as long as the block runs.

        Claims of a process that was killed are dropped. With PostgreSQL there is no lock: there, workers share a run,
        and claims expire.

        Raises:
            StoreError: Another process collects into it.
        """
        if not self.store.is_local:
            yield
            return
        with locked(self.folder / _LOCK_FILE):
            self.store.release()
            yield

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the store."""
        self.store.close()


def is_run(path: Path | str) -> bool:
    """Whether a path is the folder of a run."""
    return (Path(path) / RUN_FILE).is_file()


def _check_free(folder: Path) -> None:
    """Raise unless a folder is not there, empty, or left by a run that was killed before it had begun."""
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"{folder} is a file; use another --out")
    others = [path.name for path in folder.iterdir()] if folder.exists() else []
    others = [name for name in others if not name.startswith((_STORE_FILE, f".{Path(RUN_FILE).stem}."))]
    if others:
        raise StoreError(
            f"{folder} is no run and not empty: it holds {', '.join(sorted(others)[:3])}; use another --out"
        )


def _postgresql_url(text: str) -> URL:
    url = parse_store_url(text)
    if url.get_backend_name() == "sqlite":
        raise ParameterError("--store is for PostgreSQL; leave it out, and the store is a SQLite file in the folder")
    return url


def _with_password(url: URL, environment_url: str | None) -> URL:
    """Return the environment's address if it is the same but for its password."""
    if not environment_url or url.get_backend_name() == "sqlite":
        return url
    theirs = _postgresql_url(environment_url)
    return theirs if without_password(theirs) == without_password(url) else url


def _write(folder: Path, url: URL) -> None:
    is_here = url.get_backend_name() == "sqlite"
    record = {"format": _FORMAT, "store": None if is_here else without_password(url)}
    with atomic_path(folder / RUN_FILE) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _read(folder: Path) -> URL:
    """Return where the store is."""
    path = folder / RUN_FILE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        version, store = record["format"], record["store"]
        if version == _FORMAT:
            return sqlite_url(folder / _STORE_FILE) if store is None else _postgresql_url(store)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StoreError(f"{path} is damaged ({error}); put back a copy of it, or use another --out") from error
    raise StoreError(
        f"{path} is of format {version!r}, and this is for format {_FORMAT}; use the version of prompt-oirl that made "
        "it, or another --out"
    )
