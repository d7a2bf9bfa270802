"""What a client of an LLM is: messages in, a completion or a typed failure out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from prompt_oirl.records import Message
from prompt_oirl.runs.configuration import SamplingParameters
from prompt_oirl.runs.outcomes import Outcome

__all__ = ["LLMClient"]


@runtime_checkable
class LLMClient(Protocol):
    """Asks one LLM; many calls may be under way at once."""

    async def check(self) -> None:
        """Find out, at no cost, whether calls can succeed at all.

        Raises:
            LLMError: They cannot: no key, no access, no such model, no server.
        """
        ...

    async def complete(self, messages: Sequence[Message], parameters: SamplingParameters) -> Outcome:
        """Return what the LLM answered, or after retries why it did not. An error is never an answer.

        Raises:
            LLMError: No other call can succeed either: no access, no such model.
        """
        ...

    async def close(self) -> None:
        """Give connections back."""
        ...
