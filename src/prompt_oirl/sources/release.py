"""The release of the paper as one object: its prompts, questions, logs, answers and published results.

Paper: arXiv 2309.06553; release: https://github.com/holarissun/Prompt-OIRL.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from prompt_oirl.errors import ParameterError
from prompt_oirl.sources.critics import Critics, read_critics
from prompt_oirl.sources.data_folder import data_folder, release_folder
from prompt_oirl.sources.logged_trials import UNSCORED, LoggedTrials
from prompt_oirl.sources.prompt_embeddings import PromptEmbeddings, read_prompt_embeddings
from prompt_oirl.sources.questions import Dataset, Part, QuestionSet, read_questions
from prompt_oirl.sources.release_logs import read_all_labels, read_answers
from prompt_oirl.sources.release_prompts import TRAINING_PROMPTS, ReleasePrompt, read_release_prompts
from prompt_oirl.sources.selection_arrays import LLM, SelectionArrays, find_cell, read_selection_arrays

__all__ = ["Release"]


@dataclass(frozen=True)
class Release:
    """The released logs and the question sets in a data folder; nothing is read before it is asked for.

    Raises:
        DataNotFoundError: The folder does not hold the release; see `prompt_oirl.sources.data_folder`.
    """

    folder: Path
    """A data folder."""

    def __post_init__(self) -> None:
        release_folder(self.folder)

    @classmethod
    def find(cls, folder: Path | str | None = None) -> Release:
        """Return the release in `folder`, else in `$PROMPT_OIRL_DATA`, else in the user cache.

        Raises:
            DataNotFoundError: It is not there.
        """
        return cls(data_folder(folder))

    @property
    def root(self) -> Path:
        """The root of the release within the data folder."""
        return release_folder(self.folder)

    @cached_property
    def prompts(self) -> tuple[ReleasePrompt, ...]:
        """The sixteen prompts: six training prompts, ten held-out ones."""
        return read_release_prompts(self.root)

    def questions(self, dataset: Dataset) -> QuestionSet:
        """Read the questions and gold answers of a data set, row by row.

        Raises:
            DataNotFoundError: A file is missing.
            FileFormatError: A file is malformed.
        """
        return read_questions(self.folder, dataset)

    def trials(self, llm: LLM, dataset: Dataset, *, count_failed_logs_as_wrong: bool = False) -> LoggedTrials:
        """Read the logged trials of an LLM on a data set.

        LLaMA-2: all rows, sixteen prompts (the held-out ones on test rows only). GPT-3.5 and TigerBot: the test
        rows and six prompts, recovered from the selection arrays.

        Args:
            llm: Which LLM.
            dataset: Which data set.
            count_failed_logs_as_wrong: Keep prompts without a single correct answer (TigerBot on MAWPS, four of
                them) as wrong answers, as the paper does. By default they are failed logs: asked, without a reward.

        Raises:
            DataNotFoundError: A file is missing.
            FileFormatError: A file is malformed.
            ParameterError: The release has no such LLM or data set.
        """
        if llm == "llama-2-7b-chat":
            return self._llama_trials(dataset)
        return self._recovered_trials(llm, dataset, count_failed_logs_as_wrong)

    def _llama_trials(self, dataset: Dataset) -> LoggedTrials:
        rows = self.questions(dataset)
        labels = read_all_labels(
            self.root, dataset, self.prompts, n_rows=len(rows.questions), n_train_rows=rows.n_train_rows
        )
        prompts = tuple(prompt.as_sent(dataset) for prompt in self.prompts)
        return LoggedTrials("llama-2-7b-chat", dataset, rows.questions, prompts, labels, rows.n_train_rows)

    def _recovered_trials(self, llm: LLM, dataset: Dataset, count_failed_logs_as_wrong: bool) -> LoggedTrials:
        arrays = self.selection_arrays(llm, dataset)
        cell = find_cell(llm, dataset)
        labels = arrays.test_labels.astype(np.int8)
        if not count_failed_logs_as_wrong:
            labels[:, arrays.failed_prompts] = UNSCORED
        return LoggedTrials(
            llm,
            dataset,
            self.questions(dataset).questions[cell.first_row : cell.first_row + cell.n_test],
            tuple(self.prompts[index].as_sent(dataset) for index in TRAINING_PROMPTS),
            labels,
            n_train_rows=0,
            first_row=cell.first_row,
        )

    def answers(self, dataset: Dataset, alias: str, *, part: Part = "test") -> tuple[str, ...]:
        """Read what LLaMA-2 answered to one prompt, row by row, in the order of `questions(dataset).select(part)`.

        Args:
            dataset: Which data set. MAWPS and SVAMP answers are in a clone of the release only.
            alias: Of the prompt.
            part: The paper's training rows, its test rows, or all.

        Raises:
            DataNotFoundError: A file is missing.
            FileFormatError: A file is malformed.
            ParameterError: There is no such prompt, or it was not asked on these rows.
        """
        by_alias = {prompt.alias: prompt for prompt in self.prompts}
        if alias not in by_alias:
            raise ParameterError(f"the release has no prompt {alias!r}; it has {', '.join(by_alias)}")
        rows = self.questions(dataset)
        return read_answers(
            self.root,
            dataset,
            by_alias[alias],
            part=part,
            n_rows=len(rows.questions),
            n_train_rows=rows.n_train_rows,
        )

    def selection_arrays(self, llm: LLM, dataset: Dataset) -> SelectionArrays:
        """Read the published selection results; see `read_selection_arrays`."""
        return read_selection_arrays(self.root, llm, dataset)

    def critics(self, llm: LLM, dataset: Dataset) -> Critics:
        """Read the LLM's critique of its own answers; see `read_critics`."""
        return read_critics(self.root, llm, dataset)

    def prompt_embeddings(self) -> PromptEmbeddings:
        """Read the embeddings of the prompts; see `read_prompt_embeddings`."""
        return read_prompt_embeddings(self.root)
