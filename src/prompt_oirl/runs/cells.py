"""A cell: one sample of one prompt's answer to one query, and the hash that it is bought under only once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from prompt_oirl.errors import ParameterError
from prompt_oirl.records import SLOT, Message, Prompt, Query
from prompt_oirl.runs.configuration import RunConfiguration

__all__ = ["Cell", "CellKeys", "Purpose"]

Purpose = Literal["answer", "critique"]
"""What a call is for: to answer a query, or to judge an answer that is there."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One call that a run makes or has made.

    Raises:
        ParameterError: A field is outside what is allowed.
    """

    key: bytes
    """(16,) hash of everything that the answer depends on; see `CellKeys`."""

    query_id: str
    prompt_id: str
    sample: int = 0
    """Which of the samples of this query × prompt, from 0."""

    propensity: float = 1.0
    """Probability with which the cell was chosen to be bought: 1 where the whole grid is."""

    purpose: Purpose = "answer"
    subject: bytes | None = None
    """Of a critique: the key of the cell whose answer it judges."""

    def __post_init__(self) -> None:
        if len(self.key) != 16 or self.sample < 0 or not 0 < self.propensity <= 1:
            raise ParameterError(
                f"a cell has a key of 16 bytes, a sample of at least 0 and a propensity in (0, 1], got {self}"
            )
        if (self.subject is None) != (self.purpose == "answer"):
            raise ParameterError(f"a critique names the cell that it judges, an answer names none, got {self}")


class CellKeys:
    """Computes the keys of a run's cells: a hash of model, endpoint, sampling parameters, messages and sample.

    The key of the API is no part of it. 128 bits: a million cells collide with a probability of 10⁻²⁷.
    """

    def __init__(self, configuration: RunConfiguration) -> None:
        self._of_configuration = hashlib.sha256(configuration.to_json().encode() + b"\0")

    def of(self, messages: Sequence[Message], sample: int = 0) -> bytes:
        """Return the key of one sample of the answer to these messages."""
        digest = self._of_configuration.copy()
        digest.update(_encode(messages))
        digest.update(b"\0%d" % sample)
        return digest.digest()[:16]

    def of_grid(self, queries: Iterable[Query], prompts: Sequence[Prompt], *, n_samples: int = 1) -> Iterator[bytes]:
        """Yield the keys of all cells, query by query, then prompt by prompt, then sample by sample.

        Each is `of(prompt.messages(query), sample)`, at a fraction of the cost: what is before the first slot is hashed
        once a prompt, and what follows once a query × prompt.
        """
        suffixes = [b"\0%d" % sample for sample in range(n_samples)]
        halves = [self._around_slots(prompt) for prompt in prompts]
        for query in queries:
            text = _json(query.text).encode()[1:-1]
            for before, after in halves:
                digest = before.copy()
                digest.update(b"".join([text + part for part in after]))
                for suffix in suffixes:
                    of_sample = digest.copy()
                    of_sample.update(suffix)
                    yield of_sample.digest()[:16]

    def _around_slots(self, prompt: Prompt) -> tuple[hashlib._Hash, list[bytes]]:
        """Return the hash up to the first slot, and the encoded parts that follow each slot.

        JSON escapes a text character by character and leaves the slot as it is, so the slot may be filled afterwards.
        """
        first, *after = _encode((*prompt.context, Message("user", prompt.template))).split(SLOT.encode())
        before = self._of_configuration.copy()
        before.update(first)
        return before, after


_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _encode(messages: Iterable[Message]) -> bytes:
    return _json([(message.role, message.content) for message in messages]).encode()
