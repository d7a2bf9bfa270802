"""From scores to a recommendation: which prompt, in what order the others come, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from prompt_oirl.arrays import FloatArray
from prompt_oirl.errors import ParameterError
from prompt_oirl.policies import best_of_scores
from prompt_oirl.recommender.recommendation import Recommendation, ScoredPrompt
from prompt_oirl.records import Prompt, Query

__all__ = ["Ranking"]


@dataclass(frozen=True, eq=False)
class Ranking:
    """What a recommendation needs besides the scores; it chooses as `BestOfN` does."""

    prompts: tuple[Prompt, ...]
    """The prompts to choose among."""

    reliable_rates: FloatArray
    """(n_prompts,) the success rate that each prompt can be relied on for; NaN for one without a scored trial."""

    best_single: int
    """Index of the best single prompt; where that is not among the prompts, of the best of them by the same rule."""

    head_start: float
    """Added to the best single prompt's scores."""

    chooses_per_query: bool
    """False where choosing per query has not been shown to pay, and the scores are the reliable rates."""

    is_stand_in: bool = False
    """Whether the best single prompt is not among the prompts, and `best_single` takes its place."""

    def among(self, indices: Sequence[int]) -> Ranking:
        """Return the ranking of some of the prompts.

        Raises:
            ParameterError: There is no index, one is out of range, or one is given twice.
        """
        chosen = list(indices)
        if not chosen or len(set(chosen)) < len(chosen) or not all(0 <= i < len(self.prompts) for i in chosen):
            raise ParameterError(
                f"among={chosen[:10]}: at least one index into the {len(self.prompts)} prompts, each once, is needed"
            )
        rates = self.reliable_rates[chosen]
        is_there = self.best_single in chosen
        best = chosen.index(self.best_single) if is_there else int(np.where(np.isnan(rates), -np.inf, rates).argmax())
        return replace(
            self,
            prompts=tuple(self.prompts[i] for i in chosen),
            reliable_rates=rates,
            best_single=best,
            is_stand_in=self.is_stand_in or not is_there,
        )

    def recommendations(self, queries: Sequence[Query], scores: FloatArray) -> list[Recommendation]:
        """Return the recommendation for each query.

        Args:
            queries: The queries.
            scores: (n_queries, n_prompts) higher for better; NaN comes last.
        """
        choices = best_of_scores(scores, head_start=self.head_start, best_single=self.best_single).tolist()
        orders = np.argsort(-scores, axis=1, kind="stable").tolist()
        return list(map(self._recommendation, queries, scores.tolist(), choices, orders))

    def fall_back(self, query: Query) -> Recommendation:
        """Return the best single prompt, with a score of NaN and no runners-up, because nothing was scored."""
        reason = f"{self._title} {self.prompts[self.best_single].id!r}: the query was not scored"
        return Recommendation(query, self.prompts[self.best_single], float("nan"), (), reason)

    def _recommendation(self, query: Query, scores: list[float], choice: int, order: list[int]) -> Recommendation:
        prompts = self.prompts
        order.remove(choice)
        return Recommendation(
            query=query,
            prompt=prompts[choice],
            score=scores[choice],
            runners_up=tuple([ScoredPrompt(prompts[i], scores[i]) for i in order]),
            reason=self._reason(choice, max(scores) - scores[self.best_single]),
        )

    def _reason(self, choice: int, lead: float) -> str:
        """Return why the prompt was chosen; `lead` is the highest score less the best single prompt's."""
        best_single = self.prompts[self.best_single].id
        if not self.chooses_per_query and self.is_stand_in:
            return f"{self._title}: choosing per query has not been shown to pay here"
        if not self.chooses_per_query:
            return f"one prompt for all queries: choosing per query has not been shown to beat {best_single!r} here"
        if choice != self.best_single:
            return f"scores {lead:.3f} above {self._title} {best_single!r}"
        if lead > 0:
            return f"{self._title}: another scores {lead:.3f} higher, over {self.head_start:.3f} is needed"
        return f"{self._title}, and the highest score for this query too"

    @property
    def _title(self) -> str:
        """What reasons call the prompt at `best_single`."""
        return "the most successful candidate" if self.is_stand_in else "the best single prompt"
