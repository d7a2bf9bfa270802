"""Abstention: leave the best single prompt only where another is ahead by enough, and what each such rule gains.

A reward model's margin for a query is its highest score less the best single prompt's. By falling margin more and more
queries leave the best single prompt: the curve of what that gains, and the margin under which to abstain.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from prompt_oirl.arrays import BoolArray, FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.evaluation.chosen import chosen_rewards
from prompt_oirl.evaluation.estimate import Estimate
from prompt_oirl.evaluation.gains import gain
from prompt_oirl.evaluation.simultaneous import simultaneous_bounds

__all__ = ["RiskCoverage", "RiskCoveragePoint", "risk_coverage"]

_LEFT_TO_THE_RULE = "whether to choose per query at all is the no-harm rule's decision, not this curve's"


@dataclass(frozen=True)
class RiskCoveragePoint:
    """The rule that a query leaves the best single prompt where its margin is at least so large."""

    threshold: float
    """The smallest margin that leaves, in units of the score."""

    n_queries: int
    """Queries that leave."""

    share: float
    """Those queries as a share of all, each counted as often as it was asked."""

    gain: Estimate
    """Over all queries: 0 for those that stay."""

    gain_low: float
    """Lower bound of that gain which holds for all points of the curve at once."""

    gain_of_leaving: Estimate | None
    """Over the queries that leave alone; None where fewer than two groups of them have trials of both prompts."""

    def __str__(self) -> str:
        return f"margin ≥ {self.threshold:.3g}: {self.share:.0%} leave, gain {self.gain}"


@dataclass(frozen=True)
class RiskCoverage:
    """What is gained as more queries leave the best single prompt, those with the largest margins first."""

    points: tuple[RiskCoveragePoint, ...]
    """By falling threshold; empty where no query has a margin above zero."""

    level: float
    """Of the intervals, which are two-sided and for one point each, and of the lower bounds `gain_low`, which are
    one-sided and for all points together."""

    n_queries: int
    n_groups: int

    @property
    def best(self) -> RiskCoveragePoint | None:
        """The point with the highest lower bound, the larger threshold of equals; None where none is above zero."""
        shown = [point for point in self.points if point.gain_low > 0]
        return max(shown, key=lambda point: (point.gain_low, point.threshold), default=None)

    @property
    def widest(self) -> RiskCoveragePoint | None:
        """The point at which most queries leave while the gain is still shown; None where it never is."""
        shown = [point for point in self.points if point.gain_low > 0]
        return min(shown, key=lambda point: point.threshold, default=None)

    @property
    def threshold(self) -> float | None:
        """The margin under which to abstain, that of `best`; None where no point is shown to gain."""
        return None if self.best is None else self.best.threshold

    @property
    def reason(self) -> str:
        """What the threshold rests on, or why there is none, in one sentence."""
        if not self.points:
            return (
                "No query scores another prompt above the best single one, so this curve names no threshold; "
                f"{_LEFT_TO_THE_RULE}."
            )
        if self.best is None:
            return (
                f"No threshold is shown to gain where all {len(self.points)} are looked at together (lower bounds at "
                f"{self.level:.0%}), so this curve names none; {_LEFT_TO_THE_RULE}."
            )
        return (
            f"Where the margin is {self.best.threshold:.3g} or more, {self.best.share:.0%} of the queries, leaving the "
            f"best single prompt gains at least {100 * self.best.gain_low:.1f} points over all queries (lower bound at "
            f"{self.level:.0%} for {len(self.points)} thresholds together)."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them, and what follows from them."""
        return asdict(self) | {
            "threshold": self.threshold,
            "best": None if self.best is None else asdict(self.best),
            "widest": None if self.widest is None else asdict(self.widest),
            "reason": self.reason,
        }

    def __str__(self) -> str:
        lines = [
            f"  margin ≥ {point.threshold:.3g}: {point.share:.0%} leave, gain {point.gain}" for point in self.points
        ]
        return "\n".join([self.reason, *lines])


def risk_coverage(
    demonstrations: Demonstrations,
    scores: FloatArray,
    *,
    baseline: IntArray,
    groups: IntArray,
    n_folds: int | None = None,
    level: float = 0.95,
    n_points: int = 20,
) -> RiskCoverage:
    """Measure what is gained as more queries leave the best single prompt, by falling margin.

    Thresholds are margins that part the queries with a margin above zero into `n_points` nearly equal lots; no outcome
    is looked at for that. A threshold is picked by the lower bounds that hold for all of them at once (see
    `simultaneous_quantile`), so that it may be any of them, and the bound is one of what it gains. A test of one after
    the other from the largest margin down would need no correction, but says of each only that it gains, and all hangs
    on the few queries with the largest margins.

    Args:
        demonstrations: The demonstrations that were scored.
        scores: (n_queries, n_prompts) held-out scores without NaN, of a model that has not seen the query's group.
        baseline: (n_queries,) index of the best single prompt; where it was chosen on these very demonstrations, the
            gain is understated, if anything.
        groups: (n_queries,) group numbers, as `Demonstrations.groups` gives them.
        n_folds: Number of folds that the scores were made with; None where the model learnt from other logs.
        level: Of the intervals and of the lower bounds, above 0.5 and below 1.
        n_points: Most points of the curve; fewer where margins are equal.

    Raises:
        ParameterError: The level or the number of points is out of its range.
        DataError: The scores have another shape or are not finite, or fewer than two groups have trials of both
            prompts.
    """
    _check(demonstrations, scores, level, n_points)
    best, rows = scores.argmax(axis=1), np.arange(len(scores))
    margins: FloatArray = scores[rows, best] - scores[rows, baseline]
    thresholds = _thresholds(margins[margins > 0], n_points)
    leaving = [margins >= threshold for threshold in thresholds]
    rules = [np.where(leaves, best, baseline) for leaves in leaving]
    pairs = [[(choices, baseline)] for choices in rules]
    lows = (
        simultaneous_bounds(demonstrations, pairs, groups=groups, n_folds=n_folds, confidence=level).lows
        if rules
        else ()
    )

    def point(threshold: float, leaves: BoolArray, choices: IntArray, low: float) -> RiskCoveragePoint:
        return RiskCoveragePoint(
            threshold=threshold,
            n_queries=int(leaves.sum()),
            share=float(np.average(leaves, weights=demonstrations.repeats)),
            gain=gain(demonstrations, choices, baseline, groups=groups, n_folds=n_folds, level=level),
            gain_low=low,
            gain_of_leaving=_gain_of(
                demonstrations, best, baseline, groups=groups, leaves=leaves, n_folds=n_folds, level=level
            ),
        )

    return RiskCoverage(
        points=tuple(map(point, thresholds, leaving, rules, lows)),
        level=level,
        n_queries=demonstrations.n_queries,
        n_groups=len(np.unique(groups)),
    )


def _check(demonstrations: Demonstrations, scores: FloatArray, level: float, n_points: int) -> None:
    if not 0.5 < level < 1:
        raise ParameterError(f"level={level}: a number above 0.5 and below 1 is needed")
    if n_points < 1:
        raise ParameterError(f"n_points={n_points}: at least 1 is needed")
    if scores.shape != demonstrations.trials.shape or not np.isfinite(scores).all():
        raise DataError(
            f"scores of shape {scores.shape}: finite scores for {demonstrations.n_queries} queries × "
            f"{demonstrations.n_prompts} prompts are needed, as held_out_scores gives them"
        )


def _thresholds(margins: FloatArray, n_points: int) -> list[float]:
    """Return the margins that part the others into nearly equal lots, by falling size, each once."""
    if not len(margins):
        return []
    falling = -np.sort(-margins)
    ends = np.ceil(np.arange(1, n_points + 1) / n_points * len(falling)).astype(int) - 1
    found: list[float] = (-np.unique(-falling[ends])).tolist()
    return found


def _gain_of(
    demonstrations: Demonstrations,
    best: IntArray,
    baseline: IntArray,
    *,
    groups: IntArray,
    leaves: BoolArray,
    n_folds: int | None,
    level: float,
) -> Estimate | None:
    """Return the gain over the queries that leave, None where fewer than two groups have trials of both prompts."""
    is_paired = ~np.isnan(chosen_rewards(demonstrations, best) - chosen_rewards(demonstrations, baseline))
    if len(np.unique(groups[leaves & is_paired])) < 2:
        return None
    there = np.flatnonzero(leaves)
    return gain(
        demonstrations.select_queries(there),
        best[there],
        baseline[there],
        groups=groups[there],
        n_folds=n_folds,
        level=level,
    )
