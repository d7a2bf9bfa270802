"""How many tokens a request has: estimated, measured on answers that are there, or counted with a tokenizer.

Nothing is downloaded. A chat server puts a few tokens around each message that no text shows; the rule here is 4 tokens
a message, for its role and its marks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from prompt_oirl.errors import DataNotFoundError, FileFormatError, ParameterError
from prompt_oirl.optional import import_optional
from prompt_oirl.records import Message
from prompt_oirl.runs.outcomes import Completion

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["CharacterCounter", "MeasuredCounter", "TokenCounter", "TokenizerCounter", "answer_estimate", "counter_for"]

_TOKENS_PER_MESSAGE = 4
_FEWEST_MEASURED = 10
_MOST_MEASURED = 2000


@runtime_checkable
class TokenCounter(Protocol):
    """Says how many tokens a request has, and what that rests on."""

    @property
    def basis(self) -> str:
        """What the counts rest on, to be shown beside them."""
        ...

    def count(self, messages: Sequence[Message]) -> int:
        """Return the tokens of a request."""
        ...


@dataclass(frozen=True, slots=True)
class CharacterCounter:
    """Estimates 4 characters a token, and 4 tokens more a message.

    A character beyond ASCII counts as its bytes in UTF-8, because tokenizers spend more tokens on it: a Chinese one is
    three quarters of a token here, not a quarter.
    """

    @property
    def basis(self) -> str:
        """That it is an estimate."""
        return "estimated: 4 characters per token"

    def count(self, messages: Sequence[Message]) -> int:
        """Return the tokens of a request, estimated."""
        return math.ceil(_n_bytes(messages) / 4) + _TOKENS_PER_MESSAGE * len(messages)


@dataclass(frozen=True, slots=True)
class MeasuredCounter:
    """Estimates with the tokens per byte of UTF-8 that the server counted in requests it has answered.

    Raises:
        ParameterError: There is nothing to measure on.
    """

    tokens_per_byte: float
    n_calls: int
    """Stored calls that it was measured on."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.tokens_per_byte) and self.tokens_per_byte > 0 and self.n_calls >= 1):
            raise ParameterError(f"tokens are measured on at least one call that the server counted, got {self}")

    @classmethod
    def fit(cls, examples: Iterable[tuple[Sequence[Message], Completion]]) -> Self:
        """Measure on requests and what was answered; those that the server did not count are left out.

        Raises:
            ParameterError: There is none that it did count.
        """
        counted = [
            (completion.prompt_tokens, _n_bytes(messages))
            for messages, completion in examples
            if completion.prompt_tokens
        ]
        n_tokens, n_bytes = (sum(column) for column in zip(*counted, strict=True)) if counted else (0, 1)
        return cls(n_tokens / n_bytes, len(counted))

    @property
    def basis(self) -> str:
        """How many calls it was measured on."""
        return f"measured on {self.n_calls:,} stored calls"

    def count(self, messages: Sequence[Message]) -> int:
        """Return the tokens of a request, estimated."""
        return math.ceil(_n_bytes(messages) * self.tokens_per_byte)


class TokenizerCounter:
    """Counts with a model's own tokenizer, and adds 4 tokens a message for what a chat puts around it.

    Args:
        path: A `tokenizer.json`, as models are published with, or a folder that holds one.

    Raises:
        DataNotFoundError: There is no such file.
        FileFormatError: It is no tokenizer.
        MissingDependencyError: The extra `tokenizers` is not installed.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path) / "tokenizer.json" if Path(path).is_dir() else Path(path)
        self._tokenizer = _read_tokenizer(self.path)

    @property
    def basis(self) -> str:
        """That it was counted."""
        return f"counted with {self.path.name}"

    def count(self, messages: Sequence[Message]) -> int:
        """Return the tokens of a request."""
        contents = (self._tokenizer.encode(message.content, add_special_tokens=False) for message in messages)
        return sum(len(content) + _TOKENS_PER_MESSAGE for content in contents)


def counter_for(
    tokenizer: Path | str | None = None, examples: Iterable[tuple[Sequence[Message], Completion]] = ()
) -> TokenCounter:
    """Return the best counter at hand: a tokenizer, else one measured on stored calls, else an estimate.

    Args:
        tokenizer: A `tokenizer.json` or a folder that holds one.
        examples: Requests and what was answered, of which the first 2,000 are read; 10 that the server counted are
            needed.

    Raises:
        DataNotFoundError: There is no such tokenizer.
        FileFormatError: It is no tokenizer.
    """
    if tokenizer is not None:
        return TokenizerCounter(tokenizer)
    counted = [example for example in islice(examples, _MOST_MEASURED) if example[1].prompt_tokens]
    return MeasuredCounter.fit(counted) if len(counted) >= _FEWEST_MEASURED else CharacterCounter()


def answer_estimate(counter: TokenCounter, text: str) -> int:
    """Return the tokens of an answer that the server did not count."""
    return counter.count([Message("assistant", text)]) if text.strip() else 0


def _n_bytes(messages: Iterable[Message]) -> int:
    return sum(len(message.content.encode()) for message in messages)


def _read_tokenizer(path: Path) -> Tokenizer:
    if not path.is_file():
        raise DataNotFoundError(f"{path} is no file; name a tokenizer.json, or a folder that holds one")
    tokenizers = import_optional("tokenizers", extra="tokenizers")
    try:
        tokenizer: Tokenizer = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the package raises nothing more precise
        raise FileFormatError(path, f"is no tokenizer of the package tokenizers: {error}") from error
    # A saved limit of length would cut what is counted.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
