"""Which headers pass, and which do not."""

from __future__ import annotations

import math

import pytest

from prompt_oirl.serve.decision import Decision
from prompt_oirl.serve.gateway.headers import answer_headers, decision_headers, request_headers, untouched_headers

KEY, TOKEN = "sk-upstream", "service-token"


def sent(*received: tuple[bytes, bytes], key: str | None = None, token: str | None = None) -> list[tuple[str, str]]:
    return list(request_headers(received, key=key, token=token).items())


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


def decision(**more: object) -> Decision:
    fields = {
        "query_id": "0" * 16,
        "query": None,
        "prompt_id": "think",
        "score": 0.75,
        "propensity": 1.0,
        "choice": "recommended",
        "source": "gateway",
        "recommender": "0123456789ab",
        "seconds": 0.001,
    }
    return Decision(**{**fields, **more})


def test_the_decision_is_told() -> None:
    made = decision()
    assert dict(decision_headers(made)) == {
        b"x-prompt-oirl-decision": made.id.encode(),
        b"x-prompt-oirl-prompt": b"think",
        b"x-prompt-oirl-score": b"0.75",
        b"x-prompt-oirl-propensity": b"1.0",
        b"x-prompt-oirl-recommender": b"0123456789ab",
        b"x-prompt-oirl-choice": b"recommended",
    }


def test_a_fallback_has_no_score() -> None:
    assert b"x-prompt-oirl-score" not in dict(decision_headers(decision(score=None, choice="fallback")))


def test_a_prompts_id_cannot_break_out() -> None:
    told = dict(decision_headers(decision(prompt_id="a\r\nset-cookie: x=1\0 é/", propensity=math.nextafter(1, 0))))
    assert told[b"x-prompt-oirl-prompt"] == b"a%0D%0Aset-cookie%3A%20x%3D1%00%20%C3%A9%2F"
    assert float(told[b"x-prompt-oirl-propensity"]) == math.nextafter(1, 0)


def test_why_nothing_was_put_in_is_told() -> None:
    assert dict(untouched_headers("no text of a user")) == {
        b"x-prompt-oirl-choice": b"untouched",
        b"x-prompt-oirl-reason": b"no text of a user",
    }
