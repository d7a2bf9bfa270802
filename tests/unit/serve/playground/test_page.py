from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from prompt_oirl.serve.active import ActiveRecommender
from prompt_oirl.serve.app import make_app
from prompt_oirl.serve.settings import ServeSettings

ADDRESS = "http://127.0.0.1:8080"
TOKEN = "planted-token-5c1e"
LOST = "The training logs of the recommender in use cannot be read now."


@pytest.fixture
def folder(recommender_folder: Path, tmp_path: Path) -> Path:
    """A copy that may be overwritten."""
    return Path(shutil.copytree(recommender_folder, tmp_path / "recommender"))


@pytest.fixture
def client(folder: Path) -> Iterator[TestClient]:
    """Of a service with a playground, whose requests come from its own page."""
    app = make_app(ActiveRecommender.load(folder), ServeSettings(playground=True, budget_seconds=10.0))
    with TestClient(app, base_url=ADDRESS, headers={"origin": ADDRESS}) as client:
        yield client


@pytest.fixture
def private_client(folder: Path) -> Iterator[TestClient]:
    """Of a service with a token."""
    settings = ServeSettings(playground=True, token=TOKEN)
    with TestClient(make_app(ActiveRecommender.load(folder), settings), base_url=ADDRESS) as client:
        client.headers["origin"] = ADDRESS
        yield client


def sign_in_status(client: TestClient, token: str) -> int:
    return client.post("/playground/sign-in", json={"token": token}).status_code


def answers(client: TestClient) -> tuple[str, str]:
    """What is chosen for a query and why, and what the training data say."""
    chosen = client.post("/playground/decide", json={"query": "What is 2 plus 3?"})
    training = client.get("/playground/training")
    assert (chosen.status_code, training.status_code) == (200, 200)
    return chosen.text, training.text


def test_logs_that_were_overwritten_are_said_and_prompts_still_chosen(
    client: TestClient, folder: Path, other_folder: Path
) -> None:
    shutil.rmtree(folder)
    shutil.copytree(other_folder, folder)
    chosen, training = answers(client)
    assert LOST in chosen
    assert "What the LLM is sent" in chosen
    assert LOST in training
    assert training.count("<tr>") == 1 + 6
    assert "holds no logs" not in training

    assert client.post("/v1/reload").status_code == 200
    chosen, training = answers(client)
    assert LOST not in chosen + training
    assert "Similarity" in chosen
    assert "Clusters of queries" in training


def test_logs_that_were_read_before_stay(client: TestClient, folder: Path) -> None:
    before = answers(client)
    shutil.rmtree(folder)
    assert LOST not in before[0] + before[1]
    assert answers(client)[1] == before[1]


def test_who_has_signed_in_can_sign_out(private_client: TestClient, client: TestClient) -> None:
    assert private_client.post("/playground/sign-out").status_code == 401
    assert sign_in_status(private_client, TOKEN) == 204
    assert "Sign out" in private_client.get("/").text
    assert private_client.post("/playground/sign-out", headers={"origin": "http://elsewhere"}).status_code == 403
    assert private_client.get("/playground/training").status_code == 200
    assert private_client.post("/playground/sign-out").status_code == 204
    assert private_client.get("/playground/training").status_code == 401
    assert "Sign out" not in client.get("/").text


def test_guessing_the_token_is_stopped_and_keeps_nobody_out_who_is_in(private_client: TestClient) -> None:
    assert sign_in_status(private_client, TOKEN) == 204
    assert [sign_in_status(private_client, f"{TOKEN}{n}") for n in range(11)] == [401] * 10 + [429]
    assert sign_in_status(private_client, TOKEN) == 429
    assert private_client.get("/playground/training").status_code == 200
    bearer = {"authorization": f"Bearer {TOKEN}"}
    assert private_client.get("/v1/prompts", headers=bearer).status_code == 200


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("ask", "query"),
        ("ask", "prompt_id"),
        ("ask", "model"),
        ("decide", "query"),
        ("sign-in", "token"),
        ("feedback", "decision_id"),
    ],
)
def test_half_a_surrogate_pair_is_refused(client: TestClient, path: str, field: str) -> None:
    body = {"query": "3+4", "prompt_id": "a", "model": "m", "token": "t", "decision_id": "0" * 32, "reward": 1}
    content = json.dumps(body | {field: "\ud800"})
    answer = client.post(f"/playground/{path}", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == f"body.{field}"
