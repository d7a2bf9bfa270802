"""The body of a request for a chat completion: finds the query in it, and puts a prompt around the query.

What changes is in `messages` and nowhere else, and every byte that the client sent stays, in its order:

- The query is the text of the last message whose role is `user`, wherever it stands: after it there may be calls of
  tools and their results, which are sent again with the same question. Earlier turns stay as they are.
- The prompt's template is put around that text. Of several text parts the template begins before the first and goes on
  after the last. A template without a slot, whose query stands in the prompt's context, replaces the (first) text.
- The prompt's system messages follow the client's own ones, in the last of them after an empty line, because many
  chat templates refuse a second system message. Where the client has none they come first, as messages.
- The rest of the prompt's context, such as worked examples, comes after the client's leading system messages and
  before all other turns.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from typing import NamedTuple, Self

from prompt_oirl.errors import DataError
from prompt_oirl.records import SLOT, Message, Prompt
from prompt_oirl.serve.gateway.json_text import Edit, Span, edited, elements, member, read_json

__all__ = ["Conversation"]

_LEADING_ROLES = ("system", "developer")
_MOST_PARTS = 1_000
"""In the content of one message."""

_LINE_BREAK = r"\n"
"""As JSON writes it in a string."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A request's body, with the places where a prompt goes."""

    text: str
    """The body."""

    texts: tuple[Span, ...] = ()
    """The text, or the text parts, of the last user message."""

    is_text_only: bool = True
    """Whether that message has no other parts, such as images."""

    leading: tuple[Span, ...] = ()
    """The system and developer messages that the conversation begins with."""

    start: int = 0
    """Where the first message after them begins."""

    @classmethod
    def parse(cls, body: bytes, *, most_messages: int) -> Self:
        """Read a body; whatever else than JSON is wrong with it is left for the upstream to say.

        Raises:
            DataError: It is no JSON object in UTF-8, or has too many messages, or one of too many parts.
        """
        text = _decoded(body)
        whole = read_json(text)
        if not isinstance(whole.value, dict):
            raise DataError("it is not a JSON object; an object with `model` and `messages` is needed")
        _check_numbers(whole.value.get("messages"), most_messages=most_messages)
        messages = _elements(text, member(text, whole, "messages"))
        last = next((each for each in reversed(messages) if _role(each) == "user"), None)
        if last is None:
            return cls(text)
        leading = tuple(takewhile(lambda each: _role(each) in _LEADING_ROLES, messages))
        texts, is_text_only = _texts(text, last)
        return cls(text, texts, is_text_only, leading, messages[len(leading)].start)

    @property
    def query(self) -> str:
        """The text of the last user message, its text parts joined by line breaks; blank where there is none."""
        return "\n".join(each.value for each in self.texts)

    def with_prompt(self, prompt: Prompt) -> bytes:
        """Return the body with a prompt around its query, which must not be blank."""
        wording = _wording(prompt)
        query = _LINE_BREAK.join(self.text[each.start + 1 : each.end - 1] for each in self.texts)
        edits = [*self._context(wording, query), *self._last_message(wording.template, query)]
        return edited(self.text, edits).encode()

    def _context(self, wording: _Wording, query: str) -> Iterator[Edit]:
        """Yield what puts in the messages before the last; `query` is as it stands between its quotes."""
        system, examples = wording.system, wording.examples
        if system and self.leading and (joining := _joining(self.text, self.leading[-1], system)):
            yield joining._replace(text=joining.text.replace(SLOT, query))
            system = ()
        if inserted := "".join((*(_message("system", each) for each in system), *examples)):
            yield Edit(self.start, self.start, inserted.replace(SLOT, query))

    def _last_message(self, template: str, query: str) -> Iterator[Edit]:
        first, last = self.texts[0], self.texts[-1]
        before, slot, after = template.partition(SLOT)
        if slot:
            yield Edit(first.start + 1, first.start + 1, before)
            yield Edit(last.end - 1, last.end - 1, after.replace(SLOT, query))
        else:
            yield Edit(first.start + 1, first.end - 1, template)


class _Wording(NamedTuple):
    """A prompt as JSON, with slots."""

    template: str
    """What stands between the quotes."""

    system: tuple[str, ...]
    """The system messages that the context begins with, each between its quotes."""

    examples: tuple[str, ...]
    """The other messages of the context, each with a comma after it."""


@lru_cache(maxsize=10_000)
def _wording(prompt: Prompt) -> _Wording:
    system = tuple(takewhile(lambda each: each.role == "system", prompt.context))
    return _Wording(
        template=_quoted(prompt.template),
        system=tuple(_quoted(each.content) for each in system),
        examples=tuple(_as_message(each) for each in prompt.context[len(system) :]),
    )


def _as_message(message: Message) -> str:
    return _message(message.role, _quoted(message.content))


def _message(role: str, quoted: str) -> str:
    return f'{{"role":"{role}","content":"{quoted}"}},'


def _quoted(text: str) -> str:
    """Return what JSON writes between the quotes; the slot looks the same there."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _decoded(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"it is not UTF-8 at byte {error.start}; send JSON in UTF-8") from None


def _check_numbers(messages: object, *, most_messages: int) -> None:
    if not isinstance(messages, list):
        return
    if len(messages) > most_messages:
        raise DataError(f"`messages` has {len(messages)} messages; at most {most_messages} are taken")
    for number, message in enumerate(messages):
        parts = message.get("content") if isinstance(message, dict) else None
        if isinstance(parts, list) and len(parts) > _MOST_PARTS:
            raise DataError(f"messages[{number}] has {len(parts)} parts; at most {_MOST_PARTS} are taken in a message")


def _elements(text: str, span: Span | None) -> tuple[Span, ...]:
    return tuple(elements(text, span)) if span is not None and isinstance(span.value, list) else ()


def _role(message: Span) -> object:
    return message.value.get("role") if isinstance(message.value, dict) else None


def _texts(text: str, message: Span) -> tuple[tuple[Span, ...], bool]:
    """Return the texts of a message, and whether they are all that is in it."""
    content = member(text, message, "content")
    if content is not None and isinstance(content.value, str):
        return (content,), True
    parts = _elements(text, content)
    texts = tuple(span for each in parts if _is_text(each) and (span := member(text, each, "text")))
    return texts, len(texts) == len(parts)


def _is_text(part: Span) -> bool:
    value = part.value
    return isinstance(value, dict) and value.get("type") == "text" and isinstance(value.get("text"), str)


def _joining(text: str, message: Span, added: Sequence[str]) -> Edit | None:
    """Return what adds texts to a message, None where its content is neither a text nor a list of parts."""
    content = member(text, message, "content")
    joined = (_LINE_BREAK * 2).join(added)
    if content is not None and isinstance(content.value, str):
        return Edit(content.end - 1, content.end - 1, f"{_LINE_BREAK * 2}{joined}" if content.value else joined)
    if content is not None and isinstance(content.value, list) and content.value:
        return Edit(content.end - 1, content.end - 1, f',{{"type":"text","text":"{joined}"}}')
    return None
