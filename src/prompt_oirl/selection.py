"""Choose among reward models by the cross-validated gain of the policies they make, with the no-harm rule.

Every candidate is a reward model with the head starts that the best single prompt may get. Each is judged on query
groups that its model did not see; what counts is the gain over the best single prompt, not how well rewards are
predicted: a model may predict rewards well by knowing which queries are hard, and that moves no choice.

The best of several gains is a lucky one. So the lower bounds are moved out until all of them hold at once with the
confidence asked for, and with it whichever is picked; see `prompt_oirl.evaluation.simultaneous`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import clone

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ParameterError
from prompt_oirl.evaluation import (
    CrossValidation,
    Estimate,
    average_gain,
    simultaneous_bounds,
)
from prompt_oirl.policies import best_of_scores, best_single_of
from prompt_oirl.reward.checks import check_learnable
from prompt_oirl.reward.protocol import LeavesGroupsOut, RewardModel
from prompt_oirl.splits import Grouping, grouped_folds

__all__ = [
    "Candidate",
    "Contest",
    "CrossFitted",
    "Selection",
    "candidate_scores",
    "cross_fit",
    "held_out_scores",
    "select",
    "select_by_scores",
]


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
    """Its lower end is a one-sided bound for this contest alone."""

    simultaneous_low: float | None = None
    """The lower bound that holds together with those of all other contests: what the no-harm rule goes by. None in a
    recommender that was saved before bounds were corrected."""

    @property
    def low(self) -> float:
        """The lower bound of the gain, corrected for the number of contests where `Selection.is_corrected`."""
        return self.gain.low if self.simultaneous_low is None else self.simultaneous_low


@dataclass(frozen=True)
class Selection:
    """What was tried, and what the no-harm rule made of it."""

    contests: tuple[Contest, ...]
    best: Contest
    """The contest with the highest lower bound."""

    confidence: float
    """That the lower bounds of all contests hold at once: one less the error rate of the no-harm rule."""

    critical_value: float | None = None
    """How many standard errors under the gain a bound lies (with few groups a little further, by Student's t), where
    standard errors allow for what folds share; None in a recommender that was saved before bounds were corrected."""

    @property
    def pays(self) -> bool:
        """Whether the best contest's lower bound is above zero; if not, one prompt serves all queries."""
        return self.best.low > 0

    @property
    def error_rate(self) -> float:
        """How often the rule may find that choosing per query pays where it does not."""
        return 1 - self.confidence

    @property
    def is_corrected(self) -> bool:
        """Whether the bounds are corrected for the number of contests."""
        return self.critical_value is not None

    @property
    def rests_on(self) -> str:
        """What kind of bound the verdict rests on, in a few words."""
        n = len(self.contests)
        of_contests = "1 contest" if n == 1 else f"{n} contests"
        if not self.is_corrected:
            return f"lower bound at {self.confidence:.0%}, not corrected for the choice among {of_contests}"
        return f"lower bound at {self.confidence:.0%}, corrected for {of_contests}"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them, and what follows from them."""
        return asdict(self) | {
            "pays": self.pays,
            "lower_bound": self.best.low,
            "n_contests": len(self.contests),
            "error_rate": self.error_rate,
            "is_corrected": self.is_corrected,
            "rests_on": self.rests_on,
        }


def held_out_scores(
    model: RewardModel, demonstrations: Demonstrations, *, groups: IntArray, n_folds: int, n_runs: int = 1, seed: int
) -> FloatArray:
    """Return (n_runs, n_queries, n_prompts) scores, each query's by a model that has not seen its group.

    By a clone fitted on the other folds, or in closed form where the model has one. A fold is left out in either case,
    where the closed form could leave out one group at a time. That would use more of the logs, and cannot be trusted: a
    single group hardly moves what a model chooses, so the models choose by nearly all the luck that they are judged by,
    and gains vary several times as much as any interval over queries says. See
    docs/decisions/0017-selection-with-a-guarantee.md.

    Args:
        model: Not fitted, or fitted to be cloned.
        demonstrations: Training demonstrations; every query needs a scored trial.
        groups: (n_queries,) group numbers.
        n_folds: Number of folds.
        n_runs: How often folds are drawn.
        seed: Of the folds of the first run; the next ones count on from it.

    Raises:
        ParameterError: Fewer than two folds, or fewer groups than folds.
    """
    weights = demonstrations.repeats.astype(np.float64)
    runs = [list(grouped_folds(groups, n_folds, seed=seed + run, weights=weights)) for run in range(n_runs)]
    if isinstance(model, LeavesGroupsOut):
        partitions = [_fold_of_query(folds, demonstrations.n_queries) for folds in runs]
        in_closed_form: FloatArray = clone(model).leave_groups_out(demonstrations, partitions)
        return in_closed_form
    scores: FloatArray = np.empty((n_runs, *demonstrations.trials.shape))
    for of_run, folds in zip(scores, runs, strict=True):
        for train, test in folds:
            fitted = clone(model).fit(demonstrations.select_queries(train))
            of_run[test] = fitted.score([demonstrations.queries[i] for i in test], demonstrations.prompts)
    return scores


def _fold_of_query(folds: Sequence[tuple[IntArray, IntArray]], n_queries: int) -> IntArray:
    fold_of_query = np.empty(n_queries, dtype=np.int64)
    for fold, (_, test) in enumerate(folds):
        fold_of_query[test] = fold
    return fold_of_query


def candidate_scores(
    candidates: Sequence[Candidate],
    demonstrations: Demonstrations,
    *,
    groups: IntArray,
    n_folds: int,
    n_runs: int = 1,
    seed: int,
) -> dict[str, FloatArray]:
    """Return the `held_out_scores` of each candidate's model by its name, all on the same folds.

    Models that are fitted anew for each fold are run once, whatever `n_runs` is; those with a closed form `n_runs`
    times, which costs them little.
    """
    return {
        each.name: held_out_scores(
            each.model,
            demonstrations,
            groups=groups,
            n_folds=n_folds,
            n_runs=n_runs if isinstance(each.model, LeavesGroupsOut) else 1,
            seed=seed,
        )
        for each in candidates
    }


def select(
    candidates: Sequence[Candidate],
    demonstrations: Demonstrations,
    *,
    n_folds: int = 10,
    n_runs: int = 10,
    confidence: float = 0.95,
    by: Grouping = "template",
    seed: int = 0,
) -> Selection:
    """Choose the candidate and head start whose cross-validated gain has the highest lower bound.

    Args:
        candidates: Reward models and head starts to consider.
        demonstrations: Training demonstrations; nothing else is looked at.
        n_folds: Number of folds of query groups.
        n_runs: How often folds are drawn, for models that leave them out in closed form; others are run once. What the
            draw adds to the noise is averaged out, and bounds lie closer.
        confidence: Of the one-sided lower bound, above 0.5 and below 1.
        by: What makes a group of queries.
        seed: Of the folds.

    Raises:
        ParameterError: There is no candidate, two have one name, the confidence is out of its range, or there are too
            few groups.
        DataError: The demonstrations cannot be learnt from.
    """
    _check(candidates, confidence)
    learnable = check_learnable(demonstrations)
    groups = learnable.groups(by)
    scores = candidate_scores(candidates, learnable, groups=groups, n_folds=n_folds, n_runs=n_runs, seed=seed)
    return select_by_scores(candidates, scores, learnable, groups=groups, n_folds=n_folds, confidence=confidence)


def select_by_scores(
    candidates: Sequence[Candidate],
    scores: Mapping[str, FloatArray],
    demonstrations: Demonstrations,
    *,
    groups: IntArray,
    n_folds: int,
    confidence: float,
) -> Selection:
    """Choose as `select` does, from held-out scores that are at hand.

    The baseline is the prompt that is best on these very demonstrations: the gain is understated, if anything.

    Args:
        candidates: Reward models and head starts to consider.
        scores: For each candidate's name the (n_runs, n_queries, n_prompts) scores, as `held_out_scores` gives them.
        demonstrations: The training demonstrations that were scored.
        groups: (n_queries,) group numbers.
        n_folds: Number of folds that the scores were made with: their models share most of what they learnt, and bounds
            allow for that (`prompt_oirl.evaluation.average_gain`).
        confidence: Of the one-sided lower bound, above 0.5 and below 1.

    Raises:
        ParameterError: There is no candidate, two have one name, scores have another shape, or the confidence is out of
            its range.
    """
    _check(candidates, confidence)
    for each in candidates:
        if scores[each.name].shape[1:] != demonstrations.trials.shape:
            raise ParameterError(
                f"scores of {each.name!r} have shape {scores[each.name].shape}; (n_runs, n_queries, n_prompts) is "
                f"needed, of {demonstrations.n_queries} queries and {demonstrations.n_prompts} prompts, as "
                "held_out_scores gives them"
            )
    single = best_single_of(demonstrations)
    baseline = np.full(demonstrations.n_queries, single)
    tried = [(each.name, head_start) for each in candidates for head_start in each.head_starts]
    pairs = [
        [(best_of_scores(run, head_start=head_start, best_single=single), baseline) for run in scores[name]]
        for name, head_start in tried
    ]
    alone = [
        average_gain(demonstrations, each, groups=groups, n_folds=n_folds, level=2 * confidence - 1) for each in pairs
    ]
    together = simultaneous_bounds(demonstrations, pairs, groups=groups, n_folds=n_folds, confidence=confidence)
    contests = tuple(
        Contest(*which, gain=own, simultaneous_low=low)
        for which, own, low in zip(tried, alone, together.lows, strict=True)
    )
    best = max(contests, key=lambda each: (each.low, each.head_start))
    return Selection(contests=contests, best=best, confidence=confidence, critical_value=together.critical_value)


@dataclass(frozen=True, eq=False)
class CrossFitted:
    """What would have been chosen for each query by a selection that looked at the other folds alone."""

    with_rule: CrossValidation
    """With the no-harm rule: the best single prompt in folds for which nothing had been shown to gain."""

    without_rule: CrossValidation
    """By the best contest in every fold."""


def cross_fit(
    candidates: Sequence[Candidate],
    scores: Mapping[str, FloatArray],
    demonstrations: Demonstrations,
    *,
    groups: IntArray,
    n_folds: int = 5,
    confidence: float = 0.95,
    seed: int = 0,
) -> CrossFitted:
    """Choose for each fold's queries as a recommender would that was selected on the other folds, and without its rule.

    What the whole procedure is worth, its choice among contests and its best single prompt included, for the price of
    one set of held-out scores; `select_by_scores` on everything says only what the winner gained where it won.

    A dependence of second order is left. The scores by which a contest is chosen on the other folds are of models that
    were trained on this fold too (never on the query that they score). So this fold's rewards have a say in which
    contest is chosen for it, by moving slightly the scores of other queries. And each score is of a model that was
    trained on all folds but one of its own, so the value is that of a recommender with nearly as many logs as there are
    here. A nested cross-validation has neither, and needs a set of held-out scores for each fold; what the two said of
    real logs is in docs/decisions/0017-selection-with-a-guarantee.md.

    Args:
        candidates: Reward models and head starts to consider.
        scores: For each candidate's name the (n_runs, n_queries, n_prompts) scores, as `held_out_scores` gives them.
        demonstrations: The demonstrations that were scored.
        groups: (n_queries,) group numbers, which are never parted.
        n_folds: Number of folds of groups, and of those that the scores were made with.
        confidence: As for `select_by_scores`.
        seed: Of the folds; it also says by which run's scores prompts are chosen.

    Raises:
        ParameterError: As for `select_by_scores`, or there are fewer groups than folds.
        DataError: No prompt was tried on some training part.
    """
    _check(candidates, confidence)
    choices, baseline, fold_of = (np.zeros(demonstrations.n_queries, dtype=np.int64) for _ in range(3))
    pays = np.zeros(demonstrations.n_queries, dtype=bool)
    weights = demonstrations.repeats.astype(np.float64)
    for fold, (train, test) in enumerate(grouped_folds(groups, n_folds, seed=seed, weights=weights)):
        training = demonstrations.select_queries(train)
        of_training = {each.name: scores[each.name][:, train] for each in candidates}
        found = select_by_scores(
            candidates, of_training, training, groups=groups[train], n_folds=n_folds, confidence=confidence
        )
        best, single = found.best, best_single_of(training)
        runs = scores[best.candidate]
        of_test = runs[seed % len(runs)][test]
        choices[test] = best_of_scores(of_test, head_start=best.head_start, best_single=single)
        baseline[test], fold_of[test], pays[test] = single, fold, found.pays
    without_rule = CrossValidation(choices=choices, baseline=baseline, folds=fold_of, groups=groups, seed=seed)
    return CrossFitted(replace(without_rule, choices=np.where(pays, choices, baseline)), without_rule)


def _check(candidates: Sequence[Candidate], confidence: float) -> None:
    if not candidates:
        raise ParameterError("candidates is empty: at least one reward model is needed")
    names = [candidate.name for candidate in candidates]
    if len(set(names)) < len(names):
        raise ParameterError(f"candidates are named {names}: give each a name of its own")
    if not 0.5 < confidence < 1:
        raise ParameterError(f"confidence={confidence}: a number above 0.5 and below 1 is needed")
