"""What a server of OpenAI's chat completions reads and writes: requests, completions, streams, errors.

Format: https://platform.openai.com/docs/api-reference/chat.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from prompt_oirl.errors import DataError
from prompt_oirl.records import Message

__all__ = ["ChatRequest", "Completed", "content_hash", "encode", "tokens_of"]

_TOKEN = re.compile(r"\s*(?:\w+|[^\w\s])|\s+$")


def tokens_of(text: str) -> list[str]:
    """Cut a text into words and punctuation marks, each with the space before it: the simulated LLM's tokens.

    Joined, they are the text. Real tokenizers cut long words further, so their counts are higher.
    """
    return _TOKEN.findall(text)


def content_hash(messages: Sequence[Message], seed: int | None = None) -> str:
    """Return 16 hexadecimal digits that stand for a request: a hash of its messages and of its seed, if it has one."""
    content = [[message.role, message.content] for message in messages]
    return hashlib.sha256(encode(content if seed is None else [content, seed])).hexdigest()[:16]


def encode(body: object) -> bytes:
    """Return the bytes of a JSON body."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What a client asks for: the fields of a request's body that the simulated LLM heeds."""

    model: str
    messages: tuple[Message, ...]
    temperature: float | None = None
    seed: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    stream: bool = False
    include_usage: bool = False
    """Whether a stream ends with a chunk of token counts."""

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the body of a request; fields that are not known are passed over.

        Raises:
            DataError: It is no JSON object, a field has the wrong type, or more than one choice is asked for.
        """
        fields = _json_object(body)
        if fields.get("n") not in (None, 1):
            raise DataError(f"'n' is {fields['n']!r}; only one choice is given, so send the request again instead")
        options = _field(fields, "stream_options", dict) or {}
        return cls(
            model=_field(fields, "model", str, required=True),
            messages=_messages(fields.get("messages")),
            temperature=_field(fields, "temperature", int, float),
            seed=_field(fields, "seed", int),
            max_tokens=_most_tokens(fields),
            stop=_stop(fields),
            stream=_field(fields, "stream", bool) or False,
            include_usage=bool(options.get("include_usage")),
        )

    @property
    def text(self) -> str:
        """The last message of the user."""
        return next((message.content for message in reversed(self.messages) if message.role == "user"), "")


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise DataError(f"the body is no JSON: {error}") from error
    if not isinstance(fields, dict):
        raise DataError(f"the body is {fields!r:.60}; a JSON object is expected")
    return fields


def _field(fields: dict[str, Any], name: str, *types: type, required: bool = False) -> Any:
    """Return a field, None where there is none; bool is no number here."""
    value = fields.get(name)
    if value is None and not required:
        return None
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise DataError(f"{name!r} is {value!r:.60}; {' or '.join(each.__name__ for each in types)} is expected")
    return value


def _most_tokens(fields: dict[str, Any]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        limit: int | None = _field(fields, name, int)
        if limit is not None and limit < 1:
            raise DataError(f"{name!r} is {limit}; at least 1 is expected")
        if limit is not None:
            return limit
    return None


def _stop(fields: dict[str, Any]) -> tuple[str, ...]:
    stop = _field(fields, "stop", str, list) or []
    texts = [stop] if isinstance(stop, str) else stop
    if not all(isinstance(text, str) and text for text in texts):
        raise DataError(f"'stop' is {stop!r:.60}; texts are expected")
    return tuple(texts)


def _messages(entries: object) -> tuple[Message, ...]:
    if not isinstance(entries, list) or not entries:
        raise DataError(f"'messages' is {entries!r:.60}; a list of at least one message is expected")
    for entry in entries:
        if not isinstance(entry, dict):
            raise DataError(f"a message is {entry!r:.60}; an object with role and content is expected")
    return tuple(Message(entry.get("role"), entry.get("content")) for entry in entries)


@dataclass(frozen=True, slots=True)
class Completed:
    """An answer to a request, ready to be sent."""

    request: ChatRequest
    pieces: tuple[str, ...]
    """The tokens of the answer, no more than were asked for."""

    finish_reason: str
    id: str
    created: int
    """Seconds since 1970."""

    @classmethod
    def of(cls, request: ChatRequest, answer: str, *, id: str, created: int) -> Self:
        """Cut an answer at the request's stop texts, which are left out, and at its limit of tokens."""
        for stop in request.stop:
            answer = answer.partition(stop)[0]
        pieces = tuple(tokens_of(answer))
        is_cut = request.max_tokens is not None and len(pieces) > request.max_tokens
        return cls(request, pieces[: request.max_tokens], "length" if is_cut else "stop", id, created)

    @property
    def usage(self) -> dict[str, int]:
        """Token counts: of the contents of all messages, of the answer, and of both."""
        prompt_tokens = sum(len(tokens_of(message.content)) for message in self.request.messages)
        n_pieces = len(self.pieces)
        return {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": n_pieces,
            "total_tokens": prompt_tokens + n_pieces,
        }

    def body(self) -> dict[str, Any]:
        """Return the body of the response, where it is not streamed."""
        message = {"role": "assistant", "content": "".join(self.pieces), "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.finish_reason}
        return self._envelope("chat.completion") | {"choices": [choice], "usage": self.usage}

    def events(self) -> Iterator[bytes]:
        """Yield the server-sent events of the response, where it is streamed."""
        deltas = ({"role": "assistant", "content": ""}, *({"content": piece} for piece in self.pieces))
        for delta in deltas:
            yield self._event([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}])
        yield self._event([{"index": 0, "delta": {}, "logprobs": None, "finish_reason": self.finish_reason}])
        if self.request.include_usage:
            yield self._event([], usage=self.usage)
        yield b"data: [DONE]\n\n"

    def _event(self, choices: list[dict[str, Any]], **more: object) -> bytes:
        chunk = self._envelope("chat.completion.chunk") | {"choices": choices} | more
        return b"data: " + encode(chunk) + b"\n\n"

    def _envelope(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.request.model}
