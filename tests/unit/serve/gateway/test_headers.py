"""Which headers pass, and which do not."""

from __future__ import annotations

import pytest

from prompt_oirl.serve.gateway.headers import GATEWAY_HEADER, answer_headers, request_headers

KEY, TOKEN = "sk-upstream", "service-token"


def sent(*received: tuple[bytes, bytes], key: str | None = None, token: str | None = None) -> list[tuple[str, str]]:
    found = request_headers(received, key=key, token=token)
    assert found.popall(GATEWAY_HEADER.decode()) == ["1"]
    return list(found.items())


def test_what_the_client_sends_passes_in_order_and_with_duplicates() -> None:
    received = [(b"openai-organization", b"org"), (b"x-a", b"1"), (b"accept", b"*/*"), (b"x-a", b"2"), (b"te-x", b"")]
    assert sent(*received) == [(name.decode(), value.decode()) for name, value in received]


@pytest.mark.parametrize(
    "name",
    [
        "connection",
        "keep-alive",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "host",
        "content-length",
        "expect",
        "cookie",
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-real-ip",
    ],
)
def test_what_is_of_the_clients_connection_stays(name: str) -> None:
    assert sent((name.encode(), b"x"), (b"x-a", b"1")) == [("x-a", "1")]


def test_what_connection_names_stays() -> None:
    received = [(b"connection", b"close, X-Hop"), (b"x-hop", b"1"), (b"x-end", b"2")]
    assert sent(*received) == [("x-end", "2")]
    assert answer_headers([(b"Connection", b"X-Hop"), (b"X-Hop", b"1"), (b"X-End", b"2")]) == [(b"x-end", b"2")]


def test_the_clients_authorization_passes_where_nothing_else_is_set() -> None:
    assert sent((b"authorization", b"Bearer sk-client")) == [("authorization", "Bearer sk-client")]


def test_the_upstreams_key_takes_its_place() -> None:
    assert sent((b"authorization", b"Bearer sk-client"), (b"authorization", b"x"), key=KEY) == [
        ("authorization", f"Bearer {KEY}")
    ]
    assert sent((b"authorization", f"Bearer {TOKEN}".encode()), key=KEY, token=TOKEN) == [
        ("authorization", f"Bearer {KEY}")
    ]


def test_the_services_token_never_passes() -> None:
    received = [(b"authorization", f"Bearer {TOKEN}".encode()), (b"x-api-key", TOKEN.encode()), (b"x-a", b"1")]
    assert sent(*received, token=TOKEN) == [("x-a", "1")]


def test_values_in_utf_8_stay_what_they_are() -> None:
    assert [value.encode() for _, value in sent((b"x-name", "Žofie 😀".encode()))] == ["Žofie 😀".encode()]


def test_what_says_something_of_the_answer_comes_back() -> None:
    received = [
        (b"Content-Type", b"text/event-stream"),
        (b"Content-Encoding", b"gzip"),
        (b"Content-Length", b"5"),
        (b"Retry-After", b"7"),
        (b"X-Request-Id", b"\xe9"),
        (b"X-A", b"1"),
        (b"X-A", b"2"),
    ]
    assert answer_headers(received) == [(name.lower(), value) for name, value in received]


@pytest.mark.parametrize(
    "name",
    [
        "Connection",
        "Transfer-Encoding",
        "Date",
        "Set-Cookie",
        "Alt-Svc",
        "Strict-Transport-Security",
        "Access-Control-Allow-Origin",
        "X-Prompt-OIRL-Decision",
    ],
)
def test_what_is_of_the_upstreams_host_stays(name: str) -> None:
    assert answer_headers([(name.encode(), b"x")]) == []


def test_no_header_with_the_services_key_comes_back() -> None:
    received = [(b"X-Key", f"Bearer {KEY}".encode()), (b"X-A", b"1")]
    assert answer_headers(received, key=KEY) == [(b"x-a", b"1")]
    assert len(answer_headers(received)) == 2


@pytest.mark.parametrize(
    ("accepted", "asked"),
    [
        ("gzip, deflate, br, zstd", "gzip, deflate"),
        ("br;q=1.0, GZIP;q=0.5, *;q=0", "GZIP;q=0.5"),
        ("br", "identity"),
        ("", "identity"),
    ],
)
def test_with_a_key_answers_are_asked_for_in_what_can_be_searched(accepted: str, asked: str) -> None:
    received = (b"accept-encoding", accepted.encode())
    assert dict(sent(received, key=KEY))["accept-encoding"] == asked
    assert sent(received) == [("accept-encoding", accepted)]


def test_where_the_client_accepts_no_encoding_none_is_named() -> None:
    assert [name for name, _ in sent(key=KEY)] == ["authorization"]
