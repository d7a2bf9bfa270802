"""Why a query got its prompt: every score, by how much the best is ahead, and what happened on queries like it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from prompt_oirl.recommender.logged_queries import LoggedQuery
from prompt_oirl.recommender.recommendation import Recommendation, ScoredPrompt, json_score

__all__ = ["Explanation"]


@dataclass(frozen=True)
class Explanation:
    """A recommendation and what it rests on."""

    recommendation: Recommendation
    best_single: str
    """Id of the best single prompt."""

    margin: float
    """The highest score, of the prompts that may win, less the best single prompt's."""

    head_start: float
    """How large the margin must be at least for another prompt to be chosen."""

    nearest: tuple[LoggedQuery, ...] = ()
    """The training queries most like this one, most similar first."""

    has_logged_queries: bool = True
    """Whether there are training demonstrations to look for them in."""

    @classmethod
    def of(
        cls,
        recommendation: Recommendation,
        *,
        best_single: str,
        head_start: float,
        may_unseen_win: bool,
        nearest: tuple[LoggedQuery, ...] | None,
    ) -> Self:
        """Explain a recommendation; `nearest` is None where there are no training demonstrations."""
        scores = {recommendation.prompt.id: recommendation.score}
        scores |= {
            other.prompt.id: other.score for other in recommendation.runners_up if other.is_seen or may_unseen_win
        }
        margin = max(scores.values()) - scores[best_single]
        return cls(recommendation, best_single, margin, head_start, nearest or (), nearest is not None)

    @property
    def margin_over_head_start(self) -> float:
        """Below or at 0 the best single prompt is kept."""
        return self.margin - self.head_start

    @property
    def is_best_single_kept(self) -> bool:
        """Whether the best single prompt was chosen; the recommendation's reason says why."""
        return self.recommendation.prompt.id == self.best_single

    @property
    def scores(self) -> tuple[ScoredPrompt, ...]:
        """Every candidate: the chosen prompt, and then the others, best first."""
        made = self.recommendation
        return (ScoredPrompt(made.prompt, made.score, is_seen=made.is_seen), *made.runners_up)

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return self.recommendation.to_dict() | {
            "best_single_prompt": self.best_single,
            "is_best_single_kept": self.is_best_single_kept,
            "margin": json_score(self.margin),
            "head_start": self.head_start,
            "margin_over_head_start": json_score(self.margin_over_head_start),
            "scores": [scored.to_dict() for scored in self.scores],
            "nearest": [query.to_dict() for query in self.nearest],
            "has_logged_queries": self.has_logged_queries,
        }
