"""Who may ask: the token, the host that is asked for, and the site of the page that asks."""

from __future__ import annotations

import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse
from starlette.types import Message

from prompt_oirl.serve import access
from prompt_oirl.serve.access import Access
from prompt_oirl.serve.settings import ServeSettings

TOKEN = "planted-token-øé-77"
HERE = {"host": "127.0.0.1:8080"}


def guarded(*, token: str | None = None, **paths: object) -> Access:
    return Access(PlainTextResponse("inside"), ServeSettings(token=token), **paths)  # type: ignore[arg-type]


def as_sent(token: str) -> str:
    """UTF-8, as clients send what is not ASCII."""
    return token.encode().decode("latin-1")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_token_opens(ask, scheme: str) -> None:
    answer = await ask(guarded(token=TOKEN), headers={"authorization": f"{scheme} {as_sent(TOKEN)}"})
    assert (answer.status, answer.body) == (200, b"inside")


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN.upper()}",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer " + "x" * 100_000,
        "Bearer \x00\xff",
    ],
)
async def test_anything_else_is_refused_without_repeating_it(ask, given: str | None) -> None:
    headers = HERE if given is None else HERE | {"authorization": as_sent(given)}
    answer = await ask(guarded(token=TOKEN), headers=headers)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    error = json.loads(answer.body)["error"]
    assert error["type"] == "authentication_error"
    assert "planted" not in answer.body.decode() + str(answer.headers)
    assert len(answer.body) < 500


async def test_comparing_takes_constant_time(ask, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest

    def comparing(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return compare(one, other)

    monkeypatch.setattr(access.hmac, "compare_digest", comparing)
    await ask(guarded(token=TOKEN), headers={"authorization": "Bearer guess"})
    assert compared == [(b"guess", TOKEN.encode())]


async def test_with_a_token_any_host_and_site_may_ask(ask) -> None:
    headers = {"host": "example.org", "origin": "https://elsewhere.org", "authorization": f"Bearer {as_sent(TOKEN)}"}
    assert (await ask(guarded(token=TOKEN), headers=headers)).status == 200


async def test_only_open_paths_and_those_with_own_checks_need_no_token(ask) -> None:
    application = guarded(
        token=TOKEN, open_paths=frozenset({"/healthz"}), own_paths=frozenset({"/"}), own_prefix="/playground/"
    )
    statuses = {
        path: (await ask(application, path, headers=HERE)).status
        for path in (
            "/healthz",
            "/",
            "/playground/x",
            "/healthz/",
            "/v1/recommend",
            "/playground",
            "//",
            "/metrics",
            "",
        )
    }
    assert [path for path, status in statuses.items() if status == 200] == ["/healthz", "/", "/playground/x"]
    assert set(statuses.values()) == {200, 401}


async def test_without_own_checks_no_prefix_is_open(ask) -> None:
    assert (await ask(guarded(token=TOKEN), "/playground/x", headers=HERE)).status == 401


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:8080", "localhost:8080", "LOCALHOST", "localhost.", "[::1]:8080", "[::1]", "127.3.2.1:1"],
)
async def test_without_a_token_loopback_names_are_answered(ask, host: str) -> None:
    assert (await ask(guarded(), headers={"host": host})).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example@127.0.0.1.evil.example",
        "192.168.0.7",
        "0.0.0.0",
        "[::2]",
        "[::1",
        "::1]",
        "\xff\xfe",
        "a" * 10_000,
    ],
)
async def test_names_that_were_made_to_lead_here_are_refused(ask, host: str) -> None:
    answer = await ask(guarded(), headers={"host": host})
    assert answer.status == 403
    assert json.loads(answer.body)["error"]["type"] == "permission_error"
    assert len(answer.body) < 1_000


async def test_a_request_without_a_host_is_refused(ask) -> None:
    assert (await ask(guarded(), headers={})).status == 403


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:9999", "", "http://localhost:8080"]
)
async def test_pages_of_other_sites_may_not_post(ask, origin: str) -> None:
    headers = HERE | {"origin": origin}
    assert (await ask(guarded(), headers=headers)).status == 403
    assert (await ask(guarded(), headers=headers, method="DELETE")).status == 403
    assert (await ask(guarded(), headers=headers, method="GET")).status == 200


async def test_the_services_own_page_may(ask) -> None:
    assert (await ask(guarded(), headers=HERE | {"origin": "http://127.0.0.1:8080"})).status == 200


@pytest.mark.parametrize(
    ("site", "status"), [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)]
)
async def test_what_a_browser_says_of_the_site_counts_too(ask, site: str, status: int) -> None:
    headers = HERE | {"sec-fetch-site": site}
    assert (await ask(guarded(), headers=headers, method="POST")).status == status
    assert (await ask(guarded(), headers=headers, method="GET")).status == 200


@pytest.mark.parametrize("token", [None, TOKEN])
async def test_two_hosts_are_refused(token: str | None) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    bearer = (b"authorization", b"Bearer " + TOKEN.encode())
    headers = [bearer, (b"host", b"evil.example"), (b"host", b"127.0.0.1")]
    scope = {"type": "http", "method": "GET", "path": "/v1/prompts", "headers": headers}
    await guarded(token=token)(scope, receive, send)
    assert sent[0]["status"] == 400


async def test_websockets_are_refused_alike(ask) -> None:
    closed = [{"type": "websocket.close", "code": 1008}]
    assert (await ask(guarded(token=TOKEN), type="websocket", headers=HERE)).sent == closed
    assert (await ask(guarded(), type="websocket", headers={"host": "evil.example"})).sent == closed
    assert (await ask(guarded(), type="websocket", headers=HERE | {"origin": "https://evil.example"})).sent == closed


@given(host=st.binary(max_size=60).filter(lambda each: b"localhost" not in each.lower()))
def test_no_host_header_raises(host: bytes) -> None:
    assert isinstance(access._is_loopback(host), bool)


def test_the_token_is_not_shown() -> None:
    assert "planted" not in repr(guarded(token=TOKEN))
