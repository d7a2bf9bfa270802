"""Who answers behind a simulated LLM: a synthetic world, recorded logs, or any function of the messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from prompt_oirl.records import Message
from prompt_oirl.testing.chat_completions import ChatRequest

__all__ = ["Answerer", "CallableAnswerer"]


@runtime_checkable
class Answerer(Protocol):
    """Answers some requests."""

    def answer(self, request: ChatRequest, occurrence: int) -> str | None:
        """Return the answer, or None where the request is for another answerer.

        Args:
            request: With messages, temperature, seed.
            occurrence: How many times these messages have been answered before. Refused attempts do not count.
        """
        ...


@dataclass(frozen=True, slots=True)
class CallableAnswerer:
    """Ask a function of the messages, such as a critic that judges the answer in them."""

    function: Callable[[Sequence[Message]], str | None]

    def answer(self, request: ChatRequest, occurrence: int) -> str | None:  # noqa: ARG002
        """Return what the function returns."""
        return self.function(request.messages)
