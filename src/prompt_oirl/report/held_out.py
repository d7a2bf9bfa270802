"""The choices that are judged: made for every query by something that has not seen it, nor a near-duplicate of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.evaluation import CrossValidation
from prompt_oirl.policies import BestOfN, best_single_of
from prompt_oirl.recommender import Recommender
from prompt_oirl.selection import Candidate, Selection, candidate_scores, cross_fit, select_by_scores

__all__ = ["HeldOut", "cross_fitted", "of_recommender"]


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Held-out choices and what they were made of."""

    demonstrations: Demonstrations
    """What is judged: every query has a scored trial."""

    groups: IntArray
    """(n_queries,) group numbers."""

    runs: tuple[CrossValidation, ...]
    """The choices with the no-harm rule applied; several where the folds are drawn several times."""

    without_rule: tuple[CrossValidation, ...]
    """The choices without it; empty where there is nothing to choose by."""

    scores: FloatArray | None
    """(n_queries, n_prompts) held-out scores by the reward model that was selected; None where there is none."""

    reward_model: str | None
    """Its name."""

    head_start: float
    """Of the best single prompt, in units of the scores."""

    selection: Selection | None
    """On all of the logs; None for a recommender, which brings its own."""

    best_single: int
    """Index of the best single prompt."""


def cross_fitted(
    candidates: Sequence[Candidate],
    demonstrations: Demonstrations,
    *,
    groups: IntArray,
    n_folds: int,
    confidence: float,
    seed: int,
    n_runs: int,
    n_scored_runs: int = 4,
) -> HeldOut:
    """Judge what training on such logs gives: candidates are selected on some query groups and applied to the others.

    Args:
        candidates: Reward models and head starts to choose among.
        demonstrations: Of which every query has a scored trial.
        groups: (n_queries,) group numbers.
        n_folds: Of the selection, and of reward models without held-out scores in closed form.
        confidence: Of the no-harm rule.
        seed: Of the folds.
        n_runs: How often the folds of the selection are drawn.
        n_scored_runs: How often those of the scores are, as for `select`; a `Recommender` draws
            them ten times, for bounds that are a little closer.

    Raises:
        ParameterError: There are fewer groups than folds.
        DataError: The demonstrations cannot be learnt from.
    """
    scores = candidate_scores(
        candidates, demonstrations, groups=groups, n_folds=n_folds, n_runs=n_scored_runs, seed=seed
    )
    selection = select_by_scores(
        candidates, scores, demonstrations, groups=groups, n_folds=n_folds, confidence=confidence
    )
    fits = [
        cross_fit(candidates, scores, demonstrations, groups=groups, n_folds=n_folds, confidence=confidence, seed=each)
        for each in range(seed, seed + n_runs)
    ]
    return HeldOut(
        demonstrations=demonstrations,
        groups=groups,
        runs=tuple(fit.with_rule for fit in fits),
        without_rule=tuple(fit.without_rule for fit in fits),
        scores=scores[selection.best.candidate][0],
        reward_model=selection.best.candidate,
        head_start=selection.best.head_start,
        selection=selection,
        best_single=best_single_of(demonstrations),
    )


def of_recommender(recommender: Recommender, demonstrations: Demonstrations, *, groups: IntArray) -> HeldOut:
    """Judge a recommender's choices on logs that it was not trained on.

    Args:
        recommender: Fitted.
        demonstrations: Queries that were not in its training; that is for the caller to see to.
        groups: (n_queries,) group numbers.

    Raises:
        UnseenPromptError: The logs have a prompt that was not in training.
    """
    queries, prompts, policy = demonstrations.queries, demonstrations.prompts, recommender.policy_
    choices = CrossValidation(
        choices=recommender.choose(queries, prompts),
        baseline=recommender.best_single_.choose(queries, prompts),
        folds=np.zeros(len(queries), dtype=np.int64),
        groups=groups,
        seed=recommender.seed,
    )
    model = policy.model if isinstance(policy, BestOfN) else None
    return HeldOut(
        demonstrations=demonstrations,
        groups=groups,
        runs=(choices,),
        without_rule=(),
        scores=None if model is None else model.score(queries, prompts),
        reward_model=None if model is None else recommender.selection_.best.candidate,
        head_start=policy.head_start if isinstance(policy, BestOfN) else 0.0,
        selection=None,
        best_single=demonstrations.prompt_ids.index(recommender.best_single_.prompt_id),
    )
