"""How the service is, its prompts, reloading, and what it says of itself."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from prompt_oirl.serve.active import ActiveRecommender
from prompt_oirl.serve.protocols import LogState

TOKEN = "planted-token-1c9e"
BEARER = {"authorization": f"Bearer {TOKEN}"}


def test_alive_and_ready(client: TestClient, active, log) -> None:
    log.n_waiting, log.n_dropped = 4, 2
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {
        "status": "ready",
        "recommender": active.version,
        "decisions_waiting": 4,
        "decisions_dropped": 2,
        "decision_log": "writing",
        "decision_log_failing_since": None,
    }


def test_a_log_that_cannot_write_is_said_and_does_not_make_the_service_unready(client: TestClient, log) -> None:
    log.state = LogState("failing", 1_800_000_000.5)
    answer = client.get("/readyz")
    shown = answer.json()
    assert (answer.status_code, shown["status"]) == (200, "ready")
    assert (shown["decision_log"], shown["decision_log_failing_since"]) == ("failing", 1_800_000_000.5)


def test_without_a_log_nothing_is_said_of_it(make_client: Callable[..., TestClient]) -> None:
    shown = make_client(log=None).get("/readyz").json()
    assert [shown[name] for name in shown if name.startswith("decision")] == [None] * 4


def test_prompts(client: TestClient, active) -> None:
    found = client.get("/v1/prompts").json()
    assert found["recommender"] == active.version
    assert found["best_single_prompt"] == active.prepared.prompts[active.prepared.best_single].id
    assert [(each["id"], each["template"]) for each in found["prompts"]] == [
        (prompt.id, prompt.template) for prompt in active.prepared.prompts
    ]


def test_metrics(client: TestClient) -> None:
    client.post("/v1/recommend", json={"query": "What is 2 plus 3?"})
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert 'prompt_oirl_decisions_total{choice="recommended",source="recommend"} 1.0' in answer.text


def test_reload(
    make_client: Callable[..., TestClient], recommender_folder: Path, other_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(recommender_folder, tmp_path / "recommender"))
    client = make_client(active=ActiveRecommender.load(folder))
    first = client.get("/readyz").json()["recommender"]
    assert client.post("/v1/reload").json() == {"recommender": first}
    shutil.rmtree(folder)
    refused = client.post("/v1/reload")
    assert (refused.status_code, refused.json()["error"]["type"]) == (409, "conflict_error")
    assert client.post("/v1/recommend", json={"query": "x"}).json()["recommender"] == first
    shutil.copytree(other_folder, folder)
    second = client.post("/v1/reload").json()["recommender"]
    assert first != second == client.post("/v1/recommend", json={"query": "x"}).json()["recommender"]
    assert f'version="{second}"' in client.get("/metrics").text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/docs", 404),
        ("GET", "/redoc", 404),
        ("GET", "/v1/prompts/", 404),
        ("GET", "/v1/chat/completions", 404),
        ("GET", "/v1/recommend", 405),
        ("DELETE", "/v1/prompts", 405),
        ("POST", "/healthz", 405),
    ],
)
def test_other_paths_and_methods_have_errors_of_the_same_shape(
    client: TestClient, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert (status == 405) == ("allow" in answer.headers)


def test_a_mistake_inside_is_500_without_details(make_client, log, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("details that nobody is to see")

    monkeypatch.setattr(log, "record", fail)
    answer = make_client(raises=False).post("/v1/recommend", json={"query": "x"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (500, "server_error")
    assert "details" not in answer.text


def test_with_a_token_everything_but_the_probes_needs_it(make_client: Callable[..., TestClient]) -> None:
    client = make_client(token=TOKEN)
    every = client.get("/openapi.json", headers=BEARER).json()["paths"]
    asked = [(method, path) for path, operations in every.items() for method in operations]
    asked += [("get", "/openapi.json"), ("get", "/nothing"), ("get", "/"), ("post", "/playground/decide")]
    for method, path in asked:
        without = client.request(method, path).status_code
        assert without == (200 if path in ("/healthz", "/readyz") else 401), path
        assert client.request(method, path, headers=BEARER).status_code != 401, path


def test_the_token_is_shown_nowhere(make_client, active, log, caplog) -> None:
    client = make_client(token=TOKEN, upstream="http://127.0.0.1:9/v1", upstream_key="planted-key-51d0")
    seen = [
        client.request(method, path, headers=headers, content=content).text
        for method, path in [("GET", "/openapi.json"), ("GET", "/metrics"), ("GET", "/v1/prompts"), ("GET", "/readyz"),
                             ("POST", "/v1/recommend"), ("POST", "/v1/feedback"), ("POST", "/v1/reload"), ("GET", "/x")]
        for headers in (BEARER, {"authorization": f"Bearer {TOKEN}x"})
        for content in (b"{", b'{"query": "x"}')
    ]  # fmt: skip
    app = client.app
    seen += [repr(app), repr(app.state.settings), repr(vars(app.state)), repr(app.user_middleware), caplog.text]
    seen += [repr(app.routes), repr(app.state.decider), repr(log.decisions)]
    assert not [text for text in seen if "planted" in text]


def test_openapi_documents_every_status_and_error(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    error = {"$ref": "#/components/schemas/ErrorAnswer"}
    for path, operations in described["paths"].items():
        for operation in operations.values():
            assert operation["summary"]
            assert operation["description"]
            for status, answer in operation["responses"].items():
                assert answer["description"]
                if status != "200":
                    assert answer["content"]["application/json"]["schema"] == error, path
            expected = set() if path in ("/healthz", "/readyz") else {"401", "403", "503"}
            assert expected <= set(operation["responses"])
            assert operation["security"] == ([] if not expected else [{}, {"token": []}])
    assert set(described["paths"]) == {
        "/v1/recommend", "/v1/prompts", "/v1/feedback", "/v1/reload", "/healthz", "/readyz", "/metrics",
    }  # fmt: skip
    assert "HTTPValidationError" not in json.dumps(described)


def test_openapi_asks_for_the_token_where_there_is_one(make_client) -> None:
    described = make_client(token=TOKEN).get("/openapi.json", headers=BEARER).json()
    assert described["paths"]["/v1/recommend"]["post"]["security"] == [{"token": []}]
    assert described["paths"]["/healthz"]["get"]["security"] == []


def test_the_gateway_and_the_playground_are_there_only_if_the_settings_say_so(client: TestClient, make_client) -> None:
    assert client.app.state.upstream is None  # type: ignore[attr-defined]
    forwarding = make_client(upstream="http://127.0.0.1:9/v1")
    assert forwarding.app.state.upstream is not None  # type: ignore[attr-defined]
    assert "/v1/chat/completions" in forwarding.get("/openapi.json").json()["paths"]
    assert client.get("/").status_code == 404
