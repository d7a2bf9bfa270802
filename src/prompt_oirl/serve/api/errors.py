"""Refusals in the shape of OpenAI's errors, which clients of LLMs know how to read."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from prompt_oirl.errors import (
    ArtifactError,
    DataError,
    ParameterError,
    PromptOIRLError,
    StoreError,
    UnseenPromptError,
)

__all__ = ["ErrorAnswer", "Refused", "add_error_answers", "documented", "error_answer", "named_place"]

_logger = logging.getLogger(__name__)

_SECONDS_TO_RETRY = "1"
_LONGEST_PLACE = 100
_TYPES: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.NOT_FOUND: "not_found_error",
    HTTPStatus.CONFLICT: "conflict_error",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
    HTTPStatus.INTERNAL_SERVER_ERROR: "server_error",
    HTTPStatus.BAD_GATEWAY: "upstream_error",
    HTTPStatus.SERVICE_UNAVAILABLE: "unavailable_error",
    HTTPStatus.GATEWAY_TIMEOUT: "upstream_error",
    HTTPStatus.LOOP_DETECTED: "upstream_error",
}
_STATUSES: dict[type[PromptOIRLError], tuple[HTTPStatus, str | None]] = {
    UnseenPromptError: (HTTPStatus.NOT_FOUND, "candidates"),
    DataError: (HTTPStatus.UNPROCESSABLE_ENTITY, "query"),
    ParameterError: (HTTPStatus.UNPROCESSABLE_ENTITY, None),
    ArtifactError: (HTTPStatus.CONFLICT, None),
    StoreError: (HTTPStatus.SERVICE_UNAVAILABLE, None),
}
_MEANINGS = {
    400: "The body is not JSON that can be read.",
    401: "The token is missing or wrong.",
    403: "The request was made for another host, or by a page of another site.",
    404: "Something named in the request is not known.",
    408: "The body did not arrive in time.",
    409: "What is in the recommender's folder does not verify; the former recommender stays in use.",
    413: "The body is larger than the service takes.",
    415: "The content type is not application/json, or the body is compressed.",
    422: "The body is JSON, but not what is asked for here.",
    502: "The upstream could not be reached, or gave no HTTP answer.",
    503: "Too many requests at once, or the store of decisions is down; try again after `Retry-After` seconds.",
    504: "The upstream did not answer in time.",
    508: "The request comes from a gateway of this kind, perhaps from this one.",
}


class _Error(BaseModel):
    message: str
    """What was found, what was expected, and the way out."""

    type: str
    param: str | None
    """The part of the request that is to blame."""

    code: None


class ErrorAnswer(BaseModel):
    """Why there is no other answer."""

    error: _Error


class Refused(HTTPException):
    """A request that is answered with an error.

    Args:
        status: Of HTTP.
        message: What was found, what was expected, and the way out.
        param: The part of the request that is to blame.
        headers: Of the answer.
    """

    def __init__(
        self, status: int, message: str, *, param: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, message, headers)
        self.param = param


def error_answer(
    status: int, message: str, *, param: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an error as an answer; what has no UTF-8 in the message is escaped."""
    error = {
        "message": _escaped(message),
        "type": _TYPES.get(status, "invalid_request_error"),
        "param": None if param is None else _escaped(param),
        "code": None,
    }
    retry = {"retry-after": _SECONDS_TO_RETRY} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    body = orjson.dumps({"error": error})
    return Response(body, status, {**retry, **(headers or {})}, media_type="application/json")


def add_error_answers(app: FastAPI) -> None:
    """Have an application answer every error in one shape; what nobody expected is status 500 without details."""
    app.add_exception_handler(HTTPException, _answer_refusal)
    app.add_exception_handler(RequestValidationError, _answer_malformed)
    app.add_exception_handler(PromptOIRLError, _answer_error)
    app.add_exception_handler(ClientDisconnect, _answer_nobody)
    app.add_exception_handler(Exception, _answer_mistake)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of errors with these statuses."""
    return {status: {"model": ErrorAnswer, "description": _MEANINGS[status]} for status in statuses}


def named_place(location: Iterable[object]) -> str:
    """Return where in a request something is wrong, cut to what can be read: its names are the client's."""
    return ".".join(str(part) for part in location)[:_LONGEST_PLACE]


def _escaped(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


async def _answer_refusal(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    param = error.param if isinstance(error, Refused) else None
    return error_answer(error.status_code, str(error.detail), param=param, headers=error.headers)


async def _answer_malformed(_: Request, error: Exception) -> Response:
    """Answer what the framework refused; its own answer would repeat what was sent."""
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    place = named_place(first["loc"])
    return error_answer(HTTPStatus.UNPROCESSABLE_ENTITY, f"{place}: {first['msg']}", param=place)


async def _answer_error(_: Request, error: Exception) -> Response:
    status, param = next(
        (found for kind, found in _STATUSES.items() if isinstance(error, kind)),
        (HTTPStatus.INTERNAL_SERVER_ERROR, None),
    )
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return error_answer(status, str(error), param=param)
    _logger.warning("status %d: %s", status, error)
    message = "the store of decisions is down; try again" if isinstance(error, StoreError) else "a mistake inside"
    return error_answer(status, message)


async def _answer_nobody(_: Request, error: Exception) -> Response:  # noqa: ARG001 - as Starlette calls it
    """Answer a client that went away while it sent its request."""
    return error_answer(HTTPStatus.BAD_REQUEST, "the request ended before its body did")


async def _answer_mistake(_: Request, error: Exception) -> Response:  # noqa: ARG001
    return error_answer(
        HTTPStatus.INTERNAL_SERVER_ERROR, "a mistake inside the service; its operator finds more in the log"
    )
