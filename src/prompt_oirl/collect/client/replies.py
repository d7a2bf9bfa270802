"""What a server's reply means: a completion, or a failure with its kind. Nothing but a model's text is an answer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from prompt_oirl.runs.outcomes import Completion, Failure, FailureKind, Outcome

__all__ = ["ErrorReply", "failure_of_status", "read_error", "read_models", "read_reply"]

_NO_TEXT = ("content_filter", "tool_calls", "function_call")
_MOST_TOKENS = 2**31
"""Counts from here on are no counts, and fit no column of a store."""


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """What a reply with an error says."""

    message: str
    code: str | None = None
    """Such as `insufficient_quota` or `model_not_found`."""


def read_reply(content: bytes, *, model: str, latency: float) -> Outcome:
    """Return what the body of a successful reply means.

    Args:
        content: The body.
        model: The name asked for, which stands where the server names none.
        latency: Seconds that the attempt took.

    Returns:
        A completion, or a failure: `malformed` for anything that is no chat completion, `no_content` for one without a
        text. The failure's message holds what the server said, secrets and all.
    """
    body = _json(content)
    match body:
        case {"error": (str() | dict()) as error} if error:
            return Failure("malformed", f"the reply is an error: {_error_reply(body).message}")
        case {"choices": [{"message": dict(message)} as choice, *_]} if not _is_broken_off(choice):
            return _outcome(message, choice, body, model=model, latency=latency)
    return Failure("malformed", f"the reply is no chat completion: {_decoded(content)}")


def read_error(content: bytes) -> ErrorReply:
    """Return what the body of a reply with an HTTP error says, in whichever of the usual shapes."""
    body = _json(content)
    return _error_reply(body) if isinstance(body, dict) else ErrorReply(_decoded(content))


def failure_of_status(status: int, message: str) -> Failure:
    """Return the failure that an HTTP error is."""
    return Failure(_kind_of_status(status), f"HTTP {status}: {message}", status=status)


def read_models(content: bytes) -> frozenset[str] | None:
    """Return the names in a list of models; None where the body is no such list."""
    match _json(content):
        case {"data": list(entries)}:
            return frozenset(entry["id"] for entry in entries if isinstance(entry, dict) and "id" in entry)
    return None


def _kind_of_status(status: int) -> FailureKind:
    if status == 408:
        return "timeout"
    if status == 429:
        return "rate_limit"
    return "server_error" if status == 409 or status >= 500 else "bad_request"


def _is_broken_off(choice: dict[str, Any]) -> bool:
    """Some gateways report an error of the model behind them within a choice, after a part of the text."""
    return bool(choice.get("error")) or choice.get("finish_reason") == "error"


def _outcome(
    message: dict[str, Any], choice: dict[str, Any], body: dict[str, Any], *, model: str, latency: float
) -> Outcome:
    text, finish_reason = message.get("content"), _text_or_none(choice.get("finish_reason"))
    prompt_tokens, completion_tokens = _tokens(body)
    if text is None or (text == "" and finish_reason in _NO_TEXT):
        refusal = _text_or_none(message.get("refusal"))
        said = f"no text, finish_reason={finish_reason}" + (f": {refusal}" if refusal else "")
        return Failure("no_content", said, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)
    if not isinstance(text, str):
        said = f"the content is no text: {json.dumps(text)}"
        return Failure("malformed", said, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)
    return Completion(
        text=_storable(text),
        model=_text_or_none(body.get("model")) or model,
        finish_reason=finish_reason,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        latency=latency,
    )


def _tokens(body: dict[str, Any]) -> tuple[int | None, int | None]:
    """Return the tokens of request and answer by the server's count, None where it does not say."""
    usage = body.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return _count_or_none(usage.get("prompt_tokens")), _count_or_none(usage.get("completion_tokens"))


def _error_reply(body: dict[str, Any]) -> ErrorReply:
    error = body.get("error") or body
    if not isinstance(error, dict):
        return ErrorReply(_storable(str(error)))
    message = error.get("message") or error.get("detail")
    code = _text_or_none(error.get("code")) or _text_or_none(error.get("type"))
    return ErrorReply(_storable(message) if isinstance(message, str) else json.dumps(error), code)


def _json(content: bytes) -> Any:
    """Return what the body holds; None where it is no JSON."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _decoded(content: bytes) -> str:
    return _storable(content.decode(errors="replace")) or "an empty body"


def _text_or_none(value: object) -> str | None:
    return _storable(value) if isinstance(value, str) and value else None


def _count_or_none(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST_TOKENS else None


def _storable(text: str) -> str:
    """Return the text with U+FFFD for what no store holds: NUL, and half an emoji, which a limit of tokens may cut."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")
