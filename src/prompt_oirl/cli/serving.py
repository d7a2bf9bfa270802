"""From the options of `serve` to a running service."""

from __future__ import annotations

import importlib
import os
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from sqlalchemy import URL

from prompt_oirl.cli.render import console
from prompt_oirl.errors import MissingDependencyError, ParameterError
from prompt_oirl.features.threads import one_blas_thread
from prompt_oirl.optional import import_optional
from prompt_oirl.serve.settings import ServeSettings
from prompt_oirl.stores.store_url import named_store, parse_store_url, sqlite_url

__all__ = ["Secrets", "is_playground_wanted", "serve", "store_url"]

_EXTRA = "serve"
_MODULES = ("aiohttp", "httptools", "orjson", "prometheus_client")
_PLAYGROUND = "prompt_oirl.serve.playground.page"


@dataclass(frozen=True, slots=True)
class Secrets:
    """What is read from the environment, because arguments can be seen in the list of processes."""

    token: str | None = field(repr=False)
    upstream_key: str | None = field(repr=False)
    store: str | None = field(repr=False)

    @classmethod
    def of_environment(cls) -> Self:
        """Read them; an empty one counts as none."""
        names = ("PROMPT_OIRL_SERVE_TOKEN", "PROMPT_OIRL_UPSTREAM_KEY", "PROMPT_OIRL_STORE")
        return cls(*(os.environ.get(name) or None for name in names))


def is_playground_wanted(wanted: bool | None) -> bool:
    """Return whether the playground is on: if not said, where what it needs is installed.

    Raises:
        MissingDependencyError: It is wanted and not installed, or the service itself is not.
    """
    _check_extra()
    if wanted is False:
        return False
    try:
        importlib.import_module(_PLAYGROUND)
    except ModuleNotFoundError as error:
        if wanted:
            raise MissingDependencyError(
                f"{error.name!r} is not installed; install it with: pip install 'prompt-oirl[playground]'"
            ) from error
        return False
    return True


def store_url(folder: Path, given: str | None, from_environment: str | None) -> URL:
    """Return the address of the store of decisions: as given, else of the environment, else a file beside the folder.

    Raises:
        ParameterError: It is no address, or that of something else, has a password where others can see it, or is
            inside the folder.
    """
    if given is None and from_environment is None:
        folder = Path(os.path.abspath(folder))  # noqa: PTH100 - a link stays one: it may lead elsewhere tomorrow
        return sqlite_url(folder.with_name(f"{folder.name}-decisions.sqlite"))
    url = _environment_store(from_environment or "") if given is None else named_store(given)
    if url.get_backend_name() == "sqlite" and folder.resolve() in Path(url.database or "").resolve().parents:
        raise ParameterError(
            f"the store {url.database} is inside {folder}, whose files are verified; name a file elsewhere"
        )
    return url


def _environment_store(value: str) -> URL:
    """Return the address in $PROMPT_OIRL_STORE; an error does not repeat it, for there may be a password in it."""
    if "://" not in value:
        raise ParameterError(
            "$PROMPT_OIRL_STORE is no address; write postgresql://user:password@host/database, or "
            "sqlite:///path/of/store.sqlite for a file"
        )
    try:
        return parse_store_url(value)
    except ParameterError as error:
        raise ParameterError(f"$PROMPT_OIRL_STORE: {error}") from None


def serve(folder: Path, settings: ServeSettings, *, store: URL | None) -> None:
    """Serve until told to stop.

    Raises:
        ArtifactError: The folder does not verify.
        StoreError: The store cannot be opened.
        ParameterError: The port is taken.
        MissingDependencyError: The extra is not installed.
    """
    _check_extra()
    from prompt_oirl.serve.active import ActiveRecommender
    from prompt_oirl.serve.app import make_app
    from prompt_oirl.serve.decisions.log import StoredDecisionLog
    from prompt_oirl.serve.decisions.store import DecisionStore
    from prompt_oirl.serve.server import listen, run

    with ExitStack() as opened:
        listener = opened.enter_context(listen(settings.host, settings.port))
        opened.enter_context(one_blas_thread())
        active = ActiveRecommender.load(folder)
        log = None
        if store is not None:
            kept = opened.enter_context(DecisionStore.open(store, may_be_down=True))
            log = StoredDecisionLog(kept)

            active.follow(lambda loaded: kept.register(loaded.version, loaded.prepared.prompts))
        app = make_app(active, settings, log=log)
        kept_in = "nothing is logged" if store is None else f"decisions are logged in {kept.name}"
        run(app, listener, on_ready=lambda address: _say(f"{folder} {active.version} at {address}; {kept_in}"))


def _check_extra() -> None:
    for module in (*_MODULES, *(() if sys.platform == "win32" else ("uvloop",))):
        import_optional(module, extra=_EXTRA)


def _say(line: str) -> None:
    """Print one line at once, also where the output is a pipe."""
    console().print(f"serving {line}", markup=False)
    sys.stdout.flush()
