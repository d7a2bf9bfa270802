"""Every client that there is keeps the contract, and the suite finds those that do not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from prompt_oirl.collect.client.openai_client import OpenAIClient
from prompt_oirl.collect.client.protocol import LLMClient
from prompt_oirl.collect.local.client import LocalClient
from prompt_oirl.errors import LLMError
from prompt_oirl.records import Message
from prompt_oirl.runs.configuration import SamplingParameters
from prompt_oirl.runs.outcomes import Completion, Failure, Outcome
from prompt_oirl.testing import FAULT_TEXT, Faults, SimulatedLLM
from prompt_oirl.testing.llm_client_contract import check_llm_client, check_llm_failures


@dataclass
class Fake(LLMClient):
    """Answers with what it was asked, unless it has something else to say."""

    outcome: Outcome | Exception | None = None
    seconds: float = 0.01
    is_deaf: bool = False

    async def check(self) -> None: ...

    async def complete(self, messages: Sequence[Message], parameters: SamplingParameters) -> Outcome:
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            if not self.is_deaf:
                raise
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome or Completion(messages[-1].content, "fake")

    async def close(self) -> None: ...


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedLLM]:
    for variable in ("OPENAI_API_KEY", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    with SimulatedLLM([lambda messages: f"answer to {messages[-1].content}"]) as running:
        yield running


def openai_client(llm: SimulatedLLM, *, model: str = "simulated-llm", max_attempts: int = 6) -> Callable[[], LLMClient]:
    return lambda: OpenAIClient(
        model, llm.base_url, max_attempts=max_attempts, first_wait=0.01, timeout=2.0, api_key_variable="NO_SUCH_KEY"
    )


def test_a_fake_keeps_the_contract() -> None:
    check_llm_client(Fake)
    check_llm_failures(lambda: Fake(Failure("timeout", "60 s")), forbidden=["60 s"])
    check_llm_failures(lambda: Fake(LLMError("no access")), forbidden=["access"])


def test_the_openai_client_keeps_the_contract(llm: SimulatedLLM) -> None:
    check_llm_client(openai_client(llm))


def test_the_openai_client_keeps_it_where_the_server_stumbles(llm: SimulatedLLM) -> None:
    llm.faults = Faults(rate_limited=0.1, server_error=0.1, not_json=0.1, truncated=0.1, retry_after=0.0)
    check_llm_client(openai_client(llm, max_attempts=30))


@pytest.mark.parametrize(
    "fault",
    [
        "rate_limited",
        "server_error",
        "unavailable",
        "truncated",
        "not_json",
        "other_json",
        "html",
        "no_choices",
        "no_content",
    ],
)
def test_the_openai_client_makes_no_answer_of_a_fault(llm: SimulatedLLM, fault: str) -> None:
    llm.faults = Faults(**{fault: 1.0}, retry_after=0.0)  # type: ignore[arg-type]
    check_llm_failures(openai_client(llm, max_attempts=2), forbidden=[FAULT_TEXT, "answer to"])


def test_the_openai_client_makes_no_answer_of_a_refusal(llm: SimulatedLLM) -> None:
    check_llm_failures(openai_client(llm, model="unknown"), forbidden=["unknown"])


def test_the_local_client_keeps_the_contract(tiny_llama: Path) -> None:
    check_llm_client(lambda: LocalClient(tiny_llama, batch_size=4))
    folder = tiny_llama
    too_long = SamplingParameters(max_tokens=4)

    class Long(LocalClient):
        async def complete(self, messages: Sequence[Message], parameters: SamplingParameters) -> Outcome:
            return await super().complete((Message("user", "word " * 2000),), parameters)

    check_llm_failures(lambda: Long(folder), forbidden=["tokens"], parameters=too_long)


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (lambda: Fake(Failure("timeout", "60 s")), "is a Completion"),
        (lambda: Fake(seconds=0.01, is_deaf=False, outcome=ValueError("odd")), "odd"),
        (object, "has check, complete and close"),
    ],
    ids=["fails", "raises", "no client"],
)
def test_the_suite_finds_a_client_that_does_not_answer(broken: Callable[[], LLMClient], complaint: str) -> None:
    with pytest.raises((AssertionError, ValueError), match=complaint):
        check_llm_client(broken)


@pytest.mark.parametrize(
    ("outcome", "complaint"),
    [
        (Completion("HTTP 500: overloaded", "m"), "no error is an answer"),
        (Completion("so what", "m"), "is a Failure"),
        (ValueError("overloaded"), "is an LLMError"),
    ],
    ids=["text", "answer", "raises"],
)
def test_the_suite_finds_a_client_that_takes_errors_for_answers(outcome, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        check_llm_failures(lambda: Fake(outcome), forbidden=["overloaded"])
