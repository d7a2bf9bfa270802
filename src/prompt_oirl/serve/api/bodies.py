"""Read the body of a request as one JSON object, strictly."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar

import orjson
from fastapi import Request, Response
from pydantic import BaseModel, ValidationError

from prompt_oirl.serve.api.errors import Refused, named_place
from prompt_oirl.serve.decision_headers import Header

__all__ = ["check_is_json", "json_answer", "read_model", "read_object", "request_body"]

_Model = TypeVar("_Model", bound=BaseModel)

_MOST_BYTES = 2**20
"""While a body is read nobody else is answered."""


def check_is_json(headers: Iterable[Header]) -> None:
    """Raise if a body is not declared as JSON: any other a page of another site can send without asking the browser.

    Raises:
        Refused: The content type is another one, or the body is compressed (415).
    """
    declared = dict(headers)
    given = declared.get(b"content-type", b"").decode("latin-1")
    if given.partition(";")[0].strip().lower() != "application/json":
        message = f"content-type is {given[:60]!r}; send the header content-type: application/json"
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message)
    if declared.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        message = "the body must not be compressed; send it without content-encoding"
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message)


async def read_object(request: Request) -> dict[str, Any]:
    """Return the JSON object that a request holds.

    Strictly RFC 8259: no NaN, no lone surrogates, no nesting beyond some hundred levels; and no name twice in one
    object, because readers disagree which of the two counts.

    Raises:
        Refused: The body is not declared as JSON (415), longer than 1 MiB (413), not JSON (400), or no object (422).
    """
    check_is_json(request.scope["headers"])
    return _parsed(await _body(request))


def read_model(kind: type[_Model], found: Mapping[str, Any]) -> _Model:
    """Return a JSON object as a model.

    Raises:
        Refused: A field is missing, not known or of another type (422).
    """
    unknown = next((name for name in found if name not in kind.model_fields), None)
    if unknown is not None:  # the model would find them all, and tens of thousands of errors take a second to build
        raise _refused((unknown,), "Extra inputs are not permitted")
    try:
        return kind.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise _refused(first["loc"], first["msg"]) from None


def json_answer(value: Any, *, headers: list[tuple[bytes, bytes]] | None = None) -> Response:
    """Return a value of dictionaries, lists, texts and numbers as an answer; what is not finite becomes null."""
    answer = Response(orjson.dumps(value), media_type="application/json")
    answer.raw_headers.extend(headers or ())
    return answer


def request_body(schema: Mapping[str, Any], *, example: Mapping[str, Any]) -> dict[str, Any]:
    """Return what OpenAPI says of a body with this schema."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}}


def _refused(location: Iterable[object], message: str) -> Refused:
    place = named_place(location)
    return Refused(HTTPStatus.UNPROCESSABLE_ENTITY, f"{place}: {message}" if place else message, param=place or None)


async def _body(request: Request) -> bytes:
    parts: list[bytes] = []
    n_bytes = 0
    async for part in request.stream():
        n_bytes += len(part)
        if n_bytes > _MOST_BYTES:
            message = f"the body has more than {_MOST_BYTES} bytes, which is the most that is taken here; send several"
            # The connection ends, or the rest of the body would have to be read.
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message, headers={"connection": "close"})
        parts.append(part)
    return b"".join(parts)


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
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise ValueError(f"the name {name[:60]!r} is there twice in one object; give it once")
        seen.add(name)


_duplicates = json.JSONDecoder(object_pairs_hook=_refuse_duplicates)
"""Finds what the faster reader passes over."""
