"""What a log is made of: queries, prompts and demonstrations, each checked when made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self, get_args

from prompt_oirl.errors import DataError

__all__ = [
    "ROLES",
    "SLOT",
    "Demonstration",
    "Message",
    "Prompt",
    "Query",
    "Question",
    "Role",
    "text_hash",
    "wording_hash",
]

SLOT = "{{query}}"
"""The literal that a template holds where the query goes. It is replaced, never formatted or evaluated."""

Reward = Literal[0, 1]

Role = Literal["system", "user", "assistant"]
"""Who speaks in a message, as OpenAI's chat completions name them."""

ROLES: tuple[Role, ...] = get_args(Role)


def text_hash(text: str) -> str:
    """Return the first 16 hexadecimal digits of the sha256 of `text` in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and _is_encodable(value)


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Query:
    """One input text.

    Raises:
        DataError: The text is empty, not a string, or has no bytes in UTF-8.
    """

    text: str

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not self.text.strip():
            raise DataError(f"a query must be a non-empty text, got {self.text!r:.80}; drop the row or fill it in")
        if not _is_encodable(self.text):
            raise DataError(f"the query {self.text[:80]!r} has half a surrogate pair, which has no UTF-8; repair it")

    @property
    def id(self) -> str:
        """The hash of the text: equal texts are one query wherever they come from."""
        return text_hash(self.text)


@dataclass(frozen=True, slots=True)
class Question:
    """A query with the answer that is right, where that is known.

    Raises:
        DataError: The gold answer is blank or no text.
    """

    query: Query
    gold: str | None = None
    """What a right answer is graded against; None where it is not known."""

    def __post_init__(self) -> None:
        if self.gold is not None and not _is_text(self.gold):
            raise DataError(
                f"the gold answer to {self.query.text[:60]!r} must be a non-empty text in UTF-8, "
                f"got {self.gold!r:.80}; leave it out where it is not known"
            )


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation with an LLM; in a prompt it may hold the `{{query}}` slot.

    Raises:
        DataError: The role is not known, or the content is no text.
    """

    role: Role
    content: str

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise DataError(f"a message's role is one of {', '.join(ROLES)}, got {self.role!r}")
        if not _is_text(self.content):
            raise DataError(f"a {self.role} message needs a non-empty text in UTF-8, got {self.content!r:.80}")


def wording_hash(text: str, context: Iterable[Message] = ()) -> str:
    """Return the hash of a wording, the id of a prompt without a name: of its text alone where it has no context."""
    before = (part for message in context for part in (message.role, message.content))
    return text_hash("\0".join((*before, text)))


@dataclass(frozen=True, slots=True)
class Prompt:
    """One wording that can be put around a query.

    Raises:
        DataError: The id or the last message is empty, no message has a `{{query}}` slot, or the context holds
            something else than messages.
    """

    id: str
    """Name of the prompt, unique within a prompt set."""

    template: str
    """The last message, the user's, with a literal `{{query}}` where the query goes."""

    context: tuple[Message, ...] = ()
    """The messages before it, such as a system message or worked examples; most prompts have none."""

    def __post_init__(self) -> None:
        if not _is_text(self.id):
            raise DataError(f"a prompt needs a non-empty id in UTF-8, got {self.id!r}")
        object.__setattr__(self, "context", tuple(self.context))
        if not all(isinstance(message, Message) for message in self.context):
            raise DataError(f"prompt {self.id!r}: the context is made of messages, got {self.context!r:.80}")
        contents = (self.template, *(message.content for message in self.context))
        if not isinstance(self.template, str) or not any(SLOT in content for content in contents):
            raise DataError(
                f"prompt {self.id!r}: the template {self.template!r} has no {SLOT} slot; "
                f"write {SLOT} where the query goes, or use Prompt.from_text for a wording that follows the query"
            )
        if not _is_text(self.template):
            raise DataError(
                f"prompt {self.id!r}: the last message, the user's, needs a non-empty text in UTF-8, got "
                f"{self.template!r:.80}; put what is asked there"
            )

    @classmethod
    def from_text(cls, text: str, *, id: str | None = None, context: Iterable[Message] = ()) -> Self:
        """Make a prompt of a bare wording: where no message has a slot, the text follows the query.

        Args:
            text: The wording, with or without a `{{query}}` slot.
            id: Its name; the hash of the wording if not given.
            context: The messages before it.
        """
        context = tuple(context)
        is_template = any(SLOT in content for content in (text, *(message.content for message in context)))
        template = text if is_template else f"{SLOT}\n{text}"
        return cls(id=id or wording_hash(text, context), template=template, context=context)

    @property
    def text(self) -> str:
        """The wording alone, of all messages, without the slot: what features are made of."""
        contents = (*(message.content for message in self.context), self.template)
        return "\n".join(content.replace(SLOT, "").strip() for content in contents).strip()

    def render(self, query: Query) -> str:
        """Return the last message with the query in its slot."""
        return self.template.replace(SLOT, query.text)

    def messages(self, query: Query) -> tuple[Message, ...]:
        """Return the whole conversation that asks the query: what an LLM is sent."""
        before = (Message(message.role, message.content.replace(SLOT, query.text)) for message in self.context)
        return (*before, Message("user", self.render(query)))


@dataclass(frozen=True, slots=True)
class Demonstration:
    """One logged trial: a query asked with a prompt, what came back, and what it was worth.

    Raises:
        DataError: The reward is neither 0, 1 nor None.
    """

    query: Query
    prompt: Prompt
    reward: Reward | None
    """1 for a correct answer, 0 for a wrong one, None where there is none: an error, an unparsed answer."""

    answer: str | None = None

    def __post_init__(self) -> None:
        if self.reward not in (0, 1, None):
            raise DataError(
                f"a reward is 1, 0 or None (missing), got {self.reward!r} for query {self.query.text[:60]!r} "
                f"and prompt {self.prompt.id!r}"
            )
