"""The responses of a simulated LLM when something goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from prompt_oirl.testing.chat_completions import ChatRequest, Completed, encode
from prompt_oirl.testing.llm_counts import NO_STATUS
from prompt_oirl.testing.llm_faults import FAULT_TEXT, FaultKind

__all__ = ["NoResponse", "faulty_response", "rate_limited", "refusal"]


class NoResponse(Response):
    """Sends nothing, because nobody listens."""

    def __init__(self) -> None:
        super().__init__(status_code=NO_STATUS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send nothing."""


class _Truncated(Response):
    media_type = "application/json"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Announce the whole body and send half of it; the server then closes the connection."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body[: len(self.body) // 2], "more_body": True})


def refusal(
    status: int,
    message: str,
    *,
    kind: str = "invalid_request_error",
    param: str | None = None,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an error as OpenAI shapes it."""
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return Response(encode(body), status, headers, "application/json")


def rate_limited(retry_after: float | None) -> Response:
    """Return the refusal of a client that asks too much at once.

    Args:
        retry_after: Seconds to name in the header, None for no header.
    """
    headers = None if retry_after is None else {"retry-after": f"{retry_after:g}"}
    message = f"Rate limit reached. {FAULT_TEXT}"
    return refusal(429, message, kind="requests", code="rate_limit_exceeded", headers=headers)


def faulty_response(request: ChatRequest, fault: FaultKind, *, id: str, created: int) -> Response:
    """Return the response to a request that a fault befalls; whether it asked for a stream makes no difference."""
    completed = Completed.of(request, FAULT_TEXT, id=id, created=created)
    return _RESPONSES[fault](completed.body())


def _without_content(body: dict[str, Any]) -> Response:
    choice = body["choices"][0]
    message = choice["message"] | {"content": None}
    return _json(body | {"choices": [choice | {"message": message, "finish_reason": "content_filter"}]})


def _json(body: dict[str, Any]) -> Response:
    return Response(encode(body), media_type="application/json")


_HTML = f"<html><head><title>Gateway</title></head><body><h1>{FAULT_TEXT}</h1></body></html>"

_RESPONSES: Mapping[FaultKind, Callable[[dict[str, Any]], Response]] = {
    "rate_limited": lambda _: rate_limited(None),
    "server_error": lambda _: refusal(500, f"The server had an error. {FAULT_TEXT}", kind="server_error"),
    "unavailable": lambda _: refusal(503, f"The engine is overloaded. {FAULT_TEXT}", kind="server_error"),
    "hang": lambda _: NoResponse(),
    "truncated": lambda body: _Truncated(encode(body)),
    "not_json": lambda body: Response(encode(body)[:-20], media_type="application/json"),
    "other_json": lambda _: _json({"result": FAULT_TEXT}),
    "html": lambda _: Response(_HTML, media_type="text/html"),
    "no_choices": lambda body: _json(body | {"choices": []}),
    "no_content": _without_content,
}
