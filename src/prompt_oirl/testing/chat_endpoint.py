"""The web application of a simulated LLM: OpenAI's addresses, answered by answerers, disturbed by faults."""

from __future__ import annotations

import asyncio
import hmac
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from prompt_oirl.errors import DataError
from prompt_oirl.testing.chat_completions import ChatRequest, Completed, content_hash, encode
from prompt_oirl.testing.llm_answerers import Answerer
from prompt_oirl.testing.llm_counts import Counts
from prompt_oirl.testing.llm_fault_responses import NoResponse, faulty_response, rate_limited, refusal
from prompt_oirl.testing.llm_faults import Faults

__all__ = ["ChatEndpoint"]


class ChatEndpoint:
    """Answers requests; all that it holds is changed on one event loop only, except `faults`, which is replaced."""

    def __init__(self, answerers: Sequence[Answerer], *, faults: Faults, model: str, key: str | None) -> None:
        self.faults = faults
        self.counts = Counts()
        self._answerers = answerers
        self._model = model
        self._key = key
        self._started = time.monotonic()
        self._numbers = itertools.count()
        self._occurrences: Counter[str] = Counter()

    def application(self) -> Starlette:
        """Return the application with its routes."""
        routes = [
            Route("/v1/chat/completions", self._chat, methods=["POST"]),
            Route("/v1/models", self._models, methods=["GET"]),
            Route("/health", _health, methods=["GET"]),
        ]
        return Starlette(routes=routes, exception_handlers={HTTPException: _no_such_address, Exception: _failed})

    async def _models(self, request: Request) -> Response:
        if not self._may_enter(request):
            return _wrong_key(request)
        model = {"id": self._model, "object": "model", "created": 0, "owned_by": "prompt-oirl"}
        return JSONResponse({"object": "list", "data": [model]})

    async def _chat(self, request: Request) -> Response:
        self.counts.requests += 1
        status = 500
        try:
            response = await self._checked(request)
            status = response.status_code
        finally:
            self.counts.by_status[status] += 1
        return response

    async def _checked(self, request: Request) -> Response:
        """Refuse a request that could not succeed, as the real server would."""
        if not self._may_enter(request):
            return _wrong_key(request)
        try:
            asked = ChatRequest.parse(await request.body())
        except DataError as error:
            return refusal(400, str(error))
        except ClientDisconnect:
            return NoResponse()
        if asked.model != self._model:
            message = f"The model {asked.model!r} does not exist; this server has {self._model!r}."
            return refusal(404, message, param="model", code="model_not_found")
        return await self._disturbed(request, asked)

    async def _disturbed(self, request: Request, asked: ChatRequest) -> Response:
        """Answer a well-formed request after its latency, unless a fault befalls it."""
        number, faults = next(self._numbers), self.faults
        content = content_hash(asked.messages, asked.seed)
        self.counts.received[content] += 1
        elapsed = time.monotonic() - self._started
        fault = faults.draw(number, seconds=elapsed, in_flight=self.counts.in_flight + 1)
        if fault == "rate_limited":
            return rate_limited(faults.retry_after)
        with self.counts.under_way():
            if await _client_leaves(request, within=None if fault == "hang" else faults.seconds(number)):
                return NoResponse()
        if fault is not None:
            return faulty_response(asked, fault, id=_id_of(number), created=int(time.time()))
        return self._answered(asked, number, content)

    def _answered(self, asked: ChatRequest, number: int, content: str) -> Response:
        conversation = content_hash(asked.messages)
        answer = self._ask(asked, self._occurrences[conversation])
        if answer is None:
            return refusal(400, f"no answer is known to {asked.text!r}", param="messages", code="unknown_message")
        self._occurrences[conversation] += 1
        self.counts.answered[content] += 1
        completed = Completed.of(asked, answer, id=_id_of(number), created=int(time.time()))
        if asked.stream:
            return StreamingResponse(_asynchronous(completed), media_type="text/event-stream")
        return Response(encode(completed.body()), media_type="application/json")

    def _ask(self, asked: ChatRequest, occurrence: int) -> str | None:
        answers = (answerer.answer(asked, occurrence) for answerer in self._answerers)
        return next((answer for answer in answers if answer is not None), None)

    def _may_enter(self, request: Request) -> bool:
        sent = request.headers.get("authorization", "")
        return self._key is None or hmac.compare_digest(sent.encode(), f"Bearer {self._key}".encode())


async def _client_leaves(request: Request, *, within: float | None) -> bool:
    """Wait, for ever if `within` is None, and return whether the client gave up meanwhile."""
    if within == 0:
        return False
    try:
        async with asyncio.timeout(within):
            while (await request.receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True


async def _asynchronous(completed: Completed) -> AsyncIterator[bytes]:
    for event in completed.events():
        yield event


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


def _wrong_key(request: Request) -> Response:
    """Refuse a key and repeat it, as some gateways do: a client must not write down what it is told here."""
    sent = request.headers.get("authorization", "").removeprefix("Bearer ")
    message = f"Incorrect API key provided: {sent}." if sent else "You didn't provide an API key."
    return refusal(401, message, code="invalid_api_key")


async def _no_such_address(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    return refusal(status, f"Invalid URL ({request.method} {request.url.path})")


async def _failed(_: Request, error: Exception) -> Response:
    return refusal(500, f"the answerer failed: {error!r}", kind="server_error")


def _id_of(number: int) -> str:
    return f"chatcmpl-{number}"
