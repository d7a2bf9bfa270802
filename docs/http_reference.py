"""The HTTP reference, made of the OpenAPI description that the service itself gives."""

from __future__ import annotations

import json
import tempfile
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from prompt_oirl.recommender import Recommender
from prompt_oirl.serve.active import ActiveRecommender
from prompt_oirl.serve.app import make_app
from prompt_oirl.serve.settings import ServeSettings
from prompt_oirl.testing import SyntheticWorld

__all__ = ["render_http"]

_INTRODUCTION = """# HTTP

What `prompt-oirl serve` answers. [Serving](serving.md) shows how to use it. This page is generated from the OpenAPI
description of a service with an upstream; without one, the gateway's addresses are not there.

Where the service has a token, every request has the header `Authorization: Bearer TOKEN`, except to those addresses
that say that they need none. Errors have OpenAI's shape: `{"error": {"message": …, "type": …, "param": …, "code": …}}`.
"""

_METHODS = ("get", "post", "put", "delete")


def render_http() -> str:
    """Return the page of all addresses."""
    return render(_description())


def _description() -> dict[str, Any]:
    """Return the OpenAPI description of a service with everything in it."""
    settings = ServeSettings(upstream="http://127.0.0.1:8000/v1")
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        Recommender().fit(SyntheticWorld(n_queries=40).demonstrations).save(Path(folder) / "recommender")
        app = make_app(ActiveRecommender.load(Path(folder) / "recommender"), settings)
    return app.openapi()


def render(description: Mapping[str, Any]) -> str:
    """Return the page of an OpenAPI description."""
    paths = description["paths"]
    addresses = [
        _address(method, path, paths[path][method]) for path in paths for method in _METHODS if method in paths[path]
    ]
    types = description.get("components", {}).get("schemas", {})
    tables = [_type(name, schema) for name, schema in sorted(types.items())]
    return "\n\n".join([_INTRODUCTION.strip(), *addresses, "## Types", *tables]) + "\n"


def _address(method: str, path: str, operation: Mapping[str, Any]) -> str:
    lines = [f"## `{method.upper()} {path}`", "", _text(operation), ""]
    if parameters := operation.get("parameters"):
        lines += ["| parameter | in | what it is | type |", "|---|---|---|---|"]
        lines += [
            f"| `{each['name']}` | {each['in']} | {_cell(each.get('description', ''))} | {_kind(each['schema'])} |"
            for each in parameters
        ]
        lines += [""]
    if body := operation.get("requestBody"):
        lines += [*_body(body), ""]
    lines += ["| status | when | answer |", "|---|---|---|"]
    lines += [
        f"| {status} | {_cell(answer['description'])} | {_contents(answer)} |"
        for status, answer in sorted(operation["responses"].items())
    ]
    return "\n".join([*lines, *_headers(operation["responses"].values())])


def _headers(answers: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the table of the headers that answers have."""
    headers = {name: header for answer in answers for name, header in answer.get("headers", {}).items()}
    rows = [f"| `{name}` | {_cell(header.get('description', ''))} |" for name, header in headers.items()]
    return ["", "| header of the answer | what it is |", "|---|---|", *rows] if rows else []


def _text(operation: Mapping[str, Any]) -> str:
    texts = (f"{operation['summary']}.", *operation.get("description", "").split("\n\n"))
    return "\n\n".join(textwrap.fill(text, 120, break_long_words=False) for text in texts if text.strip())


def _body(body: Mapping[str, Any]) -> list[str]:
    """Return what a request sends: its fields, or its type, and an example."""
    content = body["content"]["application/json"]
    schema = content.get("schema", {})
    told = _fields(schema) if schema.get("properties") else [f"Body: {_kind(schema)}."]
    if example := content.get("example"):
        told += ["", "```json", json.dumps(example, ensure_ascii=False), "```"]
    return told


def _fields(schema: Mapping[str, Any]) -> list[str]:
    required = schema.get("required", ())
    rows = [_field(name, value, name in required) for name, value in schema["properties"].items()]
    return ["| field | what it is | type | if not given |", "|---|---|---|---|", *rows]


def _type(name: str, schema: Mapping[str, Any]) -> str:
    lines = [f"### {name}", ""]
    if text := schema.get("description", "").strip():
        lines += [text, ""]
    return "\n".join([*lines, *(_fields(schema) if schema.get("properties") else [f"{_kind(schema)}."])])


def _field(name: str, schema: Mapping[str, Any], is_needed: bool) -> str:
    default = "" if is_needed or schema.get("default") is None else f"`{schema['default']}`"
    limits = ", ".join(_limits(schema))
    kind = _kind(schema) + (f", {limits}" if limits else "")
    return f"| `{name}` | {_cell(schema.get('description', ''))} | {kind} | {'needed' if is_needed else default} |"


def _limits(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is asked of a value beyond its type; of one that may be null too, what is asked if it is not."""
    words = {
        "minimum": "at least {}",
        "exclusiveMinimum": "above {}",
        "maximum": "at most {}",
        "minLength": "at least {} characters",
        "maxLength": "at most {} characters",
        "minItems": "at least {}",
        "maxItems": "at most {}",
    }
    for each in (schema, *schema.get("anyOf", ())):
        for name, wording in words.items():
            if each.get(name) == 1 and name == "minLength":
                yield "not empty"
            elif name in each:
                yield wording.format(f"{each[name]:,}".removesuffix(".0"))


def _kind(schema: Mapping[str, Any]) -> str:
    """Return a type in words, linked where it is one of the page's."""
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in schema:
        return f"`{schema['const']}`"
    if values := schema.get("enum"):
        return _either(f"`{value}`" for value in values)
    kind = schema.get("type")
    for name in ("anyOf", "oneOf", "allOf"):
        if name in schema and kind is None:
            return _either(_kind(each) for each in schema[name])
    kind = kind or "anything"
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if isinstance(kind, list):
        return _either(kind)
    return str(kind)


def _either(kinds: Iterable[str]) -> str:
    return " or ".join(dict.fromkeys(kinds))


def _contents(part: Mapping[str, Any]) -> str:
    """Return what a body is made of: its type, and of what media type where that is not JSON."""
    named = [
        _kind(content["schema"]) if media == "application/json" and content.get("schema") else f"`{media}`"
        for media, content in part.get("content", {}).items()
    ]
    return _either(named)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
