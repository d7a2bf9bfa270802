"""Choose a prompt for a query, whatever happens, and log the decision."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from prompt_oirl.recommender import Recommendation, ScoredPrompt
from prompt_oirl.records import Query
from prompt_oirl.serve.active import ActiveRecommender, LoadedRecommender
from prompt_oirl.serve.decision import Choice, Decision, Source
from prompt_oirl.serve.metrics import Metrics
from prompt_oirl.serve.protocols import Decided, DecisionLog
from prompt_oirl.serve.scoring import BudgetedScoring
from prompt_oirl.serve.settings import ServeSettings

__all__ = ["Decider"]


class Decider:
    """Decides by the recommender in use; where that fails or is late, by the best single prompt.

    With exploration, a share of the queries gets a prompt that is drawn, each candidate equally often. The propensity
    is that of the prompt, however it came to be chosen: of n candidates the recommended one has `1 - explore +
    explore/n`, each other one `explore/n`. What could not be scored is not explored.

    Args:
        active: Whose recommender is used.
        settings: Of the service.
        metrics: Where decisions and failures are counted.
        log: Where decisions are kept; nowhere if None.
        random: What exploration draws from; seeded by the system if None.
    """

    def __init__(
        self,
        active: ActiveRecommender,
        settings: ServeSettings,
        *,
        metrics: Metrics,
        log: DecisionLog | None = None,
        random: Random | None = None,
    ) -> None:
        self._active = active
        self._explore = settings.explore
        self._log_queries = settings.log_queries
        self._metrics = metrics
        self._log = log
        self._random = random or Random()
        self._scoring = BudgetedScoring(settings.budget_seconds)

    async def decide(self, query: str, *, source: Source, candidates: Sequence[str] | None = None) -> Decided:
        """Choose among the recommender's prompts, or among some of them by their ids.

        Raises:
            UnseenPromptError: A candidate is not a prompt of the recommender.
            ParameterError: There is no candidate.
            DataError: The query is empty.
        """
        started = time.perf_counter()
        asked = Query(query)
        loaded = self._active.loaded
        among = None if candidates is None else loaded.among(candidates)
        found = await self._scoring.recommend(loaded.prepared, query, among)
        if isinstance(found, str):
            self._metrics.count_failure(found)
            choice: Choice = "fallback"
            recommendation, propensity = loaded.prepared.fall_back(query, among=among), 1.0
        else:
            recommendation, choice, propensity = self._explored(found)
        return self._decided(
            recommendation,
            loaded,
            query=asked,
            candidates=None if among is None else tuple(loaded.prepared.prompts[i].id for i in among),
            choice=choice,
            propensity=propensity,
            source=source,
            started=started,
        )

    def best_single(self, *, source: Source) -> Decided:
        """Choose the best single prompt for what is no text to choose by, such as an image."""
        started = time.perf_counter()
        loaded = self._active.loaded
        return self._decided(
            loaded.prepared.fall_back(),
            loaded,
            query=None,
            candidates=None,
            choice="fallback",
            propensity=1.0,
            source=source,
            started=started,
        )

    def close(self) -> None:
        """End the threads that scored, as soon as they have nothing to do."""
        self._scoring.close()

    def _explored(self, recommended: Recommendation) -> tuple[Recommendation, Choice, float]:
        if not self._explore:
            return recommended, "recommended", 1.0
        n_candidates = 1 + len(recommended.runners_up)
        floor = self._explore / n_candidates
        of_recommended = min(1.0, 1 - self._explore + floor)
        if self._random.random() >= self._explore:
            return recommended, "recommended", of_recommended
        drawn = self._random.randrange(n_candidates)
        if drawn == 0:
            reason = f"drawn at random, to learn from, and recommended too: {recommended.reason}"
            return replace(recommended, reason=reason), "explored", of_recommended
        return _instead(recommended, drawn - 1), "explored", floor

    def _decided(
        self,
        recommendation: Recommendation,
        loaded: LoadedRecommender,
        *,
        query: Query | None,
        candidates: tuple[str, ...] | None,
        choice: Choice,
        propensity: float,
        source: Source,
        started: float,
    ) -> Decided:
        decision = Decision(
            query_id="" if query is None else query.id,
            query=query.text if query is not None and self._log_queries else None,
            prompt_id=recommendation.prompt.id,
            score=recommendation.score if math.isfinite(recommendation.score) else None,
            propensity=propensity,
            candidates=candidates,
            choice=choice,
            source=source,
            recommender=loaded.version,
            seconds=time.perf_counter() - started,
        )
        self._metrics.observe_decision(decision)
        if self._log is not None:
            self._log.record(decision)
        return Decided(decision, recommendation)


def _instead(recommended: Recommendation, drawn: int) -> Recommendation:
    """Return the recommendation of a runner-up, with the recommended prompt among the runners-up in its place."""
    chosen = recommended.runners_up[drawn]
    others = [
        ScoredPrompt(recommended.prompt, recommended.score),
        *(each for each in recommended.runners_up if each is not chosen),
    ]
    return replace(
        recommended,
        prompt=chosen.prompt,
        score=chosen.score,
        runners_up=tuple(sorted(others, key=_score_downwards)),
        reason=f"drawn at random, to learn from; recommended was {recommended.prompt.id!r}",
    )


def _score_downwards(scored: ScoredPrompt) -> float:
    return math.inf if math.isnan(scored.score) else -scored.score
