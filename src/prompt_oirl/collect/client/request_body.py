"""The body of a request: what OpenAI's chat completions are sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from prompt_oirl.errors import ParameterError
from prompt_oirl.records import Message
from prompt_oirl.runs.configuration import SamplingParameters

__all__ = ["is_openai", "request_body"]


def is_openai(base_url: str) -> bool:
    """Return whether the address is OpenAI's own, of any region."""
    return f".{urlsplit(base_url).hostname}".endswith(".api.openai.com")


def request_body(model: str, messages: Sequence[Message], *, parameters: SamplingParameters, base_url: str) -> bytes:
    """Return the JSON of a request for one answer, not streamed. Parameters that are None are not in it.

    Raises:
        ParameterError: `parameters.extra` repeats a field, asks for several answers or a stream, or is no strict JSON.
    """
    body = {
        "model": model,
        "messages": [{"role": message.role, "content": message.content} for message in messages],
        **_sampling(parameters, base_url),
    }
    extra: dict[str, Any] = json.loads(parameters.extra)
    if repeated := sorted(extra.keys() & (body.keys() | {"n", "stream"})):
        raise ParameterError(
            f"extra={parameters.extra} sets {', '.join(repeated)}: leave that out; messages and sampling parameters "
            "have their own arguments, and each call is for one answer that is not streamed"
        )
    try:
        return json.dumps(body | extra, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except ValueError as error:
        raise ParameterError(f"extra={parameters.extra!r} cannot be sent as JSON in UTF-8: {error}") from error


def _sampling(parameters: SamplingParameters, base_url: str) -> dict[str, Any]:
    # OpenAI has replaced max_tokens, and refuses it for its newer models; other servers mostly know it alone.
    limit = "max_completion_tokens" if is_openai(base_url) else "max_tokens"
    sampling = {
        "temperature": parameters.temperature,
        "top_p": parameters.top_p,
        limit: parameters.max_tokens,
        "seed": parameters.seed,
        "stop": list(parameters.stop) or None,
    }
    return {name: value for name, value in sampling.items() if value is not None}
