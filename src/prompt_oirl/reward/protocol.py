"""The reward model Υ: scores every query × prompt without calling an LLM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self, runtime_checkable

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.records import Prompt, Query

__all__ = ["LeavesGroupsOut", "RewardModel", "ScoresUnseenPrompts"]


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
    """A reward model that knows, without fitting again, what it would score without groups of queries."""

    def leave_groups_out(self, demonstrations: Demonstrations, partitions: Sequence[IntArray]) -> FloatArray:
        """Return (n_partitions, n_queries, n_prompts) each query's scores by the model fitted without its group.

        Args:
            demonstrations: Training demonstrations; every query needs a scored trial.
            partitions: Ways to part the queries, each (n_queries,) group numbers; a group may be a whole fold.
        """
        ...


@runtime_checkable
class ScoresUnseenPrompts(Protocol):
    """A reward model that says whether it scores prompts that were not in training; one that says nothing does not."""

    @property
    def can_score_unseen(self) -> bool:
        """Whether it does, with the parameters that it has."""
        ...


class PreparedScorer(Protocol):
    """Scores the same prompts again and again, as `RewardModel.score` does, up to rounding; threads may share it."""

    @property
    def is_quick(self) -> bool:
        """Whether one query takes about a millisecond or less, so that nobody need wait for it in another thread."""
        ...

    def score_one(self, query: Query) -> FloatArray:
        """Return (n_prompts,) the scores for one query."""
        ...

    def score_many(self, queries: Sequence[Query]) -> FloatArray:
        """Return (n_queries, n_prompts) the scores for many queries."""
        ...


@runtime_checkable
class CanPrepare(Protocol):
    """A reward model that can be made ready to score the same prompts faster than `score` does."""

    def prepare(self, prompts: Sequence[Prompt]) -> PreparedScorer:
        """Compute what depends on training and prompts alone, and return what scores these prompts.

        Raises:
            NotFittedError: `fit` was not called.
            UnseenPromptError: A prompt was not in training and the model cannot score unseen prompts.
        """
        ...
