"""How a client asks its server: what can be sent to another machine to make one there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from prompt_oirl.collect.client.concurrency import AdaptiveConcurrency
from prompt_oirl.collect.client.openai_client import OpenAIClient
from prompt_oirl.collect.client.rates import RateLimits
from prompt_oirl.records import Message
from prompt_oirl.runs.configuration import RunConfiguration

__all__ = ["ClientSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """The arguments of a client that are no part of the run's configuration. The key is none of them."""

    api_key_variable: str = "OPENAI_API_KEY"
    """The environment variable that holds the key, in the process where the client is made."""

    timeout: float = 60.0
    max_attempts: int = 6
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None

    def share(self, part: float) -> Self:
        """Return the same with that part of the limits per minute."""
        requests, tokens = self.requests_per_minute, self.tokens_per_minute
        return replace(
            self,
            requests_per_minute=None if requests is None else requests * part,
            tokens_per_minute=None if tokens is None else tokens * part,
        )

    def client(
        self,
        configuration: RunConfiguration,
        *,
        concurrency: AdaptiveConcurrency,
        count_tokens: Callable[[Sequence[Message]], int],
        on_warning: Callable[[str], None] = lambda _: None,
    ) -> OpenAIClient:
        """Make a client, once the event loop runs.

        Args:
            configuration: Names the server and the model.
            concurrency: Is told of successes and of 429s.
            count_tokens: Tokens that a request takes of the limit; the longest answer is added.
            on_warning: Told what looks wrong, though calls may succeed.

        Raises:
            ParameterError: An argument cannot be used, or a key is needed and not there.
        """
        answer = configuration.parameters.max_tokens or 0
        return OpenAIClient(
            configuration.model,
            configuration.base_url,
            api_key_variable=self.api_key_variable,
            timeout=self.timeout,
            max_attempts=self.max_attempts,
            concurrency=concurrency,
            rates=RateLimits(requests_per_minute=self.requests_per_minute, tokens_per_minute=self.tokens_per_minute),
            count_tokens=lambda messages: count_tokens(messages) + answer,
            on_warning=on_warning,
        )
