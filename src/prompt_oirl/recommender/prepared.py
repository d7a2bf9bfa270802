"""A recommender made ready to answer fast: what depends on training and prompts alone is computed once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from prompt_oirl.arrays import FloatArray
from prompt_oirl.errors import NotFittedError
from prompt_oirl.policies import BestOfN, Policy
from prompt_oirl.recommender.recommendation import Recommendation
from prompt_oirl.records import SLOT, Prompt, Query
from prompt_oirl.reward.prepared import prepare

if TYPE_CHECKING:
    from prompt_oirl.recommender.recommender import Recommender

__all__ = ["PreparedRecommender"]

_MANY = 8
"""Queries from which on arrays pay; fewer are scored one by one."""


class PreparedRecommender:
    """Recommends as the fitted recommender does; its answers never change, and threads may share it.

    Args:
        recommender: Fitted; it may keep this, so this does not keep it.

    Raises:
        NotFittedError: The recommender is not fitted.
    """

    policy: Policy
    prompts: tuple[Prompt, ...]
    best_single: int
    """Index of the best single prompt."""

    is_quick: bool
    """Whether one query of common length takes about a millisecond or less; False for what a thread should do."""

    def __init__(self, recommender: Recommender) -> None:
        if not hasattr(recommender, "policy_"):
            raise NotFittedError("this Recommender is not fitted yet; call fit(demonstrations) before prepare()")
        self.policy = recommender.policy_
        self.prompts = recommender.prompts_
        self._ranking = recommender.ranking
        self.best_single = self._ranking.best_single
        self._rates = _untried_last(self._ranking.reliable_rates)
        self._scorer = prepare(self.policy.model, self.prompts) if isinstance(self.policy, BestOfN) else None
        self.is_quick = self._scorer is None or self._scorer.is_quick

    def score(self, query: str) -> FloatArray:
        """Return (n_prompts,) the scores of all prompts for a query.

        Raises:
            DataError: The query is empty.
        """
        scores: FloatArray = self.scores_of([Query(query)])[0]
        return scores

    def scores_of(self, queries: Sequence[Query]) -> FloatArray:
        """Return (n_queries, n_prompts) the scores of all prompts.

        Where one prompt serves all, these are the success rates that each can be relied on for; see `reliable_rates`.
        """
        if self._scorer is None:
            return np.tile(self._rates, (len(queries), 1))
        if self._scorer.is_quick and 0 < len(queries) < _MANY:
            return np.stack([self._scorer.score_one(query) for query in queries])
        return self._scorer.score_many(queries)

    def recommend(self, query: str, *, among: Sequence[int] | None = None) -> Recommendation:
        """Recommend a prompt for one query.

        Args:
            query: The text.
            among: Indices of the prompts to choose among; all of them if None. Where the best single prompt is not
                among them, the most successful of them takes its place.

        Raises:
            DataError: The query is empty.
            ParameterError: `among` is empty, has an index twice, or one that is out of range.
        """
        asked = [Query(query)]
        return self.rank(asked, self.scores_of(asked), among=among)[0]

    def rank(
        self, queries: Sequence[Query], scores: FloatArray, *, among: Sequence[int] | None = None
    ) -> list[Recommendation]:
        """Return the recommendations that (n_queries, n_prompts) scores lead to; see `recommend`.

        Raises:
            ParameterError: As for `recommend`.
        """
        if among is None:
            return self._ranking.recommendations(queries, scores)
        return self._ranking.among(among).recommendations(queries, scores[:, list(among)])

    def fall_back(self, query: str = "", *, among: Sequence[int] | None = None) -> Recommendation:
        """Return the best single prompt without scoring: its score is NaN, and it has no runners-up.

        Args:
            query: The text; without one the recommendation's query is the slot `{{query}}`, and so its messages are
                the prompt's templates.
            among: As for `recommend`.

        Raises:
            ParameterError: As for `recommend`.
        """
        ranking = self._ranking if among is None else self._ranking.among(among)
        return ranking.fall_back(Query(query if query.strip() else SLOT))


def _untried_last(rates: FloatArray) -> FloatArray:
    """Return the rates with a number for prompts without a scored trial, which is no higher than any other."""
    return np.nan_to_num(rates, nan=min(0.0, float(np.nanmin(rates))))
