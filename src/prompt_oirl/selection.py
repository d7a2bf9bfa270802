"""Choose among reward models by the cross-validated gain of the policies they make, with the no-harm rule.

Every candidate is a reward model with the head starts that the best single prompt may get. Each is judged on query
groups that its model did not see; what counts is the gain over the best single prompt, not how well rewards are
predicted: a model may predict rewards well by knowing which queries are hard, and that moves no choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ParameterError
from prompt_oirl.evaluation import Estimate, gain
from prompt_oirl.policies import BestSinglePrompt, best_of_scores
from prompt_oirl.reward.protocol import LeavesGroupsOut, RewardModel
from prompt_oirl.splits import Grouping, grouped_folds

__all__ = ["Candidate", "Contest", "Selection", "held_out_scores", "select", "select_by_scores"]


@dataclass(frozen=True)
class Candidate:
    """A reward model to consider, with the head starts that the best single prompt may get.

    Raises:
        ParameterError: There is no head start, or one is negative.
    """

    name: str
    model: RewardModel
    head_starts: tuple[float, ...] = (0.0,)
    """How much better than the best single prompt's another prompt's score must be, in units of the score."""

    def __post_init__(self) -> None:
        if not self.head_starts or min(self.head_starts) < 0:
            raise ParameterError(f"candidate {self.name!r}: head starts ≥ 0, at least one, got {self.head_starts}")


@dataclass(frozen=True)
class Contest:
    """One candidate with one head start, and what it gained over the best single prompt in cross-validation."""

    candidate: str
    head_start: float
    gain: Estimate
    """Its lower end is the one-sided bound of the no-harm rule."""


@dataclass(frozen=True)
class Selection:
    """What was tried, and what the no-harm rule made of it."""

    contests: tuple[Contest, ...]
    best: Contest
    """The contest with the highest lower bound."""

    confidence: float
    """Of the one-sided lower bound."""

    @property
    def pays(self) -> bool:
        """Whether the best contest's lower bound is above zero; if not, one prompt serves all queries."""
        return self.best.gain.low > 0

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self) | {"pays": self.pays}


def held_out_scores(
    model: RewardModel, demonstrations: Demonstrations, *, groups: IntArray, n_folds: int, seed: int
) -> FloatArray:
    """Return (n_queries, n_prompts) scores, each query's by a model that has not seen its group.

    In closed form where the model has one, else by a clone fitted on the other folds.

    Args:
        model: Not fitted, or fitted to be cloned.
        demonstrations: Training demonstrations; every query needs a scored trial.
        groups: (n_queries,) group numbers.
        n_folds: Number of folds, where there is no closed form.
        seed: Of the folds.
    """
    if isinstance(model, LeavesGroupsOut):
        in_closed_form: FloatArray = clone(model).leave_group_out(demonstrations, groups)
        return in_closed_form
    scores: FloatArray = np.empty(demonstrations.trials.shape)
    weights = demonstrations.repeats.astype(np.float64)
    for train, test in grouped_folds(groups, n_folds, seed=seed, weights=weights):
        fitted = clone(model).fit(demonstrations.select_queries(train))
        scores[test] = fitted.score([demonstrations.queries[i] for i in test], demonstrations.prompts)
    return scores


def select(
    candidates: Sequence[Candidate],
    demonstrations: Demonstrations,
    *,
    n_folds: int = 5,
    confidence: float = 0.95,
    by: Grouping = "template",
    seed: int = 0,
) -> Selection:
    """Choose the candidate and head start whose cross-validated gain has the highest lower bound.

    Args:
        candidates: Reward models and head starts to consider.
        demonstrations: Training demonstrations; nothing else is looked at.
        n_folds: Number of folds of query groups, for candidates without a closed form.
        confidence: Of the one-sided lower bound, above 0.5 and below 1.
        by: What makes a group of queries.
        seed: Of the folds.

    Raises:
        ParameterError: There is no candidate, two have one name, the confidence is out of its range, or there are too
            few groups.
        DataError: The demonstrations cannot be learnt from.
    """
    _check(candidates, confidence)
    learnable = demonstrations.select_queries(np.flatnonzero(demonstrations.trials.any(axis=1)))
    groups = learnable.groups(by)
    scores = {
        candidate.name: held_out_scores(candidate.model, learnable, groups=groups, n_folds=n_folds, seed=seed)
        for candidate in candidates
    }
    return select_by_scores(candidates, scores, learnable, groups=groups, confidence=confidence)


def select_by_scores(
    candidates: Sequence[Candidate],
    scores: Mapping[str, FloatArray],
    demonstrations: Demonstrations,
    *,
    groups: IntArray,
    confidence: float,
) -> Selection:
    """Choose as `select` does, from held-out scores that are at hand.

    The baseline is the prompt that is best on these very demonstrations: the gain is understated, if anything.

    Args:
        candidates: Reward models and head starts to consider.
        scores: For each candidate's name the (n_queries, n_prompts) scores, as `held_out_scores` gives them.
        demonstrations: The training demonstrations that were scored.
        groups: (n_queries,) group numbers.
        confidence: Of the one-sided lower bound, above 0.5 and below 1.

    Raises:
        ParameterError: There is no candidate, two have one name, or the confidence is out of its range.
    """
    _check(candidates, confidence)
    single = demonstrations.prompt_ids.index(BestSinglePrompt.chosen_on(demonstrations).prompt_id)
    baseline = np.full(demonstrations.n_queries, single)

    def contest(name: str, head_start: float) -> Contest:
        choices = best_of_scores(scores[name], head_start=head_start, best_single=single)
        estimate = gain(demonstrations, choices, baseline, groups=groups, level=2 * confidence - 1)
        return Contest(name, head_start, estimate)

    contests = tuple(contest(each.name, head_start) for each in candidates for head_start in each.head_starts)
    best = max(contests, key=lambda each: (each.gain.low, each.head_start))
    return Selection(contests=contests, best=best, confidence=confidence)


def _check(candidates: Sequence[Candidate], confidence: float) -> None:
    if not candidates:
        raise ParameterError("candidates is empty: at least one reward model is needed")
    names = [candidate.name for candidate in candidates]
    if len(set(names)) < len(names):
        raise ParameterError(f"candidates are named {names}: give each a name of its own")
    if not 0.5 < confidence < 1:
        raise ParameterError(f"confidence={confidence}: a number above 0.5 and below 1 is needed")
