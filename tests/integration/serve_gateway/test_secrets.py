"""The upstream's key and the service's token go where they belong, and are seen nowhere else."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from prompt_oirl.recommender import Recommender
from prompt_oirl.records import Message
from prompt_oirl.serve.gateway.upstream import Upstream
from prompt_oirl.serve.playground import asking
from prompt_oirl.serve.settings import Limits, ServeSettings
from prompt_oirl.testing import Faults, SimulatedLLM, SyntheticWorld

KEY, TOKEN, CLIENTS = "sk-Kx7/planted+key=9_Xv", "token-Qz4/planted+8=rT", "sk-client-Jm2/planted+3"
JSON = {"content-type": "application/json"}
BODY = json.dumps({"model": "simulated-llm", "messages": [{"role": "user", "content": "3+4"}]}).encode()


def forms(secret: str) -> Iterator[bytes]:
    """Yield what a secret may look like."""
    yield from (secret.encode(), quote(secret, safe="").encode(), secret[6:].encode(), secret.encode().hex().encode())
    for start in range(3):
        yield base64.b64encode(bytes(start) + secret.encode())[4:-4]


def check_absent(secret: str, *texts: str | bytes) -> None:
    for text in texts:
        encoded = text if isinstance(text, bytes) else text.encode()
        assert not any(form in encoded for form in forms(secret)), (secret, encoded)


def sent(received) -> str:
    return f"{received.line} {received.headers} {received.body!r}"


@pytest.mark.parametrize(
    ("key", "token", "given", "arrives"),
    [
        (None, None, CLIENTS, [f"Bearer {CLIENTS}"]),
        (None, None, None, []),
        (KEY, None, CLIENTS, [f"Bearer {KEY}"]),
        (KEY, None, None, [f"Bearer {KEY}"]),
        (KEY, TOKEN, TOKEN, [f"Bearer {KEY}"]),
        (None, TOKEN, TOKEN, []),
    ],
)
def test_who_is_told_what(key, token, given, arrives, gateway, upstream, whole) -> None:
    server = upstream(whole(b"{}"))
    service = gateway(server.base_url, upstream_key=key, token=token)
    headers = {} if given is None else {"Authorization": f"Bearer {given}"}
    found = [service.chat(headers=headers), service.request("GET", "/v1/models", headers=headers)]
    for answer, received in zip(found, server.received, strict=True):
        assert received.values("authorization") == arrives
        for secret in (KEY, TOKEN, CLIENTS):
            check_absent(secret, str(answer))
        check_absent(TOKEN, sent(received))
        if key is not None:
            check_absent(CLIENTS, sent(received))


def test_the_token_is_not_passed_on_in_other_places(gateway, upstream, whole) -> None:
    server = upstream(whole(b"{}"))
    service = gateway(server.base_url, token=TOKEN)
    headers = {"X-Api-Key": TOKEN, "Cookie": f"token={TOKEN}", "X-A": f"a {TOKEN} b", "Proxy-Authorization": TOKEN}
    service.request("GET", f"/v1/models?token={TOKEN}", headers=headers)
    service.request("GET", f"/v1/models?a=1&token={quote(TOKEN, safe='')}", headers=headers)
    assert len(server.received) == 2
    check_absent(TOKEN, *(sent(received) for received in server.received))


def test_a_key_that_the_upstream_refuses_and_repeats_is_not_shown(gateway, upstream, whole, caplog) -> None:
    refused = whole(f'{{"error": "no such key: {KEY}"}}'.encode(), f"X-Key: {KEY}", status="401 Unauthorized")
    service = gateway(upstream(refused).base_url, upstream_key=KEY)
    found = service.chat()
    assert found.status == 401
    assert "has to set another" in found.json["error"]["message"]
    check_absent(KEY, str(found), caplog.text)


@pytest.mark.parametrize("status", ["403 Forbidden", "429 Too Many Requests", "529 Overloaded", "302 Found"])
@pytest.mark.parametrize("way", ["plain", "escaped", "gzip", "brotli", "too long"])
def test_an_error_that_repeats_the_key_is_not_shown(status: str, way: str, gateway, upstream, whole, caplog) -> None:
    body = json.dumps({"error": f"no such key: {KEY}"}).encode()
    body = {
        "escaped": body.replace(b"/", rb"\/"),
        "gzip": gzip.compress(body),
        "too long": b" " * 300_000 + body,
    }.get(way, body)
    encoding = {"gzip": ("Content-Encoding: gzip",), "brotli": ("Content-Encoding: br",)}.get(way, ())
    service = gateway(upstream(whole(body, f"X-Key: {KEY}", *encoding, status=status)).base_url, upstream_key=KEY)
    found = service.chat()
    assert found.status == int(status[:3])
    assert "withheld" in found.json["error"]["message"]
    assert found["x-prompt-oirl-decision"]
    check_absent(KEY, str(found), caplog.text)


@pytest.mark.parametrize("is_compressed", [False, True])
def test_other_errors_pass_as_they_are(is_compressed: bool, gateway, upstream, whole) -> None:
    body = b'{"error": {"message": "no such model"}}'
    body = gzip.compress(body) if is_compressed else body
    encoding = ("Content-Encoding: gzip",) if is_compressed else ()
    refused = whole(body, f"X-Key: {KEY}", "Retry-After: 7", *encoding, status="404 Not Found")
    found = gateway(upstream(refused).base_url, upstream_key=KEY).chat()
    assert (found.status, found.body, found["retry-after"], found["x-key"]) == (404, body, "7", None)


def test_an_error_that_breaks_off_is_not_shown(gateway, upstream) -> None:
    async def answer(received, writer, left) -> None:
        writer.write(b"HTTP/1.1 500 Oh\r\nContent-Length: 9\r\n\r\n{")

    found = gateway(upstream(answer).base_url, upstream_key=KEY).chat()
    assert (found.status, "withheld" in found.json["error"]["message"]) == (500, True)


@pytest.mark.parametrize("status", ["200 OK", "401 Unauthorized", "403 Forbidden"])
async def test_the_playground_does_not_show_the_key(status: str, upstream, whole) -> None:
    body = json.dumps({"error": {"message": KEY}, "choices": [{"message": {"content": KEY}}], "data": [{"id": KEY}]})
    address = upstream(whole(body.encode(), status=status)).base_url
    async with Upstream(ServeSettings(upstream=address, upstream_key=KEY)) as opened:
        answer, names = await asking.ask(opened, [Message("user", "3+4")], model="m"), await asking.models(opened)
    assert answer.is_error
    assert ("has to set another" if status[0:3] == "401" else "repeats the key") in answer.text
    check_absent(KEY, answer.text, *names)


@pytest.mark.parametrize("way", ["unreachable", "no answer", "late", "cut off", "no json"])
def test_failures_say_nothing_of_them(way: str, gateway, upstream, caplog) -> None:
    async def answer(received, writer, left) -> None:
        everything = f"{received.headers}".encode()
        if way == "no answer":
            writer.write(b"HTTP/1.1 abc " + everything + b"\r\n\r\n")
        elif way == "cut off":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")
        elif way == "late":
            await left.wait()

    caplog.set_level("DEBUG")
    address = "http://127.0.0.1:1/v1" if way == "unreachable" else upstream(answer).base_url
    service = gateway(address, upstream_key=KEY, limits=Limits(upstream_seconds=0.3))
    headers = {"Authorization": f"Bearer {CLIENTS}"}
    try:
        found = str(service.post(b"{" if way == "no json" else BODY, headers=headers))
    except http.client.IncompleteRead as error:
        found = str(error.partial)
    for secret in (KEY, CLIENTS):
        check_absent(secret, found, caplog.text)
    assert caplog.records


def ask(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    """Return the status, and all that came back."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, {**JSON, **headers})
        answer = connection.getresponse()
        return answer.status, str(answer.getheaders()).encode() + answer.read()
    finally:
        connection.close()


def test_the_whole_service_shows_neither(spawn, tmp_path: Path) -> None:
    folder, store = tmp_path / "recommender", tmp_path / "decisions.sqlite"
    Recommender().fit(SyntheticWorld(n_queries=100, seed=1).demonstrations).save(folder)
    environment = {"PROMPT_OIRL_SERVE_TOKEN": TOKEN, "PROMPT_OIRL_UPSTREAM_KEY": KEY, "PYTHONASYNCIODEBUG": "1"}
    token = {"Authorization": f"Bearer {TOKEN}"}
    asked = []
    with SimulatedLLM([lambda messages: messages[-1].content], key=KEY) as llm:
        options = ("--port", 0, "--store", store, "--log-queries", "--upstream-timeout", 0.5)
        process: subprocess.Popen[str] = spawn("serve", folder, "--upstream", llm.base_url, *options, **environment)
        line = process.stdout.readline()
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)", line)[1])
        chat, stream = "/v1/chat/completions", BODY.replace(b"{", b'{"stream":true,', 1)
        asked += [ask(port, "POST", chat, body, **token) for body in (BODY, stream, b"{", b'{"messages":[]}')]
        asked += [ask(port, "POST", chat, BODY, Authorization="Bearer wrong")]
        asked += [ask(port, "GET", "/v1/models", **token), ask(port, "GET", f"/v1/models?key={TOKEN}", **token)]
        for faults in (Faults(hang=1), Faults(rate_limited=1), Faults(html=1), Faults(server_error=1)):
            llm.faults = faults
            asked += [ask(port, "POST", chat, BODY, **token)]
        llm._endpoint._key = "another"  # refused from now on, with a body that repeats the key
        asked += [ask(port, "POST", chat, BODY, **token)]
    asked += [ask(port, "POST", chat, BODY, **token)]
    asked += [ask(port, "GET", path, **token) for path in ("/metrics", "/openapi.json", "/readyz", "/v1/prompts")]
    assert [status for status, _ in asked[:14]] == [
        200,
        200,
        400,
        400,
        401,
        200,
        200,
        504,
        429,
        200,
        500,
        401,
        502,
        200,
    ]
    assert b'prompt_oirl_upstream_responses_total{status="502"} 1.0' in asked[13][1]
    process.terminate()
    out, err = process.communicate(timeout=30)
    assert "the upstream failed" in err
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for secret in (TOKEN, KEY):
        check_absent(secret, line, out, err, *(said for _, said in asked), *kept)
