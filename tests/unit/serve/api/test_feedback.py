"""`POST /v1/feedback`: stored for known decisions, refused otherwise."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient


@pytest.fixture
def decision_id(client: TestClient) -> str:
    return client.post("/v1/recommend", json={"query": "What is 2 plus 3?"}).json()["decision_id"]


def test_rewards_are_all_kept_in_order(client: TestClient, log, decision_id: str) -> None:
    for reward in (1, 0.25, 0):
        answer = client.post("/v1/feedback", json={"decision_id": decision_id, "reward": reward})
        assert (answer.status_code, answer.json()) == (200, {"decision_id": decision_id, "reward": reward})
    assert [(each.decision_id, each.reward) for each in log.feedbacks] == [
        (decision_id, 1),
        (decision_id, 0.25),
        (decision_id, 0),
    ]
    assert b"prompt_oirl_feedback_total 3.0" in client.get("/metrics").content


def test_an_unknown_decision_is_404(client: TestClient, log) -> None:
    answer = client.post("/v1/feedback", json={"decision_id": "0" * 32, "reward": 1})
    assert answer.status_code == 404
    assert answer.json()["error"]["param"] == "decision_id"
    assert log.feedbacks == []


def test_a_store_that_is_down_is_503_and_says_nothing_of_where_it_is(client: TestClient, log, decision_id: str) -> None:
    log.is_down = True
    answer = client.post("/v1/feedback", json={"decision_id": decision_id, "reward": 1})
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert "secret-database" not in answer.text
    assert client.post("/v1/recommend", json={"query": "What is 2 plus 3?"}).status_code == 200
    log.is_down = False
    assert client.post("/v1/feedback", json={"decision_id": decision_id, "reward": 1}).status_code == 200


def test_without_a_store_it_is_404_and_says_why(make_client: Callable[..., TestClient]) -> None:
    answer = make_client(log=None).post("/v1/feedback", json={"decision_id": "0" * 32, "reward": 1})
    assert answer.status_code == 404
    assert "keeps no decisions" in answer.json()["error"]["message"]


@pytest.mark.parametrize("reward", [-0.001, 1.001, 1e300, "1", None, True, [1]])
def test_a_reward_outside_its_range_is_422(client: TestClient, log, decision_id: str, reward: object) -> None:
    answer = client.post("/v1/feedback", json={"decision_id": decision_id, "reward": reward})
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == "reward"
    assert log.feedbacks == []


@pytest.mark.parametrize("id", ["", "0" * 31, "0" * 33, "g" * 32, "0" * 32 + "\n", "0" * 31 + "\n", "٠" * 32, None, 5])
def test_what_is_no_id_is_422(client: TestClient, id: object) -> None:
    answer = client.post("/v1/feedback", json={"decision_id": id, "reward": 1})
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == "decision_id"


@pytest.mark.parametrize(
    "body", [{}, {"reward": 1}, {"decision_id": "0" * 32}, [], {"decision_id": "0" * 32, "reward": 1, "x": 2}]
)
def test_other_bodies_are_422(client: TestClient, body: object) -> None:
    answer = client.post("/v1/feedback", content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code == 422
