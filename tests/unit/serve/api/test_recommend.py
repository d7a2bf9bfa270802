"""`POST /v1/recommend`: what it answers, and what it refuses with which status."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from starlette.testclient import TestClient

from prompt_oirl.records import Query
from prompt_oirl.serve.api.recommend import RecommendRequest
from prompt_oirl.serve.settings import Limits

JSON_TYPE = "application/json"
QUERY = "Weng earns $12 an hour. She worked 50 minutes. How much did she earn?"
HOSTILE = [
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "{{query}} {query} %s {0.__class__} ${7*7} {% x %}",
    "zero \x00 bell \x07 escape \x1b[31m newline \n return \r tab \t delete \x7f",
    "\u202egnp.exe\u202c \ufeff \ufffd \U0001f600 e\u0301 \u0000 İı ß ﬁ",
    "\"; DROP TABLE decisions; -- ' \\",
    "line " * 3_900,
    "\n" * 100 + "x",
    "0" * 19_000,
]


def assert_refused(answer: Any, status: int, *parts: str, param: str | None = None) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    for part in parts:
        assert part in error["message"]
    if param is not None:
        assert error["param"] == param
    assert len(answer.content) < 2_000


def test_one_query(client: TestClient, active, log) -> None:
    answer = client.post("/v1/recommend", json={"query": QUERY})
    expected = active.prepared.recommend(QUERY)
    (decision,) = log.decisions
    assert answer.status_code == 200
    assert answer.json() == {
        "decision_id": decision.id,
        "prompt_id": expected.prompt.id,
        "score": expected.score,
        "propensity": 1.0,
        "choice": "recommended",
        "reason": expected.reason,
        "recommender": active.version,
    }
    headers = {name: value for name, value in answer.headers.items() if name.startswith("x-prompt-oirl-")}
    assert unquote(headers.pop("x-prompt-oirl-prompt")) == expected.prompt.id
    assert float(headers.pop("x-prompt-oirl-score")) == pytest.approx(expected.score)
    assert float(headers.pop("x-prompt-oirl-propensity")) == 1
    assert headers == {
        "x-prompt-oirl-decision": decision.id,
        "x-prompt-oirl-recommender": active.version,
        "x-prompt-oirl-choice": "recommended",
    }
    assert decision.source == "recommend"


def test_several_queries_are_answered_in_their_order(client: TestClient, active, log) -> None:
    queries = [f"{QUERY} {number}" for number in range(30)]
    decisions = client.post("/v1/recommend", json={"queries": queries}).json()["decisions"]
    assert [each["decision_id"] for each in decisions] == [each.id for each in log.decisions]
    assert [each.query_id for each in log.decisions] == [Query(query).id for query in queries]
    assert [each["prompt_id"] for each in decisions] == [
        active.prepared.recommend(query).prompt.id for query in queries
    ]


def test_many_long_queries_of_one_request_are_all_scored(make_client, active) -> None:
    """They are scored in threads, with room for a few."""
    queries = [f"{number} {QUERY * 80}" for number in range(20)]
    found = make_client(budget_seconds=20.0).post("/v1/recommend", json={"queries": queries}).json()["decisions"]
    assert {each["choice"] for each in found} == {"recommended"}
    assert [each["prompt_id"] for each in found] == [active.prepared.recommend(query).prompt.id for query in queries]


def test_scores_and_messages_are_returned_if_asked_for(client: TestClient, active) -> None:
    answer = client.post("/v1/recommend", json={"query": QUERY, "top": 3, "messages": True}).json()
    scores = dict(zip([prompt.id for prompt in active.prepared.prompts], active.prepared.score(QUERY), strict=True))
    best = sorted(scores.items(), key=lambda each: -each[1])[:3]
    assert [(each["prompt_id"], each["score"]) for each in answer["scores"]] == best
    expected = active.prepared.recommend(QUERY).messages
    assert answer["messages"] == [{"role": each.role, "content": each.content} for each in expected]
    assert client.post("/v1/recommend", json={"query": QUERY, "top": 3.0}).json()["scores"] == answer["scores"]
    every = client.post("/v1/recommend", json={"query": QUERY, "top": 1_000}).json()["scores"]
    assert {each["prompt_id"] for each in every} == set(scores)


def test_candidates(client: TestClient, active, log) -> None:
    ids = [prompt.id for prompt in active.prepared.prompts][1:3]
    answer = client.post("/v1/recommend", json={"query": QUERY, "candidates": ids, "top": 9}).json()
    assert {each["prompt_id"] for each in answer["scores"]} == set(ids)
    assert answer["prompt_id"] in ids
    assert log.decisions[0].candidates == tuple(ids)


def test_a_fallback_has_no_scores(make_client, make_behaving, log) -> None:
    def fail(query: str) -> None:
        raise ValueError(query)

    answer = make_client(active=make_behaving(fail)).post(
        "/v1/recommend", json={"query": QUERY, "top": 3, "messages": True}
    )
    found = answer.json()
    assert (answer.status_code, found["choice"], found["score"], found["scores"]) == (200, "fallback", None, [])
    assert QUERY in found["messages"][-1]["content"]
    assert "x-prompt-oirl-score" not in answer.headers


@pytest.mark.parametrize("query", HOSTILE)
def test_hostile_queries_come_back_as_they_are_and_change_nothing_else(client: TestClient, active, query: str) -> None:
    answer = client.post("/v1/recommend", json={"query": query, "top": 99, "messages": True})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["messages"][-1]["content"] == active.prepared.recommend(query).message
    rest = {name: value for name, value in answer.json().items() if name != "messages"}
    assert query not in json.dumps(rest, ensure_ascii=False)
    assert not any(query in value for value in answer.headers.values())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nothing",
        b'{"query": "x"} trailing',
        b'{"query": NaN}',
        b'{"query": "x", "top": Infinity}',
        b'{"query": "x", "top": 1e999}',
        b'{"query": "x", "top": ' + b"9" * 5_000 + b"}",
        b'{"query": "\\ud800"}',
        b'{"query": "\\udc00\\ud800"}',
        b'{"query": "\xff"}',
        b'{"query": "\xed\xa0\x80"}',
        b'\xef\xbb\xbf{"query": "x"}',
        '{"query": "x"}'.encode("utf-16"),
        b'{"query": "unescaped \n newline"}',
        b"[" * 100_000,
        b'{"query": ' + b"[" * 1_000 + b"]" * 1_000 + b"}",
        b'{"query": ' + b'{"a":' * 2_000 + b"1" + b"}" * 2_001,
        b'{"query": "one", "query": "two"}',
        b'{"query": "one", "candidates": [{"a": 1, "a": 2}]}',
        b"{'query': 'x'}",
    ],
)
def test_what_is_not_strict_json_is_400(client: TestClient, log, body: bytes) -> None:
    answer = client.post("/v1/recommend", content=body, headers={"content-type": "application/json"})
    assert_refused(answer, 400, "body")
    assert log.decisions == []


def test_the_name_that_is_there_twice_is_said(client: TestClient) -> None:
    body = b'{"query": "one", "que\\u0072y": "two"}'
    answer = client.post("/v1/recommend", content=body, headers={"content-type": "application/json"})
    assert_refused(answer, 400, "'query' is there twice")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ([], None),
        ("text", None),
        (None, None),
        (5, None),
        ({}, "query"),
        ({"query": QUERY, "queries": [QUERY]}, "query"),
        ({"query": ""}, "query"),
        ({"query": " \n"}, "query"),
        ({"query": "\u2003\u00a0"}, "query"),
        ({"query": "\x1c"}, "query"),
        ({"query": 5}, "query"),
        ({"query": None}, "query"),
        ({"query": [QUERY]}, "query"),
        ({"query": {"text": QUERY}}, "query"),
        ({"queries": []}, "queries"),
        ({"queries": QUERY}, "queries"),
        ({"queries": [QUERY, ""]}, "queries.1"),
        ({"queries": [QUERY, None]}, "queries.1"),
        ({"query": QUERY, "candidates": []}, "candidates"),
        ({"query": QUERY, "candidates": "think"}, "candidates"),
        ({"query": QUERY, "candidates": [1]}, "candidates.0"),
        ({"query": QUERY, "candidates": [""]}, "candidates.0"),
        ({"query": QUERY, "top": 0}, "top"),
        ({"query": QUERY, "top": 1_001}, "top"),
        ({"query": QUERY, "top": "3"}, "top"),
        ({"query": QUERY, "top": 2.5}, "top"),
        ({"query": QUERY, "top": True}, "top"),
        ({"query": QUERY, "messages": "yes"}, "messages"),
        ({"query": QUERY, "messages": 1}, "messages"),
        ({"query": QUERY, "prompt": "think"}, "prompt"),
        ({"query": QUERY, "<b>" * 5: 1}, None),
    ],
)
def test_what_is_not_asked_for_here_is_422(client: TestClient, log, body: object, param: str | None) -> None:
    answer = client.post("/v1/recommend", content=json.dumps(body), headers={"content-type": "application/json"})
    assert_refused(answer, 422, param=param)
    assert log.decisions == []


def test_null_is_as_if_left_out(client: TestClient) -> None:
    rest = {"candidates": None, "top": None, "messages": None}
    one = client.post("/v1/recommend", json={"query": QUERY, "queries": None, **rest}).json()
    (many,) = client.post("/v1/recommend", json={"query": None, "queries": [QUERY], **rest}).json()["decisions"]
    assert set(one) == set(many) == set(client.post("/v1/recommend", json={"query": QUERY}).json())
    assert one["prompt_id"] == many["prompt_id"]


def test_unknown_candidates_are_404_and_nothing_is_decided(client: TestClient, log) -> None:
    body = {"queries": [QUERY, QUERY], "candidates": ["nobody"]}
    assert_refused(client.post("/v1/recommend", json=body), 404, "'nobody'", "/v1/prompts", param="candidates")
    assert log.decisions == []


@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "application/jsonx", "json"]
)
def test_another_content_type_is_415(client: TestClient, content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    answer = client.post("/v1/recommend", content=json.dumps({"query": QUERY}).encode(), headers=headers)
    assert_refused(answer, 415, "application/json")


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_the_content_type_may_have_parameters(client: TestClient, content_type: str) -> None:
    answer = client.post("/v1/recommend", content=b'{"query": "x"}', headers={"content-type": content_type})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("body", "limit", "param"),
    [
        ({"query": "x" * 51}, {"query_characters": 50}, "query"),
        ({"queries": ["x", "x" * 51]}, {"query_characters": 50}, "query"),
        ({"queries": ["x"] * 4}, {"queries": 3}, "queries"),
        ({"query": "x", "candidates": ["a", "b", "c"]}, {"candidates": 2}, "candidates"),
    ],
)
def test_limits(make_client: Callable[..., TestClient], log, body: object, limit: dict, param: str) -> None:
    client = make_client(limits=Limits(**limit))
    (allowed,) = limit.values()
    assert_refused(client.post("/v1/recommend", json=body), 422, f"at most {allowed}", param=param)
    assert log.decisions == []
    schema = client.get("/openapi.json").json()["paths"]["/v1/recommend"]["post"]["requestBody"]["content"]
    assert str(allowed) in json.dumps(schema["application/json"]["schema"])


def test_a_query_of_exactly_the_longest_length_is_taken(make_client) -> None:
    client = make_client(limits=Limits(query_characters=50, queries=2))
    assert client.post("/v1/recommend", json={"queries": ["x" * 50, "\U0001f600" * 50]}).status_code == 200


def test_a_body_that_is_too_large_is_413(make_client) -> None:
    client = make_client(limits=Limits(body_bytes=100))
    assert_refused(client.post("/v1/recommend", json={"query": "x" * 100}), 413, "100 bytes")
    parts = (b"x" for _ in range(200))
    answer = client.post("/v1/recommend", content=parts, headers={"content-type": "application/json"})
    assert_refused(answer, 413, "100 bytes")
    assert client.post("/v1/recommend", json={"query": "x"}).status_code == 200


texts = st.text(max_size=30) | st.sampled_from(HOSTILE[:5])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)
bodies = st.dictionaries(st.sampled_from(["query", "queries", "candidates", "top", "messages", "x"]), values)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=bodies.map(lambda each: json.dumps(each).encode()) | st.binary(max_size=60))
def test_no_body_whatever_is_a_mistake_inside(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/recommend", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (200, 400, 404, 422)
    assert answer.json()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=st.text(min_size=1, max_size=200).filter(lambda text: bool(text.strip())))
def test_every_text_gets_a_prompt(client: TestClient, query: str) -> None:
    answer = client.post("/v1/recommend", json={"query": query, "messages": True})
    assert answer.status_code == 200
    assert query in answer.json()["messages"][-1]["content"]


@pytest.mark.parametrize("path", ["/v1/recommend", "/v1/feedback"])
def test_a_compressed_body_is_415(client: TestClient, path: str) -> None:
    answer = client.post(path, content=b"{}", headers={"content-type": JSON_TYPE, "content-encoding": "gzip"})
    assert_refused(answer, 415, "without content-encoding")


@pytest.mark.parametrize("path", ["/v1/recommend", "/v1/feedback"])
def test_a_body_of_more_than_a_mebibyte_is_413(client: TestClient, path: str) -> None:
    most = b'{"query": 3}'.ljust(2**20)
    answers = [client.post(path, content=body, headers={"content-type": JSON_TYPE}) for body in (most, most + b" ")]
    assert answers[0].status_code == 422
    assert_refused(answers[1], 413, "more than 1048576 bytes")
    assert answers[1].headers["connection"] == "close"


def test_a_long_unknown_name_is_not_repeated(client: TestClient) -> None:
    answer = client.post("/v1/recommend", json={"query": QUERY, "x" * 500_000: 1})
    assert_refused(answer, 422, "Extra inputs", param="x" * 100)


def test_many_names_are_read_in_a_time_that_grows_with_their_number(client: TestClient) -> None:
    names = ",".join(f'"{number}":0' for number in range(50_000))
    started = time.process_time()
    answer = client.post("/v1/recommend", content=f'{{{names},"49999":0}}', headers={"content-type": JSON_TYPE})
    assert_refused(answer, 400, "is there twice")
    assert time.process_time() - started < 5  # compared each with each it was 20


@pytest.mark.parametrize("name", ["queries", "candidates"])
def test_of_many_items_only_the_first_mistake_is_looked_for(name: str) -> None:
    with pytest.raises(ValidationError) as raised:
        RecommendRequest.model_validate({name: [1] * 10})
    assert raised.value.error_count() == 1
