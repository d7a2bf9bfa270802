"""Run the service until it is told to stop, and finish what is under way then."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import uvicorn
from fastapi import FastAPI

from prompt_oirl.errors import ArtifactError, ParameterError
from prompt_oirl.serve.active import ActiveRecommender
from prompt_oirl.serve.request_head import LimitedHeadProtocol

__all__ = ["listen", "run"]

_SECONDS_TO_DRAIN = 30
"""For requests under way when the service is told to stop."""

_SECONDS_KEPT_ALIVE = 75
"""An idle connection is kept a little longer than reverse proxies keep theirs, so that they never use a closed one."""


def listen(host: str, port: int) -> socket.socket:
    """Take a port, which refuses connections until the service runs.

    Raises:
        ParameterError: The port is taken, may not be used, or there is no such host.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol or socket.IPPROTO_TCP)
    except OSError as error:
        raise ParameterError(f"host={host!r}: {error.strerror or error}; name an address of this machine") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise ParameterError(
            f"{host}:{port} cannot be listened at: {error.strerror or error}; name another --port, or 0 for a free one"
        ) from error
    return listener


def run(app: FastAPI, listener: socket.socket, *, on_ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is under way; SIGHUP loads the recommender again.

    Args:
        app: That `make_app` made.
        listener: Where; it is closed in the end.
        on_ready: Told the address as soon as requests are answered.
    """
    config = uvicorn.Config(
        app,
        loop="auto" if sys.platform == "win32" else "uvloop",
        http=LimitedHeadProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_SECONDS_KEPT_ALIVE,
        timeout_graceful_shutdown=_SECONDS_TO_DRAIN,
    )
    with listener:
        _Server(config, app.state.active, lambda: on_ready(_address(listener))).run(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, active: ActiveRecommender, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._active = active
        self._on_ready = on_ready
        self._reloading: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        gc.collect()
        gc.freeze()  # what was loaded stays; looking through it again and again would only hold up requests
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for task in self._reloading:
            task.cancel()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals in the event loop, and end with exit code 0 after one that asks for it."""
        loop = asyncio.get_running_loop()
        handlers: dict[signal.Signals, Callable[[], None]] = {
            each: partial(self.handle_exit, each, None) for each in (signal.SIGINT, signal.SIGTERM)
        }
        if hasattr(signal, "SIGHUP"):
            handlers[signal.SIGHUP] = self._reload
        try:
            for each, handler in handlers.items():
                loop.add_signal_handler(each, handler)
        except NotImplementedError:  # Windows' event loops have none
            with super().capture_signals():
                yield
            return
        try:
            yield
        finally:
            for each in handlers:
                loop.remove_signal_handler(each)

    def _reload(self) -> None:
        task = asyncio.get_running_loop().create_task(self._try_to_reload())
        self._reloading.add(task)
        task.add_done_callback(self._reloading.discard)

    async def _try_to_reload(self) -> None:
        with suppress(ArtifactError):  # it is in the log
            await self._active.reload()


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
