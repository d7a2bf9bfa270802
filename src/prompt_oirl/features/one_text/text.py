"""A text as a list of tokens, with what each form counts for looked up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

from prompt_oirl.features.one_text.form import FORMS, Form
from prompt_oirl.features.tokens import written_tokens

__all__ = ["OneText"]


@dataclass(frozen=True, eq=False)
class OneText:
    """The tokens of one text."""

    written: list[str]
    """The tokens as written, with the white space before them."""

    forms: list[Form]

    @classmethod
    def of(cls, text: str) -> Self:
        """Split a text into words, numbers and marks."""
        written = written_tokens(text)
        return cls(written, list(map(FORMS.__getitem__, written)))

    @cached_property
    def sentence_ends(self) -> list[int]:
        """Places of the tokens that end a sentence which another follows; see `Tokens.sentence_ends`."""
        forms, last_content = self.forms, len(self.forms) - 1
        while last_content >= 0 and not forms[last_content].is_wordlike:
            last_content -= 1
        stops = [i for i, form in enumerate(forms[: max(last_content, 0)]) if form.is_stop]
        return [i for i in stops if not forms[i + 1].is_stop and not (i and forms[i - 1].is_title)]

    @property
    def last_sentence(self) -> int:
        """Place of the first token of the last sentence."""
        return self.sentence_ends[-1] + 1 if self.sentence_ends else 0
