from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import httpx2
import openai
import pytest

from prompt_oirl.errors import ParameterError
from prompt_oirl.records import Message
from prompt_oirl.testing import (
    FAULT_TEXT,
    Burst,
    CallableAnswerer,
    ChatRequest,
    Faults,
    ReplayAnswerer,
    SimulatedLLM,
    SyntheticWorld,
    WorldAnswerer,
    content_hash,
)
from prompt_oirl.testing.llm_counts import NO_STATUS

MESSAGES: Any = [{"role": "user", "content": "What is 1 + 1?"}]
HASH = content_hash([Message("user", "What is 1 + 1?")])


def say_two(_: Sequence[Message]) -> str:
    return "That is 2."


@pytest.fixture
def llm() -> Iterator[SimulatedLLM]:
    with SimulatedLLM([say_two]) as server:
        yield server


def client_of(llm: SimulatedLLM, **options: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=llm.base_url, **{"api_key": "any", "max_retries": 0, "timeout": 10.0} | options)


def ask(llm: SimulatedLLM, **options: Any) -> Any:
    with client_of(llm, **options) as client:
        return client.chat.completions.create(model=llm.model, messages=MESSAGES)


def post(llm: SimulatedLLM, body: object = None, **fields: Any) -> httpx2.Response:
    content = (
        body if isinstance(body, bytes) else json.dumps({"model": llm.model, "messages": MESSAGES} | fields).encode()
    )
    return httpx2.post(f"{llm.base_url}/chat/completions", content=content)


def test_a_completion_has_openais_shape(llm: SimulatedLLM) -> None:
    completion = ask(llm)
    assert completion.object == "chat.completion"
    assert completion.id.startswith("chatcmpl-")
    assert abs(completion.created - time.time()) < 60
    assert completion.model == llm.model
    [choice] = completion.choices
    assert (choice.index, choice.finish_reason, choice.message.role) == (0, "stop", "assistant")
    assert choice.message.content == "That is 2."
    assert completion.usage.model_dump(exclude_none=True) == {
        "prompt_tokens": 6,
        "completion_tokens": 4,
        "total_tokens": 10,
    }


def test_a_stream_has_openais_shape(llm: SimulatedLLM) -> None:
    with client_of(llm) as client:
        options: Any = {"include_usage": True}
        chunks = list(
            client.chat.completions.create(model=llm.model, messages=MESSAGES, stream=True, stream_options=options)
        )
    assert {(chunk.object, chunk.model, chunk.id) for chunk in chunks} == {
        ("chat.completion.chunk", llm.model, chunks[0].id)
    }
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == "That is 2."
    assert len(chunks) > 4
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 10
    assert llm.counts.answered == {HASH: 1}


def test_models_and_health_are_served(llm: SimulatedLLM) -> None:
    with client_of(llm) as client:
        assert [model.id for model in client.models.list()] == [llm.model]
    assert httpx2.get(f"{llm.base_url.removesuffix('/v1')}/health").json() == {"status": "ok"}
    assert llm.requests == 0


def test_a_seed_a_limit_and_stops_are_heeded(llm: SimulatedLLM) -> None:
    choice = post(llm, max_tokens=2, seed=5).json()["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("That is", "length")
    assert llm.counts.received == {content_hash([Message("user", "What is 1 + 1?")], 5): 1}


def test_an_unknown_model_is_404(llm: SimulatedLLM) -> None:
    with client_of(llm) as client, pytest.raises(openai.NotFoundError, match="'gpt-0' does not exist") as caught:
        client.chat.completions.create(model="gpt-0", messages=MESSAGES)
    assert caught.value.code == "model_not_found"
    assert llm.by_status == {404: 1}


@pytest.mark.parametrize(
    "body", [b"{", b"[]", json.dumps({"model": "simulated-llm", "messages": MESSAGES, "n": 2}).encode()]
)
def test_a_malformed_request_is_400(llm: SimulatedLLM, body: bytes) -> None:
    response = post(llm, body)
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"
    assert (llm.requests, llm.by_status, llm.counts.received) == (1, {400: 1}, {})


def test_an_unknown_address_has_the_errors_shape(llm: SimulatedLLM) -> None:
    for response in (httpx2.get(f"{llm.base_url}/nothing"), httpx2.get(f"{llm.base_url}/chat/completions")):
        assert response.status_code in (404, 405)
        assert "Invalid URL" in response.json()["error"]["message"]


def test_another_key_is_401() -> None:
    with SimulatedLLM([say_two], key="right") as llm:
        assert ask(llm, api_key="right").choices
        with pytest.raises(openai.AuthenticationError, match="wrong") as caught:
            ask(llm, api_key="wrong")
        assert caught.value.code == "invalid_api_key"
        with client_of(llm, api_key="wrong") as client, pytest.raises(openai.AuthenticationError):
            client.models.list()
        assert post(llm).status_code == 401
        assert "right" not in repr(llm)
        assert llm.by_status == {200: 1, 401: 2}


@pytest.mark.parametrize(
    ("kind", "error", "status"),
    [
        ("rate_limited", openai.RateLimitError, 429),
        ("server_error", openai.InternalServerError, 500),
        ("unavailable", openai.InternalServerError, 503),
        ("hang", openai.APITimeoutError, NO_STATUS),
        ("truncated", openai.APIConnectionError, 200),
        ("not_json", json.JSONDecodeError, 200),
    ],
)
def test_a_fault_is_an_error_to_the_client(kind: str, error: type[Exception], status: int) -> None:
    with SimulatedLLM([say_two], faults=Faults(**{kind: 1.0})) as llm:  # type: ignore[arg-type]
        with pytest.raises(error):
            ask(llm, timeout=0.3 if kind == "hang" else 10)
        llm.faults = Faults()
        assert ask(llm).choices[0].message.content == "That is 2."
        assert llm.by_status == Counter([status, 200])
        assert (llm.requests, llm.counts.received, llm.counts.answered) == (2, {HASH: 2}, {HASH: 1})


def test_other_bodies_are_what_they_say() -> None:
    with SimulatedLLM([say_two], faults=Faults(no_choices=1)) as llm:
        assert ask(llm).choices == []
        llm.faults = Faults(no_content=1)
        [choice] = ask(llm).choices
        assert (choice.message.content, choice.finish_reason) == (None, "content_filter")
        llm.faults = Faults(other_json=1)
        assert ask(llm).choices is None
        llm.faults = Faults(html=1)
        response = post(llm)
        assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert FAULT_TEXT in response.text
        assert llm.counts.answered == {}


def test_retry_after_is_sent_and_obeyed() -> None:
    with SimulatedLLM([say_two], faults=Faults(rate_limited=1, retry_after=0.5)) as llm:
        assert post(llm).headers["retry-after"] == "0.5"
        llm.faults = Faults(burst=Burst(4, 2), retry_after=0.25)  # the requests 2 and 3 of each four
        post(llm)
        started = time.monotonic()
        assert ask(llm, max_retries=2).choices
        assert time.monotonic() - started >= 0.5
        assert llm.by_status == {429: 3, 200: 2}


async def test_too_many_at_once_are_refused() -> None:
    with SimulatedLLM([say_two], faults=Faults(latency=0.3, max_in_flight=5)) as llm:
        async with httpx2.AsyncClient() as client:
            body = {"model": llm.model, "messages": MESSAGES}
            url = f"{llm.base_url}/chat/completions"
            responses = await asyncio.gather(*(client.post(url, json=body) for _ in range(20)))
    assert sorted(response.status_code for response in responses) == [200] * 5 + [429] * 15
    assert (llm.most_in_flight, llm.counts.in_flight, llm.requests) == (5, 0, 20)


def test_a_client_that_gives_up_uses_up_no_answer() -> None:
    answerer = ReplayAnswerer({"What is 1 + 1?": ["first", "second"]})
    with SimulatedLLM([answerer], faults=Faults(latency=5)) as llm:
        with pytest.raises(openai.APITimeoutError):
            ask(llm, timeout=0.2)
        llm.faults = Faults(rate_limited=1)
        post(llm)
        llm.faults = Faults(truncated=1)
        with pytest.raises(httpx2.RemoteProtocolError):
            post(llm)
        llm.faults = Faults()
        assert [ask(llm).choices[0].message.content for _ in range(2)] == ["first", "second"]
        assert llm.by_status == {NO_STATUS: 1, 429: 1, 200: 3}


def test_faults_do_not_change_the_answers() -> None:
    world = SyntheticWorld(n_queries=15, seed=2)
    messages = [prompt.render(query) for query in world.queries for prompt in world.prompts]

    def answers(faults: Faults) -> list[str]:
        with SimulatedLLM([WorldAnswerer(world)], faults=faults) as llm, httpx2.Client() as client:
            return [answer(client, llm, message) for message in messages]

    def answer(client: httpx2.Client, llm: SimulatedLLM, message: str) -> str:
        body = {"model": llm.model, "messages": [{"role": "user", "content": message}]}
        while True:
            try:
                response = client.post(f"{llm.base_url}/chat/completions", json=body)
            except httpx2.RemoteProtocolError:
                continue
            if response.status_code == 200:
                return response.json()["choices"][0]["message"]["content"]

    assert answers(Faults(rate_limited=0.2, server_error=0.1, truncated=0.1)) == answers(Faults())


def test_answerers_are_asked_in_order() -> None:
    def judge(messages: Sequence[Message]) -> str | None:
        return "Yes." if messages[-1].content.startswith("Is it right") else None

    with SimulatedLLM([judge, ReplayAnswerer({"What is 1 + 1?": ["2"]})]) as llm:
        assert ask(llm).choices[0].message.content == "2"
        judged = post(llm, messages=[{"role": "user", "content": "Is it right?"}])
        assert judged.json()["choices"][0]["message"]["content"] == "Yes."
        unknown = post(llm, messages=[{"role": "user", "content": "Who?"}])
        assert unknown.status_code == 400
        assert "no answer is known to 'Who?'" in unknown.json()["error"]["message"]
        assert llm.by_status == {200: 2, 400: 1}


def test_an_answerer_that_fails_is_named() -> None:
    class Broken:
        def answer(self, request: ChatRequest, occurrence: int) -> str:
            raise KeyError("missing")

    with SimulatedLLM([Broken()]) as llm:
        with pytest.raises(openai.InternalServerError, match=r"the answerer failed: KeyError\('missing'\)"):
            ask(llm)
        assert llm.by_status == {500: 1}


def test_it_stops_at_once_with_requests_under_way() -> None:
    failures: list[Exception] = []

    def ask_in_vain() -> None:
        try:
            ask(llm, timeout=30)
        except openai.APIError as error:
            failures.append(error)

    with SimulatedLLM([say_two], faults=Faults(hang=0.5, latency=60)) as llm:
        threads = [threading.Thread(target=ask_in_vain) for _ in range(8)]
        for thread in threads:
            thread.start()
        while llm.counts.in_flight < 8:
            time.sleep(0.01)
        started = time.monotonic()
    assert time.monotonic() - started < 2
    for thread in threads:
        thread.join(timeout=5)
    assert [type(failure) for failure in failures] == [openai.APIConnectionError] * 8
    assert (llm.by_status, llm.counts.in_flight) == ({NO_STATUS: 8}, 0)


def test_it_can_be_opened_again_at_the_same_address() -> None:
    llm = SimulatedLLM([say_two])
    with llm:
        address = llm.base_url
        ask(llm)
    with pytest.raises(openai.APIConnectionError):
        ask(llm)
    with llm:
        assert llm.base_url == address
        ask(llm)
    assert llm.requests == 2


def test_a_port_that_is_none_is_named() -> None:
    with pytest.raises(ParameterError, match="port=99999"), SimulatedLLM([say_two], port=99999):
        pass


def test_a_taken_port_and_no_answerer_are_named(llm: SimulatedLLM) -> None:
    with pytest.raises(ParameterError, match=f"port={llm.port}"), SimulatedLLM([say_two], port=llm.port):
        pass
    with pytest.raises(ParameterError, match="answerers is empty"):
        SimulatedLLM([])
    assert CallableAnswerer(say_two).answer(ChatRequest("m", ()), 0) == "That is 2."


def test_importing_it_imports_no_server() -> None:
    code = "import sys, prompt_oirl.testing; print({'starlette', 'uvicorn', 'openai'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
