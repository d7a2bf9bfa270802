"""Candidate prompts that were not in training, beside those that were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from prompt_oirl.arrays import FloatArray
from prompt_oirl.errors import DataError
from prompt_oirl.recommender.ranking import Ranking
from prompt_oirl.recommender.recommendation import Recommendation, ScoredPrompt
from prompt_oirl.records import Prompt, Query

__all__ = ["WithUnseen", "unseen_among"]


def unseen_among(prompts: Sequence[Prompt], known: Sequence[Prompt]) -> tuple[Prompt, ...]:
    """Return the prompts that are not known, after checking that ids and wordings stay distinct.

    Raises:
        DataError: An id is that of another prompt, or a wording has another id already.
    """
    by_id = {prompt.id: prompt for prompt in known}
    id_of_wording = {(prompt.template, prompt.context): prompt.id for prompt in known}
    unseen = []
    for prompt in prompts:
        if prompt == by_id.get(prompt.id):
            continue
        if prompt.id in by_id:
            raise DataError(
                f"prompt {prompt.id!r} is worded {prompt.template[:60]!r} here, and {by_id[prompt.id].template[:60]!r} "
                "in training or above; give it an id of its own"
            )
        same = id_of_wording.setdefault((prompt.template, prompt.context), prompt.id)
        if same != prompt.id:
            raise DataError(f"prompt {prompt.id!r} has the wording of {same!r}; name it so, or drop it")
        by_id[prompt.id] = prompt
        unseen.append(prompt)
    return tuple(unseen)


@dataclass(frozen=True, eq=False)
class WithUnseen:
    """How scores become a recommendation where some candidates were not in training."""

    ranking: Ranking
    """Of the training prompts."""

    unseen: tuple[Prompt, ...]
    may_win: bool
    why: str
    """Why they may win or why not, in one clause."""

    def recommendations(
        self, queries: Sequence[Query], scores: FloatArray, of_unseen: FloatArray
    ) -> list[Recommendation]:
        """Return the recommendation for each query.

        Args:
            queries: The queries.
            scores: (n_queries, n_prompts) of the training prompts.
            of_unseen: (n_queries, n_unseen) of the others; NaN where they cannot be scored.
        """
        if self.may_win:
            found = self._extended().recommendations(queries, np.hstack([scores, of_unseen]))
            return list(map(self._marked, found))
        found = self.ranking.recommendations(queries, scores)
        return list(map(self._listed, found, of_unseen.tolist()))

    def _extended(self) -> Ranking:
        untried = np.full(len(self.unseen), np.nan)
        return replace(
            self.ranking,
            prompts=(*self.ranking.prompts, *self.unseen),
            reliable_rates=np.concatenate([self.ranking.reliable_rates, untried]),
        )

    def _marked(self, made: Recommendation) -> Recommendation:
        """Return a recommendation that says which prompts were not in training."""
        others = tuple(other._replace(is_seen=other.prompt not in self.unseen) for other in made.runners_up)
        if made.prompt not in self.unseen:
            return replace(made, runners_up=others)
        return replace(made, runners_up=others, is_seen=False, reason=f"{made.reason}; not in training: {self.why}")

    def _listed(self, made: Recommendation, scores: list[float]) -> Recommendation:
        """Return a recommendation with the unseen prompts after all others: they could not win."""
        order = np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable")
        listed = [ScoredPrompt(self.unseen[i], scores[i], is_seen=False) for i in order]
        reason = f"{made.reason}; prompts that were not in training cannot win: {self.why}"
        return replace(made, runners_up=(*made.runners_up, *listed), reason=reason)
