from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import numpy as np
import pytest

from prompt_oirl.errors import DataError, MissingDependencyError, ParameterError
from prompt_oirl.features.openai_embedder import OpenAIEmbedder
from prompt_oirl.features.protocol import Embedder

KEY = "sk-not-a-real-key"


class FakeError(Exception):
    """Stands for `openai.OpenAIError`."""


def fake_openai(monkeypatch: pytest.MonkeyPatch, create) -> None:
    client = SimpleNamespace(embeddings=SimpleNamespace(create=create))
    module = SimpleNamespace(OpenAIError=FakeError, OpenAI=lambda **_: client)
    monkeypatch.setitem(sys.modules, "openai", module)


def reply(texts: list[str], n_dimensions: int = 2) -> SimpleNamespace:
    items = [SimpleNamespace(index=i, embedding=[float(len(text))] * n_dimensions) for i, text in enumerate(texts)]
    return SimpleNamespace(data=items[::-1])


def test_texts_are_sent_in_batches_and_come_back_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[list[str]] = []

    def create(model, input, encoding_format):
        batches.append(input)
        return reply(input)

    fake_openai(monkeypatch, create)
    embedder = OpenAIEmbedder("small", n_dimensions=2, batch_size=2)
    assert isinstance(embedder, Embedder)
    found = embedder.embed(["a", "bb", "ccc"])
    assert found.tolist() == [[1, 1], [2, 2], [3, 3]]
    assert found.dtype == np.float32
    assert batches == [["a", "bb"], ["ccc"]]
    assert embedder.embed([]).shape == (0, 2)


def test_wrong_dimensions_and_wrong_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_openai(monkeypatch, lambda model, input, encoding_format: reply(input))
    with pytest.raises(DataError, match=r"length \[2\], expected 1536"):
        OpenAIEmbedder(n_dimensions=1536).embed(["a"])
    fake_openai(monkeypatch, lambda model, input, encoding_format: reply(input[:1]))
    with pytest.raises(DataError, match="1 vectors for 2 texts"):
        OpenAIEmbedder().embed(["a", "b"])


def test_errors_do_not_repeat_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def create(**_):
        raise FakeError(f"Incorrect API key provided: {KEY}")

    fake_openai(monkeypatch, create)
    with pytest.raises(DataError, match="FakeError") as caught:
        OpenAIEmbedder().embed(["a"])
    assert KEY not in str(caught.value)
    assert caught.value.__suppress_context__


def test_name_holds_model_and_server() -> None:
    assert OpenAIEmbedder("m").name == "openai:m"
    assert OpenAIEmbedder("m", "http://127.0.0.1:1/v1").name == "openai:m@http://127.0.0.1:1/v1"
    with pytest.raises(ParameterError, match="batch_size=0"):
        OpenAIEmbedder(batch_size=0)


def test_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingDependencyError, match=r"prompt-oirl\[openai\]"):
        OpenAIEmbedder().embed(["a"])


@pytest.fixture
def server() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            known = self.headers["Authorization"] == f"Bearer {KEY}"
            vectors = [
                {"object": "embedding", "index": i, "embedding": [len(text), 0.25]}
                for i, text in enumerate(asked["input"])
            ]
            body = {"object": "list", "model": asked["model"], "data": vectors, "usage": {}}
            if not known:
                body = {"error": {"message": f"bad key {self.headers['Authorization']}"}}
            payload = json.dumps(body).encode()
            self.send_response(200 if known else 401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}/v1"
        http.shutdown()
        thread.join()


def test_real_client_against_a_server_on_loopback(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openai", reason="the extra `openai` is not installed")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert OpenAIEmbedder("m", server, n_dimensions=2).embed(["a", "bb"]).tolist() == [[1, 0.25], [2, 0.25]]
    monkeypatch.setenv("OPENAI_API_KEY", "sk-another")
    with pytest.raises(DataError, match="HTTP status 401") as caught:
        OpenAIEmbedder("m", server, max_retries=0).embed(["a"])
    assert "sk-another" not in str(caught.value)
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ParameterError, match="set OPENAI_API_KEY"):
        OpenAIEmbedder("m", server).embed(["a"])
