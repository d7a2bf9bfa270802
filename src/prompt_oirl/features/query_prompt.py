"""Query features ⊕ prompt features: one row a (query, prompt) pair, for the joint model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, clone

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.errors import NotFittedError, ParameterError, UnseenPromptError
from prompt_oirl.features.checks import finite_features
from prompt_oirl.features.lexical import LexicalFeatures
from prompt_oirl.features.protocol import TextFeatures
from prompt_oirl.records import Prompt, Query

__all__ = ["QueryPromptFeatures", "pair"]


class QueryPromptFeatures(BaseEstimator):  # type: ignore[misc]
    """Concatenate features of the query, of the prompt's wording, and optionally the prompt's number as a category.

    Prompts never seen in training have features if, and only if, there are prompt features and no category.

    Args:
        query_features: Features of the query text; `LexicalFeatures()` if None.
        prompt_features: Features of the prompt's wording; none if None.
        prompt_as_category: Whether the last column is the number of the prompt among those of training.
    """

    query_features_: TextFeatures
    prompt_features_: TextFeatures | None
    prompts_: tuple[Prompt, ...]
    """The prompts of training, in the order of their numbers."""

    def __init__(
        self,
        query_features: TextFeatures | None = None,
        prompt_features: TextFeatures | None = None,
        *,
        prompt_as_category: bool = True,
    ) -> None:
        self.query_features = query_features
        self.prompt_features = prompt_features
        self.prompt_as_category = prompt_as_category

    @property
    def can_score_unseen(self) -> bool:
        """Whether prompts that were not in training have features."""
        return self.prompt_features is not None and not self.prompt_as_category

    def fit(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> Self:
        """Learn the features of the training queries and prompts.

        Raises:
            ParameterError: Nothing would tell one prompt from another.
        """
        if self.prompt_features is None and not self.prompt_as_category:
            raise ParameterError(
                "prompt_features=None and prompt_as_category=False: nothing tells the prompts apart; set one of them"
            )
        query_features = LexicalFeatures() if self.query_features is None else clone(self.query_features)
        self.query_features_ = query_features.fit([query.text for query in queries])
        self.prompt_features_ = None
        if self.prompt_features is not None:
            self.prompt_features_ = clone(self.prompt_features).fit([prompt.text for prompt in prompts])
        self.prompts_ = tuple(prompts)
        return self

    def transform(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> tuple[FloatArray, FloatArray]:
        """Return the (n_queries, a) and (n_prompts, b) float32 arrays whose rows `pair` puts side by side.

        Raises:
            NotFittedError: `fit` was not called.
            UnseenPromptError: A prompt was not in training and only its number would tell it from others.
            DataError: A feature is not finite.
        """
        if not hasattr(self, "prompts_"):
            raise NotFittedError("QueryPromptFeatures was not fitted; call fit with the training queries and prompts")
        of_queries = finite_features(self.query_features_, [query.text for query in queries])
        columns: list[FloatArray] = []
        if self.prompt_features_ is not None:
            columns.append(finite_features(self.prompt_features_, [prompt.text for prompt in prompts]))
        if self.prompt_as_category:
            columns.append(self._numbers(prompts)[:, None])
        return of_queries.astype(np.float32), np.hstack(columns).astype(np.float32)

    def _numbers(self, prompts: Sequence[Prompt]) -> FloatArray:
        number = {prompt: i for i, prompt in enumerate(self.prompts_)}
        unseen = [prompt.id for prompt in prompts if prompt not in number]
        if unseen:
            raise UnseenPromptError(
                f"prompt {unseen[0]!r} was not in training, and its number is a feature; "
                "set prompt_features and prompt_as_category=False to score new prompts"
            )
        return np.array([number[prompt] for prompt in prompts], dtype=np.float64)


def pair(of_queries: FloatArray, of_prompts: FloatArray, rows: IntArray, columns: IntArray) -> FloatArray:
    """Return (n_pairs, a + b) the features of the pairs (rows[i], columns[i])."""
    return np.hstack([of_queries[rows], of_prompts[columns]])
