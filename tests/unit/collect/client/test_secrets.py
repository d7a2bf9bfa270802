from __future__ import annotations

import base64
import json
import logging
import pprint
import traceback
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_oirl.collect.client.openai_client import OpenAIClient
from prompt_oirl.collect.client.secrets import PLACEHOLDER, read_key, redact, redactor
from prompt_oirl.errors import LLMError, ParameterError
from prompt_oirl.records import Message
from prompt_oirl.runs.configuration import SamplingParameters
from prompt_oirl.runs.outcomes import Failure

KEY = "planted/key+with=signs"
VARIABLE = "PLANTED_KEY"
MESSAGES = (Message("user", "What is 6 × 7?"),)

printable = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=6, max_size=60)


def encodings(key: str) -> list[str]:
    return [
        key,
        quote(key, safe=""),
        quote(key, safe="").lower(),
        json.dumps(key)[1:-1],
        base64.b64encode(key.encode()).decode().rstrip("="),
        base64.urlsafe_b64encode(key.encode()).decode().rstrip("="),
    ]


@given(printable, st.text(), st.text())
def test_a_secret_is_removed_however_encoded(key: str, before: str, after: str) -> None:
    for form in encodings(key):
        found = redact(f"{before} {form} {after}", [key])
        assert form not in found.replace("[redacted]", "")


@given(printable, st.text(st.characters(codec="ascii"), max_size=9), st.text(st.characters(codec="ascii"), max_size=9))
def test_base64_of_a_text_with_the_secret_in_it(key: str, before: str, after: str) -> None:
    encoded = base64.b64encode(f"{before}{key}{after}".encode()).decode()
    found = redact(f"Basic {encoded}", [key])
    assert base64.b64encode(key.encode() * 3).decode() not in found
    assert len(key) < 9 or "[redacted]" in found


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-proj-abc***wxyz12. Find yours elsewhere.",
        "Authorization: Bearer abc.def-123 was sent",
        "token hf_abcdefghijkl is wrong",
        "proxy http://name:password@proxy:3128 refused",
    ],
)
def test_what_looks_like_a_key_is_removed(text: str) -> None:
    found = redact(text, [])
    assert "[redacted]" in found
    for piece in ("sk-proj", "wxyz", "abc.def", "hf_abc", "password"):
        assert piece not in found


@pytest.mark.parametrize("text", ["", "the risk-taking scikit-learn task is half_done", "HTTP 500: no such thing"])
def test_ordinary_text_stays(text: str) -> None:
    assert redact(text, [KEY, ""]) == text


def test_the_redactor_shows_nothing() -> None:
    assert KEY not in repr(redactor([KEY]))


def test_reading_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    assert read_key(VARIABLE, is_needed=True) == KEY
    for missing in ("", "  "):
        monkeypatch.setenv(VARIABLE, missing)
        assert read_key(VARIABLE, is_needed=False) == PLACEHOLDER
        with pytest.raises(ParameterError, match=rf"set \${VARIABLE}"):
            read_key(VARIABLE, is_needed=True)
    monkeypatch.delenv(VARIABLE)
    assert read_key(VARIABLE, is_needed=False) == PLACEHOLDER


@pytest.mark.parametrize("key", [f"{KEY}\n", f"a {KEY}", f"{KEY}é", f"\t{KEY}", f"{KEY}\x7f"])
def test_a_key_that_cannot_be_sent_is_not_shown(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv(VARIABLE, key)
    with pytest.raises(ParameterError, match=VARIABLE) as caught:
        OpenAIClient("m", "http://127.0.0.1:1/v1", api_key_variable=VARIABLE)
    assert_hidden(everything_of(caught.value), key.strip())


def everything_of(error: BaseException) -> str:
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    # Lines of this file alone may show the key: it plants it.
    kept = [frame for frame in told.stack if frame.filename != __file__]
    shown = "".join(traceback.StackSummary.from_list(kept).format())
    chain = [str(link) + repr(link) for link in (error, error.__cause__, error.__context__) if link]
    return shown + "".join(traceback.format_exception(error)) + "".join(chain)


def assert_hidden(text: str, key: str = KEY) -> None:
    for form in encodings(key):
        assert form not in text


async def test_a_planted_key_is_seen_nowhere(
    raw_server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    monkeypatch.setenv("OPENAI_LOG", "debug")
    caplog.set_level(logging.DEBUG)
    for name in ("openai", "httpx2", "httpcore2", "asyncio"):
        caplog.set_level(logging.DEBUG, logger=name)
    echoed = " ".join(["bad key", f"Bearer {KEY}", *encodings(KEY)])
    client = OpenAIClient("m", raw_server.base_url, api_key_variable=VARIABLE, max_attempts=2, first_wait=0.001)
    assert_hidden(repr(client) + pprint.pformat(vars(client)))

    for reply in (
        raw_server.reply({"error": {"message": echoed}}, 400),
        raw_server.reply({"error": {"message": echoed}}, 500),
        raw_server.reply(echoed.encode(), 422),
        raw_server.reply({"error": echoed}),
        raw_server.reply(echoed.encode()),
        raw_server.reply(b"x" * 480 + b" " + KEY.encode(), 400),
        raw_server.completion(None, choices=[{"message": {"content": None, "refusal": echoed}}]),
    ):
        raw_server.replies_with(reply)
        outcome = await client.complete(MESSAGES, SamplingParameters())
        assert isinstance(outcome, Failure)
        assert_hidden(repr(outcome))
        assert KEY[:8] not in outcome.message, "nor is it cut in two by a limit of length"

    for status in (401, 402, 403, 404, 307):
        raw_server.replies_with(raw_server.reply({"error": {"message": echoed}}, status))
        for call in (client.complete(MESSAGES, SamplingParameters()), client.check()):
            try:
                await call
            except LLMError as error:
                assert_hidden(everything_of(error))
    raw_server.replies_with(raw_server.reply({"data": [{"id": echoed}]}))
    await client.check()
    assert client.warning
    assert_hidden(client.warning)
    await client.close()
    assert raw_server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    logged = "\n".join(f"{record.name} {record.getMessage()} {record.args}" for record in caplog.records)
    assert "openai._base_client" in logged
    assert "httpx2" in logged
    assert "httpcore2" in logged
    assert_hidden(logged)


async def test_a_key_in_a_header_or_a_broken_reply_is_not_repeated(raw_server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    client = OpenAIClient("m", raw_server.base_url, api_key_variable=VARIABLE, max_attempts=1)
    raw_server.replies_with(raw_server.reply({}, 307, {"location": f"/?key={KEY}"}))
    with pytest.raises(LLMError, match="redacted") as caught:
        await client.complete(MESSAGES, SamplingParameters())
    assert_hidden(everything_of(caught.value))
    raw_server.replies_with(raw_server.raw(f"HTTP/1.1 {KEY}\r\n\r\n".encode(), then="close"))
    outcome = await client.complete(MESSAGES, SamplingParameters())
    assert isinstance(outcome, Failure)
    assert outcome.kind == "malformed"
    assert_hidden(outcome.message)
    await client.close()
