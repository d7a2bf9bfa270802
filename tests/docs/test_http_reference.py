"""The HTTP reference says what an OpenAPI description says."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Annotated

import pytest
from fastapi import FastAPI, Header
from pydantic import BaseModel, Field


class Inner(BaseModel):
    """What is inside."""

    name: Annotated[str, Field(min_length=1, max_length=2_000, description="Its name | or none")]


class Sent(BaseModel):
    reward: Annotated[float, Field(ge=0, le=1)]
    inner: list[Inner] | None = None
    is_wanted: bool = False


@pytest.fixture
def reference(repository: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(repository / "docs"))
    import http_reference

    module: ModuleType = http_reference
    return module


@pytest.fixture
def page(reference: ModuleType) -> str:
    app = FastAPI()
    headers = {"x-told": {"description": "what is told", "schema": {"type": "string"}}}

    @app.post("/v1/send", summary="Send it", responses={200: {"description": "Sent.", "headers": headers}})
    async def send(sent: Sent, x_given: Annotated[int, Header(description="how often")] = 1) -> Inner | None:
        """It is sent."""

    made: str = reference.render(app.openapi())
    return made


def test_an_address_is_told_with_what_it_takes_and_answers(page: str) -> None:
    assert "\n## `POST /v1/send`\n\nSend it.\n\nIt is sent.\n" in page
    assert "\n| `x-given` | header | how often | integer |\n" in page
    assert "\nBody: [Sent](#sent).\n" in page
    assert "\n| 200 | Sent. | [Inner](#inner) or null |\n" in page
    assert "\n| header of the answer | what it is |\n|---|---|\n| `x-told` | what is told |\n" in page


def test_a_type_is_told_with_its_limits(page: str) -> None:
    assert "\n### Inner\n\nWhat is inside.\n" in page
    assert "\n| `name` | Its name \\| or none | string, not empty, at most 2,000 characters | needed |\n" in page
    assert "\n| `reward` |  | number, at least 0, at most 1 | needed |\n" in page
    assert "\n| `inner` |  | list of [Inner](#inner) or null |  |\n" in page
    assert "\n| `is_wanted` |  | boolean | `False` |\n" in page


def test_the_page_has_every_address_of_the_service(reference: ModuleType) -> None:
    page = reference.render_http()
    addresses = ["POST /v1/recommend", "GET /v1/prompts", "POST /v1/feedback", "POST /v1/reload", "GET /healthz",
                 "GET /readyz", "GET /metrics", "POST /v1/chat/completions", "GET /v1/models"]  # fmt: skip
    for address in addresses:
        assert f"\n## `{address}`\n" in page
    assert page.count("\n## `") == len(addresses)
