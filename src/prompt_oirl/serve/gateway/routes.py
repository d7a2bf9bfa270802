"""The gateway's routes: `POST /v1/chat/completions` and `GET /v1/models`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from prompt_oirl.errors import DataError
from prompt_oirl.serve.api.bodies import check_is_json
from prompt_oirl.serve.api.errors import Refused
from prompt_oirl.serve.decision_headers import Header
from prompt_oirl.serve.gateway.choosing import put_prompt_in
from prompt_oirl.serve.gateway.conversation import Conversation
from prompt_oirl.serve.gateway.documentation import CHAT, MODELS
from prompt_oirl.serve.gateway.forwarding import Exchange, Forwarding, UpstreamMetrics, read_body
from prompt_oirl.serve.gateway.headers import GATEWAY_HEADER
from prompt_oirl.serve.gateway.upstream import Upstream
from prompt_oirl.serve.protocols import Decides
from prompt_oirl.serve.settings import Limits, ServeSettings

__all__ = ["add_gateway"]


def add_gateway(app: FastAPI, decider: Decides, settings: ServeSettings, metrics: UpstreamMetrics) -> Upstream:
    """Add the gateway's routes to an application, which has to answer `Refused` and to limit bodies.

    Args:
        app: Gets the routes.
        decider: Chooses the prompts.
        settings: With the upstream.
        metrics: Count what the upstream answers.

    Returns:
        The upstream, a context that the application's lifespan has to enter.

    Raises:
        ParameterError: The settings have no upstream, or its key cannot be sent.
    """
    upstream = Upstream(settings)
    forwarding = Forwarding(upstream, metrics)
    chat = _ForwardedRoute("/v1/chat/completions", _ChatCompletions(decider, forwarding, settings.limits), **CHAT)
    models = _ForwardedRoute("/v1/models", _Models(forwarding), **MODELS)
    app.router.routes[:0] = [chat, models]  # first, because routes are tried in their order
    return upstream


class _ForwardedRoute(APIRoute):
    """A route that is documented like any other, and answered by a bare ASGI application.

    The framework would read the body into a model and wrap the answer, which costs about as much as forwarding does.
    """

    def __init__(self, path: str, application: ASGIApp, **documentation: Any) -> None:
        super().__init__(path, _answered_by_the_application, **documentation)
        self.app = application


def _answered_by_the_application() -> None:
    """Stand for the endpoint that the documentation is made of."""


@dataclass(frozen=True, slots=True)
class _Models:
    forwarding: Forwarding

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _check_no_loop(scope["headers"])
        if await read_body(receive) is not None:
            await self.forwarding("/models", Exchange(scope, receive, send))


@dataclass(frozen=True, slots=True)
class _ChatCompletions:
    decider: Decides
    forwarding: Forwarding
    limits: Limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _check_no_loop(scope["headers"])
        check_is_json(scope["headers"])
        body = await read_body(receive)
        if body is None:
            return
        conversation = self._conversation(body)
        body, headers = await put_prompt_in(conversation, self.decider, most_characters=self.limits.query_characters)
        await self.forwarding("/chat/completions", Exchange(scope, receive, send, headers), body=body)

    def _conversation(self, body: bytes) -> Conversation:
        try:
            return Conversation.parse(body, most_messages=self.limits.messages)
        except DataError as error:
            raise Refused(HTTPStatus.BAD_REQUEST, f"the body cannot be read: {error}") from None


def _check_no_loop(headers: Iterable[Header]) -> None:
    """Refuse what a gateway has sent: its upstream leads back to it, and it would ask itself without an end."""
    if any(name == GATEWAY_HEADER for name, _ in headers):
        raise Refused(
            HTTPStatus.LOOP_DETECTED,
            "the upstream of this gateway is a gateway of prompt-oirl, perhaps this one; set the address of the LLM",
        )
