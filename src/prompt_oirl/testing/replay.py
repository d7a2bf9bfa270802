"""A simulated LLM that repeats recorded answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from prompt_oirl.errors import DataError
from prompt_oirl.sources.questions import Dataset, Part
from prompt_oirl.sources.release import Release
from prompt_oirl.testing.chat_completions import ChatRequest

__all__ = ["ReplayAnswerer"]


@dataclass(frozen=True)
class ReplayAnswerer:
    """Answers with what was recorded for the last message of the user, and nothing else.

    Where a message has several recorded answers they are given in turn, one each time that it is answered, and from
    the first again after the last.

    Raises:
        DataError: A message has no answer.
    """

    answers: Mapping[str, Sequence[str]]
    """From the rendered message to what was answered to it."""

    def __post_init__(self) -> None:
        for message, recorded in self.answers.items():
            if isinstance(recorded, str) or not recorded:
                raise DataError(f"{message[:60]!r} has {recorded!r:.60}; a list of at least one answer is needed")

    @classmethod
    def from_release(
        cls, release: Release, dataset: Dataset = "gsm8k", *, part: Part = "test", aliases: Sequence[str] | None = None
    ) -> Self:
        """Take what LLaMA-2 answered in the paper's logs, to the messages as they were sent.

        Args:
            release: The release.
            dataset: Which data set. MAWPS and SVAMP answers are in a clone of the release only.
            part: The paper's training rows, its test rows, or all.
            aliases: Of the prompts; all sixteen if not given.

        Raises:
            DataNotFoundError: A file is missing.
            FileFormatError: A file is malformed.
            ParameterError: There is no such prompt, or it was not asked on these rows.
        """
        questions = release.questions(dataset).select(part)
        by_alias = {prompt.alias: prompt for prompt in release.prompts}
        answers: dict[str, list[str]] = {}
        for alias in aliases or by_alias:
            recorded = release.answers(dataset, alias, part=part)
            sent = by_alias[alias].as_sent(dataset)
            for question, answer in zip(questions, recorded, strict=True):
                answers.setdefault(sent.render(question.query), []).append(answer)
        return cls(answers)

    def answer(self, request: ChatRequest, occurrence: int) -> str | None:
        """Return a recorded answer; None for a message that has none."""
        recorded = self.answers.get(request.text)
        return None if recorded is None else recorded[occurrence % len(recorded)]
