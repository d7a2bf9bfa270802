"""A reward model for typed worlds: fitted in a millisecond, and known in closed form without a group of queries."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ParameterError
from prompt_oirl.records import Prompt, Query
from prompt_oirl.reward.checks import check_fitted, check_learnable, prompt_columns

__all__ = ["TypeMeans"]


class TypeMeans(BaseEstimator):  # type: ignore[misc]
    """Score each prompt by its success rate on queries of the same type, smoothed.

    Scores are drawn to the prompt's success rate on all queries, shifted by how much easier the type is. A query of a
    type that was not in training has the success rates on all queries.

    Args:
        attribute: What the type is read from: the word that follows this one in the text. Texts without it are of one
            type. Of a `TypedWorld`'s attributes only "type" has to do with rewards.
        prior_trials: So many trials of each type and prompt are what the smoothing counts for.
    """

    prompts_: tuple[Prompt, ...]

    row_of_type_: dict[str, int]
    """Row in `scores_` of each type."""

    scores_: FloatArray
    """(n_types + 1, n_prompts) scores; the last row is for any other type."""

    def __init__(self, attribute: str = "type", *, prior_trials: float = 20.0) -> None:
        self.attribute = attribute
        self.prior_trials = prior_trials

    @property
    def gives_probabilities(self) -> bool:
        """False: sums of effects may lie outside 0 … 1."""
        return False

    def fit(self, demonstrations: Demonstrations) -> Self:
        """Learn from demonstrations and return self.

        Raises:
            DataError: A prompt has no scored trial, or fewer than two queries have one.
            ParameterError: `prior_trials` is not positive.
        """
        self._check_parameters()
        learnable = check_learnable(demonstrations)
        names = self._types(learnable.queries)
        self.row_of_type_ = {name: row for row, name in enumerate(dict.fromkeys(names))}
        rows = np.array([*(self.row_of_type_[name] for name in names), len(self.row_of_type_)])
        counts = [np.vstack([of, np.zeros(learnable.n_prompts)]) for of in (learnable.successes, learnable.trials)]
        self.scores_ = self._scores(*(_sums(of, rows) for of in counts), *(of.sum(axis=0) for of in counts))
        self.prompts_ = learnable.prompts
        return self

    def score(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> FloatArray:
        """Return (n_queries, n_prompts) smoothed success rates.

        Raises:
            NotFittedError: `fit` was not called.
            UnseenPromptError: A prompt was not in training.
        """
        check_fitted(self)
        columns = prompt_columns(self, self.prompts_, prompts)
        rows = [self.row_of_type_.get(name, len(self.scores_) - 1) for name in self._types(queries)]
        return self.scores_[np.array(rows, dtype=np.int64)][:, columns]

    def leave_groups_out(self, demonstrations: Demonstrations, partitions: Sequence[IntArray]) -> FloatArray:
        """Return (n_partitions, n_queries, n_prompts) each query's scores by the model fitted without its group.

        Args:
            demonstrations: Training demonstrations; every query needs a scored trial.
            partitions: Each (n_queries,) group numbers.

        Raises:
            ParameterError: `prior_trials` is not positive.
        """
        self._check_parameters()
        _, types = np.unique(self._types(demonstrations.queries), return_inverse=True)
        return np.array([self._leave_out(demonstrations, types, groups) for groups in partitions])

    def _leave_out(self, demonstrations: Demonstrations, types: IntArray, groups: IntArray) -> FloatArray:
        of_both = np.unique(np.column_stack([groups, types]), axis=0, return_inverse=True)[1].reshape(-1)
        counts = (demonstrations.successes, demonstrations.trials)
        of_type = (_sums(of, types)[types] - _sums(of, of_both)[of_both] for of in counts)
        of_all = (of.sum(axis=0) - _sums(of, groups)[groups] for of in counts)
        return self._scores(*of_type, *of_all)

    def _scores(
        self, successes: FloatArray, trials: FloatArray, all_successes: FloatArray, all_trials: FloatArray
    ) -> FloatArray:
        """Return (n, n_prompts) scores of counts on queries of the type and on all queries."""
        rates = all_successes / np.maximum(all_trials, 1)
        surplus = (successes - trials * rates).sum(axis=1, keepdims=True)
        easier = surplus / np.maximum(trials.sum(axis=1, keepdims=True), 1)
        scores: FloatArray = (successes + self.prior_trials * (rates + easier)) / (trials + self.prior_trials)
        return scores

    def _types(self, queries: Sequence[Query]) -> list[str]:
        pattern = re.compile(rf"\b{re.escape(self.attribute)} (\w+)")
        found = (pattern.search(query.text) for query in queries)
        return ["" if match is None else match[1] for match in found]

    def _check_parameters(self) -> None:
        if not self.prior_trials > 0:
            raise ParameterError(f"prior_trials={self.prior_trials}: a positive number is needed")


def _sums(counts: IntArray | FloatArray, labels: IntArray) -> FloatArray:
    """Return (n_labels, n_prompts) the counts of the queries with each label, added up."""
    return np.column_stack([np.bincount(labels, weights=of_prompt) for of_prompt in counts.T])
