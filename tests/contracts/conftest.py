from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

_FOLDERS = (*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path("/usr/local/pgsql/bin"))


def _program(name: str) -> str:
    """Find a program of PostgreSQL's, which Debian keeps off the path."""
    found = shutil.which(name) or next((str(folder / name) for folder in _FOLDERS if (folder / name).is_file()), None)
    return found or pytest.skip(f"PostgreSQL's {name} is not installed: apt-get install postgresql")


def _run(*command: str) -> None:
    """Run a command, as the user postgres where this one is root: the server does not run as root."""
    prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    done = subprocess.run([*prefix, *command], cwd="/", capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise OSError(f"{command[0]}: {(done.stderr or done.stdout).strip()[-300:]}")


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The address of a server on a socket of its own, with `{database}` to fill in; skips where there is none."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'prompt-oirl[postgres]'")
    initdb, pg_ctl = _program("initdb"), _program("pg_ctl")
    # Not pytest's folder: its path may be too long for a socket, and closed to the user postgres.
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    data = str(folder / "data")
    options = f"-F -c listen_addresses='' -k {folder}"
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        _run(initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        _run(pg_ctl, "-D", data, "-l", str(folder / "log"), "-o", options, "-w", "start")
    except (OSError, LookupError, subprocess.TimeoutExpired) as error:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"PostgreSQL cannot be started: {error}")
    yield f"postgresql://postgres@/{{database}}?host={folder}"
    _run(pg_ctl, "-D", data, "-m", "immediate", "-w", "stop")
    shutil.rmtree(folder)


@pytest.fixture
def postgresql_outage(postgresql_server: str) -> Callable[[], AbstractContextManager[None]]:
    """Stops the server for as long as a block runs."""
    folder = postgresql_server.partition("host=")[2]
    pg_ctl = (_program("pg_ctl"), "-D", f"{folder}/data", "-w")

    @contextmanager
    def outage() -> Iterator[None]:
        _run(*pg_ctl, "-m", "immediate", "stop")
        try:
            yield
        finally:
            _run(*pg_ctl, "-l", f"{folder}/log", "-o", f"-F -c listen_addresses='' -k {folder}", "start")

    return outage


@pytest.fixture(scope="session")
def new_postgresql_store(postgresql_server: str) -> Callable[[], str]:
    """Returns the address of an empty schema of its own, each time it is called."""
    import psycopg

    server = postgresql_server.format(database="postgres")
    numbers = itertools.count()

    def make() -> str:
        name = f"run_{next(numbers)}"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return f"{server}&options=-csearch_path%3D{name}"

    return make
