"""Limits on the size of a body and on requests at once."""

from __future__ import annotations

import asyncio
import json

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from prompt_oirl.serve.limits import BodyLimit, ConcurrencyLimit
from prompt_oirl.serve.settings import Limits


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    await Response(await Request(scope, receive).body())(scope, receive, send)


async def never(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("it was to be refused before it is read")


def assert_error(answer, status: int, text: str) -> None:
    assert answer.status == status
    assert answer.headers["content-type"] == "application/json"
    error = json.loads(answer.body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert text in error["message"]


@pytest.mark.parametrize("parts", [[b""], [b"x" * 10], [b"x" * 4, b"", b"x" * 6]])
async def test_what_is_within_the_limit_passes(ask, parts: list[bytes]) -> None:
    body = b"".join(parts)
    for headers in ({}, {"content-length": str(len(body))}):
        answer = await ask(BodyLimit(echo, most_bytes=10, seconds=60), headers=headers, parts=parts)
        assert (answer.status, answer.body) == (200, body)


@pytest.mark.parametrize("length", ["11", "99999999999999999999999999", "-1", "1e9", "x", "+5", ""])
async def test_a_length_that_is_too_large_or_none_is_refused_unread(ask, length: str) -> None:
    answer = await ask(BodyLimit(never, most_bytes=10, seconds=60), headers={"content-length": length})
    assert_error(answer, 413, "more than 10 bytes")
    assert answer.headers["connection"] == "close"


async def test_a_body_without_a_length_is_refused_once_it_is_too_large(ask) -> None:
    n_read = 0

    async def reading(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal n_read
        while (message := await receive())["type"] == "http.request":
            n_read += len(message["body"])

    with pytest.raises(HTTPException, match="more than 10 bytes") as raised:
        await ask(BodyLimit(reading, most_bytes=10, seconds=60), parts=[b"x" * 4] * 1_000)
    assert raised.value.status_code == 413
    assert n_read == 8


async def test_a_body_that_does_not_come_to_an_end_is_refused(ask) -> None:
    async def dripping() -> dict[str, object]:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"x", "more_body": True}

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-length", b"1000")]}
    limited = BodyLimit(echo, most_bytes=10_000, seconds=0.05)
    with pytest.raises(HTTPException, match=r"not arrived within 0\.05 seconds") as raised:
        await limited(scope, dripping, ask)
    assert raised.value.status_code == 408


async def test_a_client_may_stay_as_long_as_it_likes_once_it_has_sent_its_body() -> None:
    messages = [{"type": "http.request", "body": b"x", "more_body": False}, {"type": "http.disconnect"}]
    seen: list[str] = []

    async def receive() -> dict[str, object]:
        await asyncio.sleep(0.06 if len(messages) == 1 else 0)
        return messages.pop(0)

    async def reading(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend([(await receive())["type"], (await receive())["type"]])

    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    await BodyLimit(reading, most_bytes=10, seconds=0.03)(scope, receive, never)
    assert seen == ["http.request", "http.disconnect"]


async def test_other_than_requests_pass_untouched(ask) -> None:
    seen: list[str] = []

    async def note(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    application = ConcurrencyLimit(BodyLimit(note, most_bytes=1, seconds=60), most=1, exempt=frozenset())
    for type in ("lifespan", "websocket"):
        await ask(application, type=type, headers={"content-length": "99"})
    assert seen == ["lifespan", "websocket"]


async def test_requests_above_the_limit_are_refused_and_room_is_made_again(ask) -> None:
    goes_on = asyncio.Event()

    async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/slow":
            await goes_on.wait()
        await echo(scope, receive, send)

    application = ConcurrencyLimit(waiting, most=2, exempt=frozenset({"/healthz"}))
    slow = [asyncio.ensure_future(ask(application, "/slow")) for _ in range(2)]
    await asyncio.sleep(0)
    refused = await ask(application, "/")
    assert_error(refused, 503, "2 requests are under way")
    assert int(refused.headers["retry-after"]) >= 1
    assert (await ask(application, "/healthz")).status == 200
    goes_on.set()
    assert [answer.status for answer in await asyncio.gather(*slow)] == [200, 200]
    assert (await ask(application, "/")).status == 200


async def test_a_request_that_fails_or_is_cancelled_leaves_its_place(ask) -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/slow":
            await asyncio.sleep(30)
        raise ValueError("it failed")

    application = ConcurrencyLimit(failing, most=1, exempt=frozenset())
    for _ in range(3):
        with pytest.raises(ValueError, match="it failed"):
            await ask(application)
    slow = asyncio.ensure_future(ask(application, "/slow"))
    await asyncio.sleep(0)
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow
    with pytest.raises(ValueError, match="it failed"):
        await ask(application)


async def test_a_path_may_take_less(ask) -> None:
    limited = BodyLimit(echo, most_bytes=10, seconds=60, most_bytes_of={"/sign-in": 4, "/more": 99})
    for path, most in (("/sign-in", 4), ("/more", 10), ("/", 10)):
        assert (await ask(limited, path, parts=[b"x" * most])).status == 200
        assert_error(await ask(limited, path, headers={"content-length": str(most + 1)}), 413, f"than {most} bytes")
        with pytest.raises(HTTPException, match=f"more than {most} bytes"):
            await ask(limited, path, parts=[b"x" * most, b"x"])


async def test_what_is_counted_apart_takes_no_place_of_the_others(ask) -> None:
    goes_on = asyncio.Event()

    async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].endswith("/slow"):
            await goes_on.wait()
        await echo(scope, receive, send)

    application = ConcurrencyLimit(waiting, most=3, exempt=frozenset(), apart="/playground/", most_apart=2)
    slow = [asyncio.ensure_future(ask(application, "/playground/slow")) for _ in range(2)]
    await asyncio.sleep(0)
    assert_error(await ask(application, "/playground/sign-in"), 503, "2 requests are under way")
    slow += [asyncio.ensure_future(ask(application, "/slow")) for _ in range(3)]
    await asyncio.sleep(0)
    assert_error(await ask(application, "/playground"), 503, "3 requests are under way")
    goes_on.set()
    assert [answer.status for answer in await asyncio.gather(*slow)] == [200] * 5
    assert (await ask(application, "/playground/sign-in")).status == 200


def test_how_the_service_is_can_be_asked_under_any_load(make_client) -> None:
    limits = Limits()
    object.__setattr__(limits, "concurrent_requests", 0)  # all are taken
    client = make_client(limits=limits)
    assert client.get("/v1/prompts").status_code == 503
    assert [client.get(path).status_code for path in ("/healthz", "/readyz", "/metrics")] == [200] * 3


def test_a_token_is_small(make_client) -> None:
    answer = make_client().post("/playground/sign-in", json={"token": "x" * 5_000})
    assert (answer.status_code, "4096 bytes" in answer.text) == (413, True)
