"""An upstream that fails, and clients that go away."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading

import pytest

from prompt_oirl.serve.settings import Limits

CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENT = b'data: {"choices":[]}\n\n'
CHUNK = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)
BODY = json.dumps({"stream": True, "messages": [{"role": "user", "content": "3+4"}]})
JSON = {"content-type": "application/json"}
QUICK = Limits(upstream_seconds=0.3)


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


async def hang(received, writer, left) -> None:
    await left.wait()


def test_an_upstream_that_is_not_there(gateway) -> None:
    service = gateway(f"http://127.0.0.1:{unused_port()}/v1")
    for found in (service.chat(), service.request("GET", "/v1/models")):
        assert found.status == 502
        assert found.json["error"]["type"] == "upstream_error"
        assert "could not be reached" in found.json["error"]["message"]
    assert service.chat()["x-prompt-oirl-prompt"] == "think"
    assert service.metrics.statuses == {502: 3}


@pytest.mark.parametrize(
    "bytes_sent", [b"", b"HTTP/1.1 ", b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"]
)
def test_an_upstream_that_gives_no_http_answer(bytes_sent: bytes, gateway, upstream) -> None:
    async def script(received, writer, left) -> None:
        writer.write(bytes_sent)

    service = gateway(upstream(script).base_url)
    assert service.chat().status == 502
    assert service.metrics.statuses == {502: 1}


def test_an_upstream_that_does_not_answer_in_time(gateway, upstream) -> None:
    server = upstream(hang)
    service = gateway(server.base_url, limits=QUICK)
    found = service.chat()
    assert (found.status, found.json["error"]["type"]) == (504, "upstream_error")
    assert service.metrics.statuses == {504: 1}
    assert server.left.wait(20)


async def end(received, writer, left) -> None:
    writer.write(CHUNKED + CHUNK)


async def abort(received, writer, left) -> None:
    writer.write(CHUNKED + CHUNK)
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.transport.abort()


async def stall(received, writer, left) -> None:
    writer.write(CHUNKED + CHUNK)
    await left.wait()


async def garble(received, writer, left) -> None:
    writer.write(CHUNKED + CHUNK)
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.write(b"this is no length\r\n")
    await left.wait()


@pytest.mark.parametrize("script", [end, abort, stall, garble])
def test_a_stream_that_breaks_off_is_seen_to_break_off(script, gateway, upstream, caplog) -> None:
    service = gateway(upstream(script).base_url, limits=QUICK)
    connection = service.connect()
    connection.request("POST", "/v1/chat/completions", BODY, JSON)
    response = connection.getresponse()
    assert response.status == 200
    with pytest.raises((http.client.IncompleteRead, ConnectionError)) as raised:
        response.read()
    if isinstance(raised.value, http.client.IncompleteRead):
        assert raised.value.partial == EVENT
    connection.close()
    assert service.metrics.statuses == {200: 1}
    assert "the upstream failed" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_body_shorter_than_announced_is_seen_to_be(gateway, upstream) -> None:
    async def script(received, writer, left) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + EVENT)

    connection = gateway(upstream(script).base_url).connect()
    connection.request("POST", "/v1/chat/completions", BODY, JSON)
    with pytest.raises(http.client.IncompleteRead):
        connection.getresponse().read()
    connection.close()


def test_a_client_that_goes_before_the_answer_ends_the_request(gateway, upstream, caplog) -> None:
    arrived = threading.Event()

    async def script(received, writer, left) -> None:
        arrived.set()
        await left.wait()

    server = upstream(script)
    service = gateway(server.base_url)
    connection = service.connect()
    connection.request("POST", "/v1/chat/completions", BODY, JSON)
    assert arrived.wait(20)
    assert not server.left.is_set()
    connection.close()
    assert server.left.wait(20)
    assert not service.metrics.statuses
    assert not caplog.records


def test_a_client_that_goes_in_mid_stream_ends_the_request(gateway, upstream, caplog) -> None:
    server = upstream(stall)
    connection = gateway(server.base_url).connect()
    connection.request("POST", "/v1/chat/completions", BODY, JSON)
    response = connection.getresponse()
    assert response.read1() == EVENT
    assert not server.left.is_set()
    response.close()
    connection.close()
    assert server.left.wait(20)
    assert not caplog.records


def test_a_client_that_goes_while_it_sends_is_not_forwarded(gateway, upstream) -> None:
    server = upstream(hang)
    service = gateway(server.base_url)
    with socket.create_connection(("127.0.0.1", service.port), 20) as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
    server.script = stall
    connection = service.connect()
    connection.request("POST", "/v1/chat/completions", BODY, JSON)
    connection.getresponse().read1()
    assert len(server.received) == 1
    connection.close()


def test_the_service_answers_on_after_many_that_broke_off(gateway, upstream, whole) -> None:
    server = upstream(end)
    service = gateway(server.base_url, limits=Limits(concurrent_requests=4))
    for _ in range(20):
        connection = service.connect()
        connection.request("POST", "/v1/chat/completions", BODY, JSON)
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            connection.getresponse().read()
        connection.close()
    server.script = whole(b"{}")
    assert service.chat().status == 200


def test_connections_are_used_again_until_they_may_be_closed(gateway, whole) -> None:
    """The upstream closes each connection right after its answer, without saying so before."""
    answered = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_once_each() -> None:
            for _ in range(5):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65_536)
                    connection.sendall(answered)

        thread = threading.Thread(target=answer_once_each)
        thread.start()
        service = gateway(f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
        for _ in range(5):
            assert service.chat().body == b"{}"
            threading.Event().wait(0.05)
        thread.join()


def test_what_a_gateway_has_sent_is_refused(gateway, upstream, whole) -> None:
    """An upstream that leads back to the service would be asked without an end."""
    server = upstream(whole(b"{}"))
    inner = gateway(server.base_url)
    outer = gateway(inner.base_url)
    for found in (outer.chat(), outer.request("GET", "/v1/models")):
        assert (found.status, found.json["error"]["type"]) == (508, "upstream_error")
        assert "set the address of the LLM" in found.json["error"]["message"]
    assert (len(outer.decider.queries), inner.decider.queries, server.received) == (1, [], [])
    assert inner.chat(headers={"x-prompt-oirl-decision": "0" * 32}).status == 200
