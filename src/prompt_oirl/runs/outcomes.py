"""What became of a call to an LLM: a completion, or a failure with its kind. A failure is never an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from prompt_oirl.errors import ParameterError

__all__ = ["FAILURE_KINDS", "Completion", "Failure", "FailureKind", "Outcome"]

FailureKind = Literal["timeout", "connection", "rate_limit", "server_error", "bad_request", "malformed", "no_content"]
"""`malformed`: the body was cut off or not what the protocol says. `no_content`: the model sent no text, as after a
content filter."""

FAILURE_KINDS: tuple[FailureKind, ...] = get_args(FailureKind)


@dataclass(frozen=True, slots=True)
class Completion:
    """What an LLM answered.

    Raises:
        ParameterError: The text is no text, or a count is negative.
    """

    text: str
    model: str
    """As the server named it, which may be more precise than what was asked for."""

    finish_reason: str | None = None
    """`stop`, `length` (cut at the limit of tokens), or what else the server says."""

    prompt_tokens: int | None = None
    """Tokens of the request by the server's count; None where it does not say."""

    completion_tokens: int | None = None
    latency: float = 0.0
    """Seconds that the attempt that succeeded took."""

    attempts: int = 1
    """Requests sent for it, the one that succeeded included."""

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise ParameterError(f"a completion's text is a text, got {self.text!r}")
        counts = (self.prompt_tokens or 0, self.completion_tokens or 0, self.latency, self.attempts - 1)
        if min(counts) < 0:
            raise ParameterError(f"token counts and latency are at least 0, attempts at least 1, got {self}")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer.

    Raises:
        ParameterError: The kind is not known, there was no attempt, or a count is negative.
    """

    kind: FailureKind
    message: str
    """What the server or the client said, with secrets removed."""

    status: int | None = None
    """HTTP status, where there was one."""

    attempts: int = 1
    """Requests sent for it."""

    prompt_tokens: int | None = None
    """Tokens of the last request by the server's count; None where it does not say, as it mostly does not."""

    completion_tokens: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in FAILURE_KINDS:
            raise ParameterError(f"a failure's kind is one of {', '.join(FAILURE_KINDS)}, got {self.kind!r}")
        if self.attempts < 1:
            raise ParameterError(f"a failure has at least one attempt, got {self.attempts}")
        if min(self.prompt_tokens or 0, self.completion_tokens or 0) < 0:
            raise ParameterError(f"token counts are at least 0, got {self}")


Outcome = Completion | Failure
