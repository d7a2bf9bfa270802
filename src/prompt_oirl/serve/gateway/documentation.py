"""What OpenAPI says of the gateway's routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prompt_oirl.serve.api.bodies import request_body
from prompt_oirl.serve.api.errors import documented

__all__ = ["CHAT", "MODELS"]

_HEADERS = {
    "x-prompt-oirl-choice": "`recommended`, `explored` or `fallback`; `untouched` where no prompt was put in",
    "x-prompt-oirl-reason": "why no prompt was put in",
    "x-prompt-oirl-decision": "id of the decision, to give feedback on",
    "x-prompt-oirl-prompt": "id of the prompt, percent-encoded",
    "x-prompt-oirl-score": "the prompt's score; not there for a fallback",
    "x-prompt-oirl-propensity": "probability with which the prompt was chosen",
    "x-prompt-oirl-recommender": "version of the recommender",
}
_DECISION = {name: {"description": text, "schema": {"type": "string"}} for name, text in _HEADERS.items()}


def _answered(description: str, *media_types: str) -> dict[str, Any]:
    return {"description": description, "content": {media_type: {"schema": {}} for media_type in media_types}}


_ANY = {"default": _answered("Whatever the upstream answers, with its status and body unchanged", "*/*")}

CHAT: Mapping[str, Any] = {
    "methods": ["POST"],
    "name": "chat_completions",
    "summary": "Ask the upstream, with the recommended prompt",
    "description": (
        "The text of the last user message is the query; the prompt that is recommended for it is put around it. All "
        "else goes to the upstream as it is, and the upstream's answer comes back as it is, streams too. Without a "
        "text of a user nothing is changed; with images and other parts the text gets the best single prompt."
    ),
    "response_description": "The upstream's answer",
    "responses": {
        200: _answered("The upstream's answer", "application/json", "text/event-stream") | {"headers": _DECISION},
        **documented(400, 401, 403, 408, 413, 415, 502, 503, 504, 508),
        **_ANY,
    },
    "openapi_extra": request_body(
        {
            "type": "object",
            "description": "As the upstream takes it",
            "properties": {"messages": {"description": "A list of messages with `role` and `content`"}},
            "additionalProperties": True,
        },
        example={"model": "gpt-5-mini", "messages": [{"role": "user", "content": "What is 3 + 4?"}]},
    ),
}

MODELS: Mapping[str, Any] = {
    "methods": ["GET"],
    "name": "models",
    "summary": "List the upstream's models",
    "description": "The upstream's answer, with its status and body unchanged.",
    "response_description": "The upstream's answer",
    "responses": {
        200: _answered("The upstream's answer", "application/json"),
        **documented(401, 403, 413, 502, 503, 504, 508),
        **_ANY,
    },
}
