"""What a reward model knows of prompts that were not in training: each prompt in turn is left out and then judged.

Two designs. *Leave prompts out*: the model has seen the queries, with the other prompts. *Leave both out*: it has seen
neither the prompt nor the query's group, as when a new prompt is offered for new queries; this one decides whether
prompts that were not in training may win.

Two things were drawn at random, queries and prompts, so everything is given with two intervals: over query groups with
the prompts as they are, and over prompts with the queries as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from scipy.special import stdtrit
from sklearn.base import clone

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.evaluation.estimate import Estimate
from prompt_oirl.evaluation.gains import average_gain, fold_widening
from prompt_oirl.evaluation.left_out_prompts import LeftOutPrompts, Pair, gain_of_offer, judge
from prompt_oirl.policies import BestOfN, best_of_scores, best_single_of
from prompt_oirl.records import Prompt, Query
from prompt_oirl.reward.protocol import RewardModel, ScoresUnseenPrompts
from prompt_oirl.splits import Grouping, grouped_folds

__all__ = [
    "AdmittedBestOfN",
    "UnseenPromptKnowledge",
    "UnseenPrompts",
    "can_score_unseen",
    "unseen_prompts",
    "validate_unseen",
]

_FEWEST_PROMPTS = 3
"""Of two, one would be left to learn from."""


@dataclass(frozen=True)
class UnseenPrompts:
    """Whether prompts that were not in training may win."""

    reason: str
    """Why they may win or why not, in one clause."""

    gain: Estimate | None = None
    """Of offering a prompt that was left out of training over not offering it, the mean over the prompts; its lower end
    is one-sided. None where it was not measured."""

    gain_by_prompt: tuple[tuple[str, float], ...] = ()
    """The same for each prompt by its id."""

    low_over_prompts: float | None = None
    """One-sided lower bound of the mean over prompts, from how much they differ."""

    low: float | None = None
    """One-sided lower bound for other queries and other prompts together: as far under the gain as both bounds' errors
    are large together. None in a recommender that was saved before there was one."""

    @property
    def may_win(self) -> bool:
        """Whether the lower bound is above zero."""
        if self.gain is None or self.low_over_prompts is None:
            return False
        return (min(self.gain.low, self.low_over_prompts) if self.low is None else self.low) > 0

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            "may_win": self.may_win,
            "reason": self.reason,
            "gain": None if self.gain is None else self.gain.to_dict(),
            "gain_by_prompt": dict(self.gain_by_prompt),
            "low_over_prompts": self.low_over_prompts,
            "low": self.low,
        }


@dataclass(frozen=True)
class UnseenPromptKnowledge:
    """What a reward model knows of prompts that it never saw."""

    prompts_left_out: LeftOutPrompts
    both_left_out: LeftOutPrompts

    verdict: UnseenPrompts
    """Whether prompts that were not in training may win, by what was gained with both left out."""

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON can hold it."""
        return asdict(self) | {"verdict": self.verdict.to_dict()}


@dataclass(frozen=True)
class AdmittedBestOfN:
    """Choose among all prompts where held-out ones may win by the evidence, else among the training prompts only.

    In the situation of the paper's "IRL 10" it stands where `FallbackBestOfN` has a threshold of 0.5: not the height of
    a score decides whether a held-out prompt may be chosen, but what choosing such prompts was found to gain.
    """

    model: RewardModel
    """A fitted reward model, able to score the held-out prompts."""

    held_out_prompts: Sequence[Prompt]
    evidence: UnseenPrompts
    _: KW_ONLY
    best_single: str
    """Id of the best single prompt."""

    head_start: float = 0.0

    def choose(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> IntArray:
        """Return the (n_queries,) index of the chosen prompt; see `Policy`.

        Raises:
            ParameterError: All prompts are held-out prompts.
            UnseenPromptError: The best single prompt is not among `prompts`.
        """
        held_out = {prompt.id for prompt in self.held_out_prompts}
        admitted = [i for i, prompt in enumerate(prompts) if self.evidence.may_win or prompt.id not in held_out]
        if not admitted:
            raise ParameterError(f"all {len(prompts)} prompts are held-out prompts; add the training prompts")
        policy = BestOfN(self.model, head_start=self.head_start, best_single=self.best_single)
        choices: IntArray = np.array(admitted)[policy.choose(queries, [prompts[i] for i in admitted])]
        return choices


def can_score_unseen(model: RewardModel) -> bool:
    """Return whether a reward model scores prompts that were not in training."""
    return isinstance(model, ScoresUnseenPrompts) and model.can_score_unseen


def validate_unseen(
    model: RewardModel,
    demonstrations: Demonstrations,
    *,
    head_start: float,
    n_folds: int,
    confidence: float,
    by: Grouping,
    seed: int,
) -> UnseenPrompts:
    """Measure what offering prompts that were not in training gains; one fit for each prompt and fold.

    Args:
        model: The reward model that was selected, to be cloned.
        demonstrations: Training demonstrations.
        head_start: Of the best single prompt.
        n_folds: Folds of query groups.
        confidence: Of the one-sided lower bounds.
        by: What makes a group.
        seed: Of the folds.
    """
    reason = _why_not(model, demonstrations)
    if reason is not None:
        return UnseenPrompts(reason)
    learnable = demonstrations.select_queries(np.flatnonzero(demonstrations.trials.any(axis=1)))
    groups = learnable.groups(by)
    try:
        folds = _folds(learnable, groups, n_folds, seed)
        scores = [_scores(model, learnable, left_out, folds) for left_out in range(learnable.n_prompts)]
        return _verdict(learnable, _pairs(learnable, scores, head_start), groups, n_folds, confidence)
    except DataError as error:
        return UnseenPrompts(f"leaving prompts out could not be tried: {error}")


def unseen_prompts(
    model: RewardModel,
    demonstrations: Demonstrations,
    *,
    head_start: float = 0.0,
    n_folds: int = 5,
    by: Grouping = "template",
    level: float = 0.95,
    seed: int = 0,
) -> UnseenPromptKnowledge:
    """Leave each prompt out of training, with the queries seen and with their groups left out too, and judge it then.

    One fit for each prompt, and one more for each prompt and fold.

    Args:
        model: A reward model that scores prompts that were not in training, to be cloned.
        demonstrations: Training demonstrations of at least three prompts.
        head_start: Of the best single prompt.
        n_folds: Folds of query groups.
        by: What makes a group.
        level: Coverage of the intervals; the verdict's one-sided bounds are the same intervals' lower ends.
        seed: Of the folds.

    Raises:
        ParameterError: The model scores only the prompts that it was trained on.
        DataError: There are fewer than three prompts, or too few trials.
    """
    reason = _why_not(model, demonstrations)
    if reason is not None:
        raise (DataError if can_score_unseen(model) else ParameterError)(
            f"{reason}: what it knows of unseen prompts needs a model that knows prompts by their wording, such as "
            "JointModel(prompt_features=LexicalFeatures(), prompt_as_category=False), and at least "
            f"{_FEWEST_PROMPTS} prompts"
        )
    learnable = demonstrations.select_queries(np.flatnonzero(demonstrations.trials.any(axis=1)))
    groups = learnable.groups(by)
    everything = np.arange(learnable.n_queries)
    judged = []
    for folds in ([(everything, everything)], _folds(learnable, groups, n_folds, seed)):
        scores = [_scores(model, learnable, left_out, folds) for left_out in range(learnable.n_prompts)]
        pairs = _pairs(learnable, scores, head_start)
        judged.append(judge(learnable, scores, pairs, groups, level, are_queries_new=len(folds) > 1))
    verdict = _verdict(learnable, pairs, groups, n_folds, 0.5 + level / 2)
    return UnseenPromptKnowledge(judged[0], judged[1], verdict)


def _why_not(model: RewardModel, demonstrations: Demonstrations) -> str | None:
    if not can_score_unseen(model):
        return f"{type(model).__name__} scores only the prompts that it was trained on"
    if demonstrations.n_prompts < _FEWEST_PROMPTS:
        return f"{demonstrations.n_prompts} training prompts are too few to leave some out and see"
    return None


def _folds(
    demonstrations: Demonstrations, groups: IntArray, n_folds: int, seed: int
) -> list[tuple[IntArray, IntArray]]:
    return list(grouped_folds(groups, n_folds, seed=seed, weights=demonstrations.repeats.astype(np.float64)))


def _scores(
    model: RewardModel, demonstrations: Demonstrations, left_out: int, folds: Sequence[tuple[IntArray, IntArray]]
) -> FloatArray:
    """Return (n_queries, n_prompts) scores by models that were trained without one prompt and the queries' fold."""
    others = np.delete(np.arange(demonstrations.n_prompts), left_out)
    scores: FloatArray = np.empty(demonstrations.trials.shape)
    for train, test in folds:
        fitted = clone(model).fit(demonstrations.select_queries(train).select_prompts(others))
        scores[test] = fitted.score([demonstrations.queries[i] for i in test], demonstrations.prompts)
    return scores


def _pairs(demonstrations: Demonstrations, scores: Sequence[FloatArray], head_start: float) -> list[Pair]:
    """Return for each prompt the choices with the offer of it and without."""
    pairs = []
    for left_out, of_left_out in enumerate(scores):
        others = np.delete(np.arange(demonstrations.n_prompts), left_out)
        single = int(others[best_single_of(demonstrations.select_prompts(others))])
        without = of_left_out.copy()
        without[:, left_out] = -np.inf
        choose = partial(best_of_scores, head_start=head_start, best_single=single)
        pairs.append((choose(of_left_out), choose(without)))
    return pairs


def _verdict(
    demonstrations: Demonstrations, pairs: Sequence[Pair], groups: IntArray, n_folds: int, confidence: float
) -> UnseenPrompts:
    over_queries = average_gain(demonstrations, pairs, groups=groups, level=2 * confidence - 1)
    # Prompts take turns on the same folds, which is no further draw of the folds.
    below = fold_widening(n_folds) * (over_queries.value - over_queries.low)
    gain = replace(over_queries, low=max(over_queries.value - below, -1.0))
    gains = np.array([gain_of_offer(demonstrations, pair) for pair in pairs], dtype=np.float64)
    low_over_prompts = _lower_bound(gains, confidence)
    low = gain.value - math.hypot(below, float(gains.mean()) - low_over_prompts)
    found = (
        f"of {len(pairs)} prompts left out in turn, offering one gained {100 * gain.value:+.1f} points, lower bound "
        f"{100 * low:+.1f} ({100 * gain.low:+.1f} over query groups and {100 * low_over_prompts:+.1f} over prompts)"
    )
    by_prompt = tuple(zip(demonstrations.prompt_ids, gains.tolist(), strict=True))
    return UnseenPrompts(found, gain, by_prompt, low_over_prompts, low)


def _lower_bound(values: FloatArray, confidence: float) -> float:
    """Return the one-sided lower bound of the mean, by Student's t."""
    error = float(values.std(ddof=1)) / np.sqrt(len(values))
    return float(values.mean() + stdtrit(len(values) - 1, 1 - confidence) * error)
