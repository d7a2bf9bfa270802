"""What the page shows of one decision: the choice, the scores it rests on, and what happened on queries like this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from prompt_oirl.errors import ArtifactError
from prompt_oirl.policies import BestOfN
from prompt_oirl.serve.active import LoadedRecommender
from prompt_oirl.serve.playground.scores import ScoreChart, score_chart
from prompt_oirl.serve.protocols import Decided

__all__ = ["ChoiceView", "LoggedOutcome", "NearestQuery", "choice_of"]

_N_NEAREST = 5
_N_OUTCOMES = 12


@dataclass(frozen=True, slots=True)
class LoggedOutcome:
    """What one prompt did on a logged query."""

    prompt_id: str
    trials: int
    successes: int

    @property
    def kind(self) -> Literal["success", "failure", "mixed"]:
        """Whether all trials succeeded, none did, or some."""
        return "failure" if not self.successes else "success" if self.successes == self.trials else "mixed"


@dataclass(frozen=True, slots=True)
class NearestQuery:
    """A logged query, and what some of the prompts did on it."""

    text: str
    similarity: float
    outcomes: tuple[LoggedOutcome, ...]
    n_more: int
    """Prompts that are not shown."""


@dataclass(frozen=True, slots=True)
class ChoiceView:
    """One decision, explained."""

    best_single: str
    chart: ScoreChart

    is_per_query: bool
    """False where one prompt serves all queries, and scores are success rates in training."""

    margin: float | None = None
    """The highest score less the best single prompt's; None where the query was not scored."""

    head_start: float = 0.0
    """How large the margin must be at least for another prompt than the best single one."""

    nearest: tuple[NearestQuery, ...] = ()
    """Empty where the recommender's folder holds no logs."""

    has_lost_logs: bool = False
    """Whether the folder had logs when the recommender was loaded, and they cannot be read now."""


def choice_of(decided: Decided, loaded: LoadedRecommender) -> ChoiceView:
    """Explain a decision.

    Args:
        decided: The decision and its recommendation.
        loaded: The recommender that made it.
    """
    recommendation, prepared = decided.recommendation, loaded.prepared
    best_single = prepared.prompts[prepared.best_single].id
    chart = score_chart(recommendation, best_single)
    is_per_query = isinstance(prepared.policy, BestOfN)
    if decided.decision.choice == "fallback":
        return ChoiceView(best_single, chart, is_per_query)
    try:
        explanation = loaded.recommender.explain(recommendation.query.text, n_nearest=_N_NEAREST)
    except ArtifactError:  # the folder has been replaced since, and its logs are those of another recommender
        return ChoiceView(best_single, chart, is_per_query, has_lost_logs=True)
    first = (recommendation.prompt.id, best_single)
    return ChoiceView(
        best_single,
        chart,
        is_per_query,
        margin=explanation.margin if is_per_query else None,
        head_start=explanation.head_start,
        nearest=tuple(
            NearestQuery(
                logged.text,
                logged.similarity,
                _outcomes(logged.outcomes, first),
                max(len(logged.outcomes) - _N_OUTCOMES, 0),
            )
            for logged in explanation.nearest
        ),
    )


def _outcomes(outcomes: Mapping[str, tuple[int, int]], first: Sequence[str]) -> tuple[LoggedOutcome, ...]:
    ordered = sorted(outcomes.items(), key=lambda item: first.index(item[0]) if item[0] in first else len(first))
    return tuple(LoggedOutcome(name, trials, successes) for name, (trials, successes) in ordered[:_N_OUTCOMES])
