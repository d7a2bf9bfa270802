from __future__ import annotations

import asyncio
import copy
import pickle
import socket
import time

import pytest

from prompt_oirl.collect.client.concurrency import AdaptiveConcurrency
from prompt_oirl.collect.client.openai_client import OpenAIClient
from prompt_oirl.collect.client.protocol import LLMClient
from prompt_oirl.collect.client.rates import RateLimits
from prompt_oirl.errors import LLMError, ParameterError
from prompt_oirl.records import Message
from prompt_oirl.runs.configuration import SamplingParameters
from prompt_oirl.runs.outcomes import Completion, Failure, Outcome

MESSAGES = (Message("system", "Be brief."), Message("user", "What is 6 × 7?"))
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (
        "OPENAI_API_KEY",
        "OPENAI_ORG_ID",
        "OPENAI_CUSTOM_HEADERS",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
        "all_proxy",
    ):
        monkeypatch.delenv(variable, raising=False)


async def ask(raw_server, parameters: SamplingParameters | None = None, **arguments) -> Outcome:
    client = OpenAIClient("m", raw_server.base_url, **{"first_wait": 0.001, "timeout": 5.0} | arguments)
    try:
        return await client.complete(MESSAGES, parameters or SamplingParameters())
    finally:
        await client.close()


async def check(raw_server) -> str | None:
    client = OpenAIClient("m", raw_server.base_url)
    try:
        await client.check()
    finally:
        await client.close()
    return client.warning


async def test_a_completion_holds_what_the_server_said(raw_server) -> None:
    usage = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
    raw_server.replies_with(raw_server.completion("42", usage=usage, error=None))
    outcome = await ask(raw_server)
    assert isinstance(outcome, Completion)
    assert outcome.latency > 0
    assert outcome == Completion("42", "m-2024", "stop", 12, 3, outcome.latency, 1)


async def test_only_what_is_set_is_sent(raw_server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    raw_server.replies_with(raw_server.completion())
    await ask(raw_server)
    request = raw_server.requests[0]
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.headers["authorization"] == "Bearer none"
    assert request.headers["content-type"] == "application/json"
    assert "openai-organization" not in request.headers
    assert request.json == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 6 × 7?"}],
    }


async def test_all_parameters_are_sent(raw_server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_KEY", "another")
    raw_server.replies_with(raw_server.completion())
    parameters = SamplingParameters(0.0, 0.9, 100, 7, ("\n\n",), '{"top_k": 20}')
    await ask(raw_server, parameters, api_key_variable="OTHER_KEY")
    sent = raw_server.requests[0].json
    del sent["messages"], sent["model"]
    assert sent == {"temperature": 0.0, "top_p": 0.9, "max_tokens": 100, "seed": 7, "stop": ["\n\n"], "top_k": 20}
    assert raw_server.requests[0].headers["authorization"] == "Bearer another"


@pytest.mark.parametrize(
    "content",
    [
        HEAD + b"content-length: 9\r\n\r\n<html>no ",
        HEAD + b"content-length: 5\r\n\r\n[1,2]",
        HEAD + b"content-length: 4\r\n\r\nnull",
        HEAD + b"content-length: 0\r\n\r\n",
        HEAD + b"content-length: 2\r\n\r\n{}",
        HEAD + b'content-length: 14\r\n\r\n{"choices":[]}',
        HEAD + b'content-length: 13\r\n\r\n{"error":"x"}',
        HEAD + b"content-length: 4\r\n\r\n\xff\xfe\xfd\xfc",
        HEAD + b"content-encoding: gzip\r\ncontent-length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>",
        b'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 3\r\n\r\n"a"',
    ],
)
async def test_what_is_no_completion_is_malformed_and_asked_for_again(raw_server, content: bytes) -> None:
    raw_server.replies_with(raw_server.raw(content), raw_server.completion())
    outcome = await ask(raw_server)
    assert isinstance(outcome, Completion)
    assert outcome.attempts == 2

    raw_server.replies_with(raw_server.raw(content))
    outcome = await ask(raw_server, max_attempts=3)
    assert isinstance(outcome, Failure)
    assert (outcome.kind, outcome.attempts, outcome.status) == ("malformed", 3, None)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (HEAD + b'content-length: 99\r\n\r\n{"choices": [{', "malformed"),
        (HEAD + b'transfer-encoding: chunked\r\n\r\n5\r\n{"cho', "malformed"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "malformed"),
        (b"", "connection"),
    ],
)
async def test_a_connection_that_breaks(raw_server, content: bytes, kind: str) -> None:
    broken = raw_server.raw(content, then="close")
    raw_server.replies_with(broken)
    outcome = await ask(raw_server, max_attempts=2)
    assert isinstance(outcome, Failure)
    assert (outcome.kind, outcome.attempts) == (kind, 2)
    raw_server.replies_with(broken, raw_server.completion())
    assert isinstance(await ask(raw_server), Completion)


@pytest.mark.parametrize("content", [b"", HEAD + b"content-length: 99\r\n\r\n{"])
async def test_a_server_that_hangs_before_or_within_its_reply(raw_server, content: bytes) -> None:
    hanging = raw_server.raw(content, then="hang")
    raw_server.replies_with(hanging)
    outcome = await ask(raw_server, max_attempts=2, timeout=0.1)
    assert isinstance(outcome, Failure)
    assert (outcome.kind, outcome.attempts) == ("timeout", 2)
    assert "0.1 s" in outcome.message
    raw_server.replies_with(hanging, raw_server.completion())
    outcome = await ask(raw_server, timeout=0.5)
    assert isinstance(outcome, Completion)
    assert outcome.latency < 0.4, "the latency is the last attempt's alone"


async def test_a_server_that_drips_meets_the_deadline_too(raw_server) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"content-length: 1000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" ")
            await asyncio.sleep(0.02)

    raw_server.serve, serve = drip, raw_server.serve
    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    raw_server.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    start = time.perf_counter()
    outcome = await ask(raw_server, max_attempts=1, timeout=0.2)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "timeout"
    assert time.perf_counter() - start < 2
    raw_server.serve = serve
    server.close()
    await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(408, "timeout"), (409, "server_error"), (429, "rate_limit"), (500, "server_error"), (503, "server_error")],
)
async def test_statuses_that_may_pass_are_retried(raw_server, status: int, kind: str) -> None:
    refused = raw_server.reply({"error": {"message": "not now", "code": "busy"}}, status)
    raw_server.replies_with(refused, refused, raw_server.completion())
    outcome = await ask(raw_server)
    assert isinstance(outcome, Completion)
    assert outcome.attempts == 3
    raw_server.replies_with(refused)
    outcome = await ask(raw_server, max_attempts=2)
    assert outcome == Failure(kind, f"HTTP {status}: not now", status=status, attempts=2)


@pytest.mark.parametrize("status", [400, 413, 415, 422])
async def test_statuses_that_last_are_not_retried(raw_server, status: int) -> None:
    raw_server.replies_with(raw_server.reply({"error": {"message": "too long"}}, status))
    assert await ask(raw_server) == Failure("bad_request", f"HTTP {status}: too long", status=status)
    assert len(raw_server.requests) == 1


@pytest.mark.parametrize(
    ("status", "body", "advice"),
    [
        (401, {"error": {"message": "bad key"}}, r"\$OPENAI_API_KEY"),
        (403, {"detail": "forbidden"}, r"\$OPENAI_API_KEY"),
        (402, {"error": "pay"}, "add credit"),
        (429, {"error": {"message": "quota", "code": "insufficient_quota"}}, "add credit"),
        (404, {"error": {"message": "no model m"}}, "(?s)model is unknown.*path is wrong.*/v1"),
        (405, b"<html>", "path is wrong"),
        (400, {"error": {"message": "no", "code": "model_not_found"}}, "model is unknown"),
    ],
)
async def test_what_no_other_call_survives_is_raised_at_once(raw_server, status, body, advice: str) -> None:
    raw_server.replies_with(raw_server.reply(body, status))
    with pytest.raises(LLMError, match=advice) as caught:
        await ask(raw_server)
    assert f"model 'm' at {raw_server.base_url} refuses calls (HTTP {status}: " in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert len(raw_server.requests) == 1


async def test_redirections_are_not_followed(raw_server) -> None:
    raw_server.replies_with(raw_server.reply(b"", 307, {"location": "http://127.0.0.1:1/elsewhere"}))
    with pytest.raises(LLMError, match="elsewhere"):
        await ask(raw_server)
    assert len(raw_server.requests) == 1


async def test_retry_after_is_obeyed(raw_server) -> None:
    wait = raw_server.reply({"error": "slow down"}, 429, {"retry-after": "0.3"})
    raw_server.replies_with(wait, raw_server.completion())
    start = time.perf_counter()
    assert isinstance(await ask(raw_server), Completion)
    assert time.perf_counter() - start >= 0.3


@pytest.mark.parametrize(
    ("message", "finish_reason"),
    [
        ({"content": None}, "content_filter"),
        ({"content": None, "refusal": "I cannot."}, "stop"),
        ({"content": None, "tool_calls": []}, "tool_calls"),
        ({"content": ""}, "content_filter"),
        ({}, None),
    ],
)
async def test_a_reply_without_text_is_a_failure_and_not_retried(raw_server, message, finish_reason) -> None:
    choice = {"message": message, "finish_reason": finish_reason}
    raw_server.replies_with(raw_server.completion(choices=[choice]))
    outcome = await ask(raw_server)
    assert isinstance(outcome, Failure)
    assert (outcome.kind, outcome.attempts, len(raw_server.requests)) == ("no_content", 1, 1)
    assert str(finish_reason) in outcome.message
    assert message.get("refusal", "") in outcome.message


async def test_an_empty_answer_is_an_answer(raw_server) -> None:
    raw_server.replies_with(raw_server.completion(""))
    outcome = await ask(raw_server)
    assert isinstance(outcome, Completion)
    assert (outcome.text, outcome.finish_reason) == ("", "stop")


async def test_the_concurrency_hears_of_each_attempt(raw_server) -> None:
    concurrency = AdaptiveConcurrency(8, start=4)
    raw_server.replies_with(raw_server.reply({}, 429), raw_server.completion())
    await ask(raw_server, concurrency=concurrency)
    assert concurrency.limit == 2
    await ask(raw_server, concurrency=concurrency)
    assert concurrency.limit == 3
    assert concurrency.in_flight == 0


async def test_each_attempt_passes_the_limits(raw_server) -> None:
    waited: list[int] = []

    class Recorded(RateLimits):
        async def wait(self, tokens: int) -> None:
            waited.append(tokens)

    raw_server.replies_with(raw_server.reply({}, 500), raw_server.reply({}, 500), raw_server.completion())
    await ask(raw_server, rates=Recorded(tokens_per_minute=1e6), count_tokens=lambda messages: 9 * len(messages))
    assert waited == [18, 18, 18]


async def test_a_cancelled_call_leaves_a_usable_client(raw_server) -> None:
    raw_server.replies_with(raw_server.raw(b"", then="hang"), raw_server.completion())
    client = OpenAIClient("m", raw_server.base_url)
    call = asyncio.create_task(client.complete(MESSAGES, SamplingParameters()))
    while not raw_server.requests:
        await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert isinstance(await client.complete(MESSAGES, SamplingParameters()), Completion)
    await client.close()


async def test_many_calls_at_once_count_their_own_attempts(raw_server) -> None:
    refused, good = raw_server.reply({}, 500), raw_server.completion()
    raw_server.replies_with(*[refused] * 30, good)
    client = OpenAIClient("m", raw_server.base_url, first_wait=0.001, max_attempts=50)
    outcomes = await asyncio.gather(*(client.complete(MESSAGES, SamplingParameters()) for _ in range(20)))
    await client.close()
    assert all(isinstance(outcome, Completion) for outcome in outcomes)
    assert sum(outcome.attempts for outcome in outcomes) == len(raw_server.requests) == 50


@pytest.mark.parametrize("status", [401, 403])
async def test_check_stops_without_access(raw_server, status: int) -> None:
    raw_server.replies_with(raw_server.reply({"error": {"message": "bad key"}}, status))
    with pytest.raises(LLMError, match=r"bad key.*OPENAI_API_KEY"):
        await check(raw_server)


@pytest.mark.parametrize("status", [404, 405, 501, 500, 503, 429, 400])
async def test_check_goes_on_where_it_learns_nothing(raw_server, status: int) -> None:
    raw_server.replies_with(raw_server.reply({"error": {"message": "?", "code": "insufficient_quota"}}, status))
    if status in (404, 405, 429):
        assert await check(raw_server) is None
    raw_server.replies_with(raw_server.reply({"error": "?"}, status))
    assert await check(raw_server) is None
    assert {(request.method, request.path) for request in raw_server.requests} == {("GET", "/v1/models")}


async def test_check_goes_on_with_a_key_that_may_only_call(raw_server) -> None:
    raw_server.replies_with(raw_server.reply({"error": {"message": "Missing scopes: api.model.read"}}, 403))
    assert await check(raw_server) is None


async def test_check_warns_of_what_looks_wrong(raw_server) -> None:
    raw_server.replies_with(raw_server.reply({"object": "list", "data": [{"id": "m"}, {"id": "n"}]}))
    assert await check(raw_server) is None
    raw_server.replies_with(raw_server.reply({"data": [{"id": "n"}]}))
    assert "does not list the model 'm'; it lists n" in (await check(raw_server) or "")
    raw_server.replies_with(raw_server.reply({"data": []}))
    assert await check(raw_server) is None
    raw_server.replies_with(raw_server.reply(b"<html>"))
    assert "no list of models" in (await check(raw_server) or "")


async def test_check_says_when_nobody_listens(raw_server) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        raw_server.base_url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        with pytest.raises(LLMError, match=r"cannot be reached \(connection: .*see that the server runs"):
            await check(raw_server)
    raw_server.replies_with(raw_server.reply({}))


async def test_check_tries_three_times(raw_server) -> None:
    raw_server.replies_with(raw_server.raw(b"", then="close"))
    with pytest.raises(LLMError, match="cannot be reached"):
        await check(raw_server)
    assert len(raw_server.requests) == 3


async def test_a_client_is_a_client_and_is_not_copied() -> None:
    client = OpenAIClient("m", "http://127.0.0.1:1/v1/")
    assert isinstance(client, LLMClient)
    assert repr(client) == "OpenAIClient(model='m', base_url='http://127.0.0.1:1/v1')"
    for copying in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(ParameterError, match="make one in the process"):
            copying(client)
    await client.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"base_url": "ftp://h"}, "http"),
        ({"base_url": "local:abc"}, "http"),
        ({"base_url": "http://h:99999999/v1"}, "no address"),
        ({"base_url": "http://h:port/v1"}, "no address"),
        ({"base_url": f"http://{'h' * 70}.org/v1"}, "no address"),
        ({"base_url": "http://h..org/v1"}, "no address"),
        ({"base_url": "https://api.openai.com/v1"}, r"set \$OPENAI_API_KEY"),
        ({"base_url": "https://eu.api.openai.com/v1", "api_key_variable": "MY_KEY"}, r"set \$MY_KEY"),
        ({"timeout": 0}, "timeout=0"),
        ({"timeout": float("inf")}, "timeout=inf"),
        ({"max_attempts": 0}, "max_attempts=0"),
        ({"rates": RateLimits(tokens_per_minute=1)}, "count_tokens"),
        ({"model": ""}, "model"),
    ],
)
def test_arguments_that_cannot_be_used(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        OpenAIClient(**{"model": "m", "base_url": "http://127.0.0.1:1/v1"} | arguments)


def test_a_proxy_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "gopher://user:secretword@proxy:1")
    with pytest.raises(ParameterError, match="proxy") as caught:
        OpenAIClient("m", "http://127.0.0.1:1/v1")
    assert "secretword" not in str(caught.value)


async def test_a_403_after_a_reply_that_was_good_is_of_one_call(raw_server) -> None:
    flagged = raw_server.reply({"error": {"message": "this input is flagged"}}, 403)
    raw_server.replies_with(raw_server.completion(), flagged, raw_server.completion())
    client = OpenAIClient("m", raw_server.base_url)
    outcomes = [await client.complete(MESSAGES, SamplingParameters()) for _ in range(3)]
    await client.close()
    assert outcomes[1] == Failure("bad_request", "HTTP 403: this input is flagged", status=403)
    assert isinstance(outcomes[0], Completion)
    assert isinstance(outcomes[2], Completion)


async def test_a_401_is_of_all_calls_at_any_time(raw_server) -> None:
    raw_server.replies_with(raw_server.completion(), raw_server.reply({"error": {"message": "revoked"}}, 401))
    client = OpenAIClient("m", raw_server.base_url)
    await client.complete(MESSAGES, SamplingParameters())
    with pytest.raises(LLMError, match="revoked"):
        await client.complete(MESSAGES, SamplingParameters())
    await client.close()


async def test_a_warning_of_the_check_is_told(raw_server) -> None:
    raw_server.replies_with(raw_server.reply({"data": [{"id": "other"}]}))
    told: list[str] = []
    client = OpenAIClient("m", raw_server.base_url, on_warning=told.append)
    await client.check()
    await client.close()
    assert told == [client.warning]
    assert "does not list the model 'm'; it lists other" in told[0]


async def test_a_client_that_is_closed_says_so(raw_server) -> None:
    client = OpenAIClient("m", raw_server.base_url)
    await client.close()
    for work in (client.check(), client.complete(MESSAGES, SamplingParameters())):
        with pytest.raises(LLMError, match="is closed; make another"):
            await work


async def test_a_reply_without_text_may_have_cost_tokens(raw_server) -> None:
    usage = {"prompt_tokens": 12, "completion_tokens": 30}
    choice = {"message": {"content": None}, "finish_reason": "content_filter"}
    raw_server.replies_with(raw_server.completion(choices=[choice], usage=usage))
    outcome = await ask(raw_server)
    assert isinstance(outcome, Failure)
    assert (outcome.prompt_tokens, outcome.completion_tokens) == (12, 30)
