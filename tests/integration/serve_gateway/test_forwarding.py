"""What the client sent arrives at the upstream, and what the upstream answered at the client."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from prompt_oirl.serve.settings import Limits

ANSWER = b'{"choices": [{"message": {"content": "7"}}], "x": 1.0}'
HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/event-stream\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


def test_only_the_prompt_is_put_in(gateway, upstream, whole) -> None:
    server = upstream(whole(ANSWER, "Content-Type: application/json"))
    body = (
        b' {"model":"m" ,"temperature":1.0,"seed":123456789012345678901234567890,"seed":1E+2,"messages": [ '
        b'{"role":"user","content":"3\\u002b4","x":1.0} ],"\\u0061":"\\u00e9","stream":false}\n'
    )
    found = gateway(server.base_url).post(body)
    assert (found.status, found.body) == (200, ANSWER)
    [received] = server.received
    assert received.line == "POST /v1/chat/completions HTTP/1.1"
    assert received.body == body.replace(b"3\\u002b4", b"3\\u002b4\\nLet's think step by step.")
    assert received.values("content-length") == [str(len(received.body))]
    assert received.values("host") == [server.base_url.removeprefix("http://").removesuffix("/v1")]


def test_the_decision_is_in_the_headers(gateway, upstream, whole) -> None:
    service = gateway(upstream(whole(ANSWER)).base_url)
    found = service.chat()
    told = {name: value for name, value in found.headers if name.startswith("x-prompt-oirl-")}
    assert len(told.pop("x-prompt-oirl-decision")) == 32
    assert told == {
        "x-prompt-oirl-prompt": "think",
        "x-prompt-oirl-score": "0.75",
        "x-prompt-oirl-propensity": "1.0",
        "x-prompt-oirl-recommender": "0123456789ab",
        "x-prompt-oirl-choice": "recommended",
    }
    assert service.decider.queries == ["3+4"]
    assert service.metrics.statuses == {200: 1}


def test_headers_pass_and_those_of_the_connection_do_not(gateway, upstream, whole) -> None:
    server = upstream(
        whole(ANSWER, "X-Request-Id: r1", "X-A: 1", "X-A: 2", "Set-Cookie: a=b", "Keep-Alive: 5", "Server: vllm")
    )
    sent = {
        "OpenAI-Organization": "org",
        "Cookie": "a=b",
        "X-Forwarded-For": "10.0.0.1",
        "Connection": "x-hop",
        "X-Hop": "1",
    }
    service = gateway(server.base_url)
    found = service.chat(headers=sent)
    [received] = server.received
    names = {name.lower() for name, _ in received.headers}
    assert received.values("openai-organization") == ["org"]
    assert not names & {"cookie", "x-forwarded-for", "x-hop", "user-agent", "accept"}
    assert [value for name, value in found.headers if name == "x-a"] == ["1", "2"]
    assert (found["x-request-id"], found["server"], found["set-cookie"], found["keep-alive"]) == (
        "r1",
        "vllm",
        None,
        None,
    )
    assert len([name for name, _ in found.headers if name == "date"]) == 1
    assert service.chat().status == 200
    assert server.received[1].values("cookie") == []


@pytest.mark.parametrize("accepted", [None, "gzip, br"])
def test_compressed_answers_stay_compressed(accepted: str | None, gateway, upstream, whole) -> None:
    compressed = gzip.compress(ANSWER)
    server = upstream(whole(compressed, "Content-Encoding: gzip", "Content-Type: application/json"))
    headers = {} if accepted is None else {"Accept-Encoding": accepted}
    service = gateway(server.base_url)
    connection = service.connect()
    connection.putrequest("POST", "/v1/chat/completions", skip_accept_encoding=True)
    body = b'{"messages":[]}'
    for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    response = connection.getresponse()
    assert response.read() == compressed
    assert (response.getheader("content-encoding"), response.getheader("content-length")) == (
        "gzip",
        str(len(compressed)),
    )
    assert server.received[0].values("accept-encoding") == ([] if accepted is None else [accepted])
    connection.close()


def test_the_query_of_the_address_passes(gateway, upstream, whole) -> None:
    server = upstream(whole(ANSWER))
    service = gateway(f"{server.base_url}/")
    path = "/v1/chat/completions?api-version=1%2F2&a=%C3%A9&a=+&b"
    service.request("POST", path, b'{"messages":[]}', {"content-type": "application/json"})
    assert server.received[0].line == "POST " + path + " HTTP/1.1"


def test_models_are_the_upstreams(gateway, upstream, whole) -> None:
    models = b'{"object": "list", "data": [ ]}'
    server = upstream(whole(models, "Content-Type: application/json"))
    found = gateway(server.base_url).request("GET", "/v1/models?limit=2", headers={"Authorization": "Bearer sk-client"})
    assert (found.status, found.body, found["content-type"]) == (200, models, "application/json")
    [received] = server.received
    assert (received.line, received.body) == ("GET /v1/models?limit=2 HTTP/1.1", b"")
    assert received.values("authorization") == ["Bearer sk-client"]
    assert received.values("content-length") == received.values("transfer-encoding") == []


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (
            "429 Too Many Requests",
            b'{"error": {"message": "slow down"}}',
            {"retry-after": "7", "x-ratelimit-limit": "1"},
        ),
        ("500 Internal Server Error", b"<html>oops</html>", {"content-type": "text/html"}),
        ("529 Overloaded", b"", {}),
        ("404 Not Found", b'{"detail": "no such model"}', {}),
        ("307 Temporary Redirect", b"", {"location": "http://127.0.0.1:1/elsewhere"}),
        ("401 Unauthorized", b"{}", {"www-authenticate": "Bearer"}),
        ("204 No Content", b"", {}),
    ],
)
def test_the_upstreams_errors_pass(status: str, body: bytes, headers: dict[str, str], gateway, upstream, whole) -> None:
    service = gateway(upstream(whole(body, *(": ".join(each) for each in headers.items()), status=status)).base_url)
    found = service.chat()
    assert (found.status, found.body) == (int(status[:3]), body)
    assert {name: found[name] for name in headers} == headers
    assert found["x-prompt-oirl-prompt"] == "think"
    assert service.metrics.statuses == {int(status[:3]): 1}


def test_a_stream_comes_part_by_part(gateway, upstream) -> None:
    """Each part is sent only when the client has read the one before."""
    may_go_on = [threading.Event() for _ in range(3)]

    async def script(received, writer, left) -> None:
        writer.write(CHUNKED)
        for number, event in enumerate(may_go_on):
            await asyncio.to_thread(event.wait, 20)
            writer.write(chunk(b"data: %d\n\n" % number))
            await writer.drain()
        writer.write(chunk(b""))

    service = gateway(upstream(script).base_url)
    connection = service.connect()
    body = json.dumps({"stream": True, "messages": [{"role": "user", "content": "3+4"}]})
    connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
    response = connection.getresponse()  # before any part of the body
    assert response.getheader("content-type") == "text/event-stream"
    assert response.getheader("x-prompt-oirl-prompt") == "think"
    for number, event in enumerate(may_go_on):
        event.set()
        assert response.read1() == b"data: %d\n\n" % number
    assert response.read() == b""
    connection.close()


@pytest.mark.parametrize("part", [1, 7, 4096])
def test_a_body_in_parts_is_read_whole(part: int, gateway, upstream, whole) -> None:
    server = upstream(whole(ANSWER))
    body = json.dumps(
        {"messages": [{"role": "user", "content": "é" * 50}], "x": "y" * (5 if part < 4096 else 50_000)}
    ).encode()
    parts = (body[start : start + part] for start in range(0, len(body), part))
    connection = gateway(server.base_url).connect()
    headers = {"content-type": "application/json"}
    connection.request("POST", "/v1/chat/completions", parts, headers, encode_chunked=True)
    assert connection.getresponse().read() == ANSWER
    [received] = server.received
    assert received.json["messages"][0]["content"] == "é" * 50 + "\nLet's think step by step."
    assert received.values("transfer-encoding") == []
    connection.close()


def test_a_client_that_asks_before_it_sends(gateway, upstream, whole) -> None:
    server = upstream(whole(ANSWER))
    body = b'{"messages":[]}'
    with socket.create_connection(("127.0.0.1", gateway(server.base_url).port), 20) as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n" % len(body)
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert b"".join(iter(lambda: connection.recv(4096), b"")).endswith(ANSWER)
    assert server.received[0].values("expect") == []


@pytest.mark.parametrize("line", [b"X-A: a\x01b", b"X-A: \xff\xfe", b"X\x00A: b", b"X-A: a\x7fb"])
def test_odd_headers_do_no_harm(line: bytes, gateway, upstream, whole) -> None:
    server = upstream(whole(ANSWER))
    service = gateway(server.base_url)
    with socket.create_connection(("127.0.0.1", service.port), 20) as connection:
        connection.sendall(b"GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + line + b"\r\n\r\n")
        status = int(connection.recv(4096)[9:12])
    assert status in (200, 400)
    assert service.chat().status == 200


def test_large_bodies_pass_in_both_directions(gateway, upstream) -> None:
    async def echo(received, writer, left) -> None:
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % (5 * len(received.body)))
        for _ in range(5):
            writer.write(received.body)
            await writer.drain()

    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 3_000_000}}
    server = upstream(echo)
    found = gateway(server.base_url).chat([{"type": "text", "text": "What is it?"}, image])
    [received] = server.received
    assert received.json["messages"][0]["content"] == [
        {"type": "text", "text": "What is it?\nLet's think step by step."},
        image,
    ]
    assert found.body == 5 * received.body
    assert found["x-prompt-oirl-choice"] == "fallback"


def test_a_client_that_does_not_read_holds_the_upstream_up(gateway, upstream, wait_until) -> None:
    """Or the gateway's memory would fill with what the client has not taken."""
    sent = 0

    async def pour(received, writer, left) -> None:
        nonlocal sent
        writer.write(HEAD + b"Content-Length: 200000000\r\n\r\n")
        for _ in range(2000):
            writer.write(bytes(100_000))
            await writer.drain()
            sent += 100_000

    server = upstream(pour)
    connection = gateway(server.base_url).connect()
    connection.request("GET", "/v1/models")
    wait_until(lambda: sent)
    before = 0
    while sent > before:
        before = sent
        time.sleep(0.5)
    assert sent < 50_000_000
    connection.close()
    assert server.left.wait(20)


def test_many_at_once_each_get_their_own_answer(gateway, upstream) -> None:
    async def echo(received, writer, left) -> None:
        await asyncio.sleep(0.02)
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(received.body), received.body))

    service = gateway(upstream(echo).base_url)
    with ThreadPoolExecutor(40) as pool:
        found = list(pool.map(lambda number: service.chat(f"{number}+4").json, range(400)))
    contents = [each["messages"][0]["content"] for each in found]
    assert contents == [f"{number}+4\nLet's think step by step." for number in range(400)]
    assert service.metrics.statuses == {200: 400}


def test_what_has_no_text_goes_on_untouched(gateway, upstream, whole) -> None:
    server = upstream(whole(ANSWER))
    service = gateway(server.base_url)
    for body in (b" {}", b'{"messages": [{"role":"assistant","content":"a"}]}', b'{"messages":5}'):
        found = service.post(body)
        assert (found.status, found["x-prompt-oirl-choice"]) == (200, "untouched")
        assert found["x-prompt-oirl-reason"] == "no text of a user"
        assert found["x-prompt-oirl-decision"] is None
        assert server.received[-1].body == body


def test_a_decider_with_a_mistake_stops_nobody(gateway, upstream, whole, deciding) -> None:
    server = upstream(whole(ANSWER))
    found = gateway(server.base_url, decider=deciding(fails=True)).chat()
    assert (found.status, found["x-prompt-oirl-choice"], found["x-prompt-oirl-reason"]) == (
        200,
        "untouched",
        "no decision",
    )
    assert server.received[0].json["messages"] == [{"role": "user", "content": "3+4"}]


def test_the_environments_proxies_are_not_used(gateway, upstream, whole, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert gateway(upstream(whole(ANSWER)).base_url).chat().status == 200


def test_a_request_cannot_name_another_upstream(gateway, upstream, whole) -> None:
    server, other = upstream(whole(ANSWER)), upstream(whole(b"other"))
    service = gateway(server.base_url)
    headers = {"Host": other.base_url[7:-3], "X-Forwarded-Host": other.base_url[7:-3], "X-Upstream": other.base_url}
    for path in ("/v1/models", f"/v1/models?upstream={other.base_url}", f"{other.base_url}/models", "/v1/models?@x#y"):
        service.request("GET", path, headers=headers)
    assert server.received
    assert not other.received


def test_requests_that_are_refused(gateway, upstream, whole) -> None:
    server = upstream(whole(ANSWER))
    service = gateway(server.base_url, limits=Limits(messages=2))
    refused = [
        (service.post(b'{"messages": ['), 400, "not JSON"),
        (service.post(b"[]"), 400, "not a JSON object"),
        (service.post(b'{"messages":[1,2,3]}'), 400, "3 messages"),
        (service.post(b"\xff"), 400, "not UTF-8"),
        (service.post(b"[" * 100_000), 400, "too deeply"),
        (service.post(b"{}", headers={"content-type": "text/plain"}), 415, "content-type: application/json"),
        (service.post(b"{}", headers={"content-type": ""}), 415, "content-type: application/json"),
        (service.post(gzip.compress(b"{}"), headers={"content-encoding": "gzip"}), 415, "compressed"),
    ]
    for found, status, message in refused:
        assert found.status == status
        error = found.json["error"]
        assert message in error["message"]
        assert error.keys() == {"message", "type", "param", "code"}
    for method, path in (("GET", "/v1/chat/completions"), ("POST", "/v1/models"), ("PUT", "/v1/chat/completions")):
        assert service.request(method, path).status == 405
    assert not server.received


def test_the_routes_are_documented(gateway, upstream, whole) -> None:
    described = gateway(upstream(whole(ANSWER)).base_url).request("GET", "/openapi.json").json
    chat = described["paths"]["/v1/chat/completions"]["post"]
    assert chat["responses"].keys() >= {"200", "400", "413", "415", "502", "504", "default"}
    assert "x-prompt-oirl-decision" in chat["responses"]["200"]["headers"]
    assert chat["requestBody"]["content"].keys() == {"application/json"}
    assert described["paths"]["/v1/models"]["get"]["responses"].keys() >= {"200", "502", "504", "default"}
