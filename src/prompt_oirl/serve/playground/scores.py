"""The bar chart of the candidates' scores for one query."""

from __future__ import annotations

import math
from dataclasses import dataclass

from prompt_oirl.recommender import Recommendation

__all__ = ["ScoreBar", "ScoreChart", "score_chart"]


@dataclass(frozen=True, slots=True)
class ScoreBar:
    """One prompt's bar; positions are percentages of the chart's width."""

    prompt_id: str
    score: float

    lead: float
    """The score less the best single prompt's."""

    start: float
    width: float
    is_chosen: bool
    is_best_single: bool


@dataclass(frozen=True, slots=True)
class ScoreChart:
    """The candidates, best first."""

    bars: tuple[ScoreBar, ...]
    """Empty where the query was not scored."""

    mark: float
    """Position of the best single prompt's score."""

    zero: float
    """Position of 0; 0 where no score is below it."""

    def first(self, n: int) -> tuple[ScoreBar, ...]:
        """Return the `n` best, and the choice and the best single prompt wherever they are."""
        return tuple(bar for rank, bar in enumerate(self.bars) if rank < n or bar.is_chosen or bar.is_best_single)

    def after(self, n: int) -> tuple[ScoreBar, ...]:
        """Return those that are not among the first `n`."""
        shown = set(self.first(n))
        return tuple(bar for bar in self.bars if bar not in shown)


def score_chart(recommendation: Recommendation, best_single: str) -> ScoreChart:
    """Lay out the scores of a recommendation's prompts on one scale that contains 0.

    Args:
        recommendation: With a score that is NaN for a query that was not scored.
        best_single: Id of the prompt that the others are compared with; the lowest scored stands in where it is none
            of the candidates.
    """
    scores = {other.prompt.id: other.score for other in recommendation.runners_up}
    scores[recommendation.prompt.id] = recommendation.score
    scores = {prompt_id: score for prompt_id, score in scores.items() if math.isfinite(score)}
    if not scores:
        return ScoreChart((), 0.0, 0.0)
    low, high = min(0.0, *scores.values()), max(0.0, *scores.values())
    span = (high - low) or 1.0
    single = scores.get(best_single, min(scores.values()))
    bars = (
        ScoreBar(
            prompt_id=prompt_id,
            score=score,
            lead=score - single,
            start=100 * (min(score, 0.0) - low) / span,
            width=100 * abs(score) / span,
            is_chosen=prompt_id == recommendation.prompt.id,
            is_best_single=prompt_id == best_single,
        )
        for prompt_id, score in scores.items()
    )
    ranked = sorted(bars, key=lambda bar: (-bar.score, not bar.is_chosen))
    return ScoreChart(tuple(ranked), 100 * (single - low) / span, -100 * low / span)
