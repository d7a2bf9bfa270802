"""The reward model Υ: scores every query × prompt without calling an LLM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self, runtime_checkable

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.records import Prompt, Query

__all__ = ["LeavesGroupsOut", "RewardModel"]


@runtime_checkable
class RewardModel(Protocol):
    """Learns from demonstrations how good each prompt is for a query.

    Scores are compared within a query only. A model that estimates the success probability says so with
    `gives_probabilities`; only then may its scores be compared with a threshold or scored as a classifier.
    """

    @property
    def gives_probabilities(self) -> bool:
        """Whether scores estimate P(reward = 1 | query, prompt)."""
        ...

    def fit(self, demonstrations: Demonstrations) -> Self:
        """Learn from demonstrations and return self.

        Raises:
            DataError: The demonstrations cannot be learnt from.
        """
        ...

    def score(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> FloatArray:
        """Return (n_queries, n_prompts) scores, higher for better.

        Raises:
            NotFittedError: `fit` was not called.
            UnseenPromptError: A prompt was not in training and the model cannot score unseen prompts.
        """
        ...


@runtime_checkable
class LeavesGroupsOut(Protocol):
    """A reward model that knows, without fitting again, what it would score without a group of queries."""

    def leave_group_out(self, demonstrations: Demonstrations, groups: IntArray) -> FloatArray:
        """Return (n_queries, n_prompts) each query's scores by the model fitted without its group.

        Args:
            demonstrations: Training demonstrations; every query needs a scored trial.
            groups: (n_queries,) group numbers.
        """
        ...
