"""The service as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from random import Random
from typing import Any

from fastapi import FastAPI

from prompt_oirl.serve.access import Access
from prompt_oirl.serve.active import ActiveRecommender
from prompt_oirl.serve.api import feedback, operation, prompts
from prompt_oirl.serve.api.description import describe_access
from prompt_oirl.serve.api.errors import add_error_answers
from prompt_oirl.serve.api.recommend import recommend_route
from prompt_oirl.serve.decider import Decider
from prompt_oirl.serve.limits import BodyLimit, ConcurrencyLimit
from prompt_oirl.serve.metrics import Metrics
from prompt_oirl.serve.protocols import DecisionLog
from prompt_oirl.serve.settings import ServeSettings

__all__ = ["make_app"]

_ALWAYS_ANSWERED = frozenset({"/healthz", "/readyz"})
_NEVER_REFUSED_FOR_LOAD = _ALWAYS_ANSWERED | {"/metrics"}
_PLAYGROUND, _BELOW_PLAYGROUND = frozenset({"/"}), "/playground/"
"""Paths that check by themselves who asks, because a browser cannot be told to send a token."""

_MOST_BYTES_OF = {"/playground/sign-in": 4 * 2**10}
"""A token is asked for here, so that everybody may send a body."""

_NO_TELEMETRY: Any = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""What FastAPI exports where the environment says so can hold queries; earlier versions do not know of it."""


def make_app(
    active: ActiveRecommender,
    settings: ServeSettings,
    *,
    log: DecisionLog | None = None,
    random: Random | None = None,
) -> FastAPI:
    """Return the service.

    Args:
        active: The recommender to use.
        settings: What the operator decided.
        log: Where decisions and feedback are kept; a context manager is entered while the service runs. Nothing is
            kept if None.
        random: What exploration draws from; seeded by the system if None.
    """
    metrics = Metrics(lambda: active.version, log)
    decider = Decider(active, settings, metrics=metrics, log=log, random=random)
    lifespan = _Lifespan(decider, log)
    app = FastAPI(
        title="Prompt-OIRL",
        summary="The best prompt for each query, chosen in milliseconds without calling the LLM.",
        version=version("prompt-oirl"),
        docs_url=None,  # these pages load scripts from the internet
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        telemetry=_NO_TELEMETRY,
    )
    app.state.active, app.state.decider, app.state.settings = active, decider, settings
    app.state.log, app.state.metrics, app.state.upstream = log, metrics, None
    add_error_answers(app)
    app.router.routes.append(recommend_route(settings.limits))  # first, because routes are tried one after the other
    if settings.upstream is not None:
        from prompt_oirl.serve.gateway.routes import add_gateway

        app.state.upstream = add_gateway(app, decider, settings, metrics)
        lifespan.contexts.append(app.state.upstream)
    for router in (prompts.router, feedback.router, operation.router):
        app.include_router(router)
    if settings.playground:
        from prompt_oirl.serve.playground.page import add_playground

        add_playground(app)
    _add_limits(app, settings)
    describe_access(app, open_paths=_ALWAYS_ANSWERED)
    return app


def _add_limits(app: FastAPI, settings: ServeSettings) -> None:
    """Add the middleware, the innermost first."""
    limits = settings.limits
    app.add_middleware(
        BodyLimit, most_bytes=limits.body_bytes, seconds=limits.body_seconds, most_bytes_of=_MOST_BYTES_OF
    )
    app.add_middleware(
        ConcurrencyLimit,
        most=limits.concurrent_requests,
        exempt=_NEVER_REFUSED_FOR_LOAD,
        apart=_BELOW_PLAYGROUND if settings.playground else None,
    )
    app.add_middleware(
        Access,
        settings=settings,  # and not the token, which the middleware's repr would show
        open_paths=_ALWAYS_ANSWERED,
        own_paths=_PLAYGROUND if settings.playground else frozenset(),
        own_prefix=_BELOW_PLAYGROUND if settings.playground else None,
    )


class _Lifespan:
    """What is open while the service runs."""

    def __init__(self, decider: Decider, log: object) -> None:
        self.contexts: list[AbstractAsyncContextManager[object]] = []
        if isinstance(log, AbstractAsyncContextManager):
            self.contexts.append(log)
        self._decider = decider

    @asynccontextmanager
    async def __call__(self, _: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for context in self.contexts:
                await stack.enter_async_context(context)
            stack.callback(self._decider.close)
            yield
