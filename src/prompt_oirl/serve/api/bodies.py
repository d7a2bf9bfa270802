"""Read the body of a request as one JSON object, strictly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, TypeVar

import orjson
from fastapi import Request, Response
from pydantic import BaseModel, ValidationError

from prompt_oirl.serve.api.errors import Refused

__all__ = ["json_answer", "read_model", "read_object", "request_body"]

_Model = TypeVar("_Model", bound=BaseModel)


async def read_object(request: Request) -> dict[str, Any]:
    """Return the JSON object that a request holds.

    Strictly RFC 8259: no NaN, no lone surrogates, no nesting beyond some hundred levels; and no name twice in one
    object, because readers disagree which of the two counts. The content type is asked for because a page of another
    site can send any other without asking the browser's leave.

    Raises:
        Refused: The content type is not JSON's (415), the body is not JSON (400), or no object (422).
    """
    given = request.headers.get("content-type", "")
    if given.partition(";")[0].strip().lower() != "application/json":
        raise Refused(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"content-type is {given[:60]!r}; send the header content-type: application/json",
        )
    return _parsed(await request.body())


def read_model(kind: type[_Model], found: Mapping[str, Any]) -> _Model:
    """Return a JSON object as a model.

    Raises:
        Refused: A field is missing, not known or of another type (422).
    """
    try:
        return kind.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        message = f"{place}: {first['msg']}" if place else first["msg"]
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, message, param=place or None) from None


def json_answer(value: Any, *, headers: list[tuple[bytes, bytes]] | None = None) -> Response:
    """Return a value of dictionaries, lists, texts and numbers as an answer; what is not finite becomes null."""
    answer = Response(orjson.dumps(value), media_type="application/json")
    answer.raw_headers.extend(headers or ())
    return answer


def request_body(schema: Mapping[str, Any], *, example: Mapping[str, Any]) -> dict[str, Any]:
    """Return what OpenAPI says of a body with this schema."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}}


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
        _duplicates.decode(body.decode())
    except RecursionError:
        raise Refused(HTTPStatus.BAD_REQUEST, "the body is nested too deeply; one level is asked for") from None
    except ValueError as error:  # its text says what and where, and repeats nothing of the body but a name
        raise Refused(HTTPStatus.BAD_REQUEST, f"the body cannot be read as JSON: {error}") from None
    if not isinstance(found, dict):
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, f"a JSON object is needed, got {type(found).__name__}")
    return found


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice[:60]!r} is there twice in one object; give it once")


_duplicates = json.JSONDecoder(object_pairs_hook=_refuse_duplicates)
"""Finds what the faster reader passes over."""
