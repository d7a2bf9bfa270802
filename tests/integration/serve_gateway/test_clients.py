"""The `openai` client talks to the gateway as it does to the LLM: only its base URL is another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import openai
import pytest

from prompt_oirl.records import Message, Prompt
from prompt_oirl.serve.settings import Limits
from prompt_oirl.testing import Faults, SimulatedLLM

MODEL = "simulated-llm"
EXAMPLES = Prompt(
    "examples",
    "Q: {{query}}\nA:",
    (Message("system", "You count."), Message("user", "Q: 1+1\nA:"), Message("assistant", "2")),
)
QUESTION = [{"role": "user", "content": "3+4 – é"}]


def repeat(messages: Sequence[Message]) -> str:
    """Answer with what was asked."""
    return " | ".join(f"{message.role}: {message.content}" for message in messages)


@pytest.fixture
def llm():
    with SimulatedLLM([repeat], key="sk-client") as llm:
        yield llm


@pytest.fixture
def client(gateway, llm):
    with openai.OpenAI(base_url=gateway(llm.base_url).base_url, api_key="sk-client", max_retries=0) as client:
        yield client


def test_an_answer(client) -> None:
    found = client.chat.completions.create(model=MODEL, messages=QUESTION, temperature=0.5)
    assert found.choices[0].message.content == "user: 3+4 – é\nLet's think step by step."
    assert found.usage.prompt_tokens > 0


def test_a_stream(client) -> None:
    events = client.chat.completions.create(
        model=MODEL, messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(events)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "user: 3+4 – é\nLet's think step by step."
    assert len(chunks) > 10
    assert chunks[-1].usage.completion_tokens > 0


def test_the_decision_can_be_read(client) -> None:
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=QUESTION)
    assert raw.headers["x-prompt-oirl-prompt"] == "think"
    assert raw.parse().choices[0].message.content.startswith("user: 3+4")
    with client.chat.completions.with_streaming_response.create(model=MODEL, messages=QUESTION) as streamed:
        assert len(streamed.headers["x-prompt-oirl-decision"]) == 32


def test_a_conversation_with_a_prompt_of_several_messages(gateway, llm, deciding) -> None:
    service = gateway(llm.base_url, decider=deciding(EXAMPLES))
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "hello"},
        *QUESTION,
    ]
    with openai.OpenAI(base_url=service.base_url, api_key="sk-client", max_retries=0) as client:
        found = client.chat.completions.create(model=MODEL, messages=turns)
    assert found.choices[0].message.content == (
        "system: Be brief.\n\nYou count. | user: Q: 1+1\nA: | assistant: 2 | user: hi | assistant: hello | "
        "user: Q: 3+4 – é\nA:"
    )


def test_the_models(client) -> None:
    assert [model.id for model in client.models.list()] == [MODEL]


async def test_many_asynchronous_calls_and_streams(gateway, llm) -> None:
    llm.faults = Faults(latency=0.02, jitter=0.02)

    async def ask(client: openai.AsyncOpenAI, number: int) -> str:
        question = [{"role": "user", "content": f"{number}+4"}]
        if number % 2:
            found = await client.chat.completions.create(model=MODEL, messages=question)
            return str(found.choices[0].message.content)
        events = await client.chat.completions.create(model=MODEL, messages=question, stream=True)
        return "".join([event.choices[0].delta.content or "" async for event in events])

    service = gateway(llm.base_url)
    async with openai.AsyncOpenAI(base_url=service.base_url, api_key="sk-client", max_retries=0) as client:
        found = await asyncio.gather(*(ask(client, number) for number in range(60)))
    assert list(found) == [f"user: {number}+4\nLet's think step by step." for number in range(60)]
    assert service.metrics.statuses == {200: 60}


def test_errors_are_the_ones_that_the_llm_gives(client, llm) -> None:
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.chat.completions.create(model="another", messages=QUESTION)
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="wrong").chat.completions.create(model=MODEL, messages=QUESTION)
    llm.faults = Faults(rate_limited=1, retry_after=7)
    with pytest.raises(openai.RateLimitError) as raised:
        client.chat.completions.create(model=MODEL, messages=QUESTION)
    assert raised.value.response.headers["retry-after"] == "7"
    assert raised.value.code == "rate_limit_exceeded"
    assert raised.value.response.headers["x-prompt-oirl-prompt"] == "think"
    llm.faults = Faults(unavailable=1)
    with pytest.raises(openai.InternalServerError) as failed:
        client.chat.completions.create(model=MODEL, messages=QUESTION)
    assert failed.value.status_code == 503


def test_a_client_that_tries_again_gets_its_answer(gateway, llm) -> None:
    llm.faults = Faults(rate_limited=0.5, retry_after=0, seed=3)
    with openai.OpenAI(base_url=gateway(llm.base_url).base_url, api_key="sk-client", max_retries=20) as client:
        for _ in range(4):
            assert client.chat.completions.create(model=MODEL, messages=QUESTION).choices
    assert llm.by_status[429] > 0


def test_an_answer_that_is_cut_off_is_an_error(client, llm) -> None:
    llm.faults = Faults(truncated=1)
    with pytest.raises(openai.APIConnectionError):
        client.chat.completions.create(model=MODEL, messages=QUESTION)


def test_a_stopped_llm_is_an_error_with_a_status(gateway, llm) -> None:
    llm.faults = Faults(hang=1)
    service = gateway(llm.base_url, limits=Limits(upstream_seconds=0.3))
    with openai.OpenAI(base_url=service.base_url, api_key="sk-client", max_retries=0) as client:
        with pytest.raises(openai.InternalServerError, match="did not answer in time") as late:
            client.chat.completions.create(model=MODEL, messages=QUESTION)
        assert late.value.status_code == 504
        llm.__exit__()
        with pytest.raises(openai.InternalServerError, match="could not be reached") as gone:
            client.chat.completions.create(model=MODEL, messages=QUESTION)
        assert gone.value.status_code == 502


async def test_a_stream_that_the_client_gives_up_ends_at_the_llm(gateway, llm) -> None:
    llm.faults = Faults(hang=1)
    service = gateway(llm.base_url)
    async with openai.AsyncOpenAI(base_url=service.base_url, api_key="sk-client", max_retries=0) as client:
        call = asyncio.create_task(client.chat.completions.create(model=MODEL, messages=QUESTION, stream=True))
        while not llm.counts.in_flight:
            await asyncio.sleep(0.01)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    async with asyncio.timeout(20):
        while llm.counts.in_flight:
            await asyncio.sleep(0.01)
