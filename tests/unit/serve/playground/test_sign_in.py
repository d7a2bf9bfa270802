from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from prompt_oirl.serve.playground import sign_in as module
from prompt_oirl.serve.playground.sign_in import (
    FailedAttempts,
    check_own_page,
    check_signed_in,
    is_signed_in,
    is_token,
    sign_in,
    sign_out,
)

TOKEN = "planted-token-3fb1"


def request(scheme: str = "http", **headers: str) -> Request:
    pairs = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "scheme": scheme, "path": "/", "query_string": b"", "headers": pairs}
    return Request(scope | {"server": ("127.0.0.1", 8080)})


def given_cookie(asked: Request | None = None, token: str = TOKEN) -> str:
    response = Response()
    sign_in(asked or request(), response, token)
    return response.headers["set-cookie"]


def with_cookie(cookie: str) -> Request:
    return request(cookie=cookie.partition(";")[0])


def test_a_browser_that_gave_the_token_is_signed_in() -> None:
    assert is_signed_in(with_cookie(given_cookie()), TOKEN)
    check_signed_in(with_cookie(given_cookie()), TOKEN)


@pytest.mark.parametrize("token", [None, ""])
def test_without_a_token_everybody_is(token: str | None) -> None:
    assert is_signed_in(request(), token)


def test_the_cookie_is_kept_from_scripts_and_other_sites_and_does_not_hold_the_token() -> None:
    cookie = given_cookie()
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert TOKEN not in cookie
    assert "Secure" not in cookie
    assert "Secure" in given_cookie(request("https"))
    assert "Secure" in given_cookie(request(x_forwarded_proto="https"))


def test_a_cookie_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    cookie = with_cookie(given_cookie())
    now = time.time()
    monkeypatch.setattr(module.time, "time", lambda: now + 13 * 3600)
    assert not is_signed_in(cookie, TOKEN)


def test_a_cookie_of_another_token_or_with_a_later_end_is_refused() -> None:
    assert not is_signed_in(with_cookie(given_cookie(token="another")), TOKEN)
    name, _, value = given_cookie().partition(";")[0].partition("=")
    ends, _, seal = value.partition(".")
    later = with_cookie(f"{name}={int(ends) + 1}.{seal}")
    assert not is_signed_in(later, TOKEN)
    with pytest.raises(HTTPException, match="not signed in"):
        check_signed_in(later, TOKEN)


@given(st.text(st.characters(codec="latin-1", exclude_characters=";\r\n"), max_size=200))
def test_whatever_stands_in_the_cookie_it_is_only_refused(value: str) -> None:
    assert not is_signed_in(request(cookie=f"prompt_oirl_playground={value}"), TOKEN)


def test_signing_out_ends_the_cookie() -> None:
    response = Response()
    sign_out(response)
    cookie = response.headers["set-cookie"]
    assert "Max-Age=0" in cookie
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert not is_signed_in(with_cookie(cookie), TOKEN)


def test_after_ten_failures_within_a_minute_no_attempt_is_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    failed = FailedAttempts()
    for _ in range(10):
        failed.check()
        failed.add()
        now += 5
    with pytest.raises(HTTPException, match="10 attempts") as raised:
        failed.check()
    assert (raised.value.status_code, raised.value.headers) == (429, {"retry-after": "60"})
    now += 10  # a minute after the first one
    failed.check()
    failed.add()
    with pytest.raises(HTTPException, match="10 attempts"):
        failed.check()
    now += 60
    failed.check()


def test_only_the_token_is_the_token() -> None:
    assert is_token(TOKEN, TOKEN)
    assert not any(is_token(wrong, TOKEN) for wrong in ("", TOKEN[:-1], TOKEN + " ", "\ud800"))
    assert not is_token("", None)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://localhost:8080", "host": "localhost:8080"},
        {"origin": "https://prompts.example", "host": "prompts.example"},
        {"origin": "https://prompts.example", "host": "10.0.0.7:8080", "sec_fetch_site": "same-origin"},
    ],
)
def test_the_own_page_is_let_in(headers: dict[str, str]) -> None:
    check_own_page(request(**headers))


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "localhost:8080"},
        {"origin": "null", "host": "localhost:8080"},
        {"origin": "http://localhost:9090", "host": "localhost:8080"},
        {"origin": "https://elsewhere.example", "host": "localhost:8080", "sec_fetch_site": "cross-site"},
        {"origin": "http://[", "host": "localhost:8080"},
    ],
)
def test_another_page_is_not(headers: dict[str, str]) -> None:
    with pytest.raises(HTTPException, match="not from this service's own page"):
        check_own_page(request(**headers))
