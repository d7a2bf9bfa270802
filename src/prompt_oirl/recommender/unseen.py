"""Whether prompts that were not in training may win: what is gained where each training prompt in turn is one.

A prompt is left out of training, and then offered as a candidate on query groups that were left out too. What counts is
what the policy gains by the offer, whichever prompt it chooses then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit
from sklearn.base import clone

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError
from prompt_oirl.evaluation import Estimate, average_gain, chosen_rewards
from prompt_oirl.policies import BestSinglePrompt, best_of_scores
from prompt_oirl.reward.protocol import RewardModel, ScoresUnseenPrompts
from prompt_oirl.splits import Grouping, grouped_folds

__all__ = ["UnseenPrompts", "can_score_unseen", "validate_unseen"]

_FEWEST_PROMPTS = 3
"""Of two, one would be left to learn from."""


@dataclass(frozen=True)
class UnseenPrompts:
    """What is known about prompts that were not in training.

    Two things were drawn at random, queries and prompts, so the gain must hold for both: over query groups with the
    prompts as they are, and over prompts with the queries as they are.
    """

    reason: str
    """Why they may win or why not, in one clause."""

    gain: Estimate | None = None
    """Of offering a prompt that was left out of training over not offering it, the mean over the prompts; its lower end
    is one-sided. None where it was not measured."""

    gain_by_prompt: tuple[tuple[str, float], ...] = ()
    """The same for each prompt by its id."""

    low_over_prompts: float | None = None
    """One-sided lower bound of the mean over prompts, from how much they differ."""

    @property
    def may_win(self) -> bool:
        """Whether both lower bounds are above zero."""
        if self.gain is None or self.low_over_prompts is None:
            return False
        return min(self.gain.low, self.low_over_prompts) > 0

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            "may_win": self.may_win,
            "reason": self.reason,
            "gain": None if self.gain is None else self.gain.to_dict(),
            "gain_by_prompt": dict(self.gain_by_prompt),
            "low_over_prompts": self.low_over_prompts,
        }


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
    if not can_score_unseen(model):
        return UnseenPrompts(f"{type(model).__name__} scores only the prompts that it was trained on")
    if demonstrations.n_prompts < _FEWEST_PROMPTS:
        return UnseenPrompts(f"{demonstrations.n_prompts} training prompts are too few to leave some out and see")
    learnable = demonstrations.select_queries(np.flatnonzero(demonstrations.trials.any(axis=1)))
    groups = learnable.groups(by)
    try:
        folds = list(grouped_folds(groups, n_folds, seed=seed, weights=learnable.repeats.astype(np.float64)))
        pairs = [_choices(model, learnable, left_out, folds, head_start) for left_out in range(learnable.n_prompts)]
        gain = average_gain(learnable, pairs, groups=groups, level=2 * confidence - 1)
    except DataError as error:
        return UnseenPrompts(f"leaving prompts out could not be tried: {error}")
    return _verdict(learnable, pairs, gain, confidence)


def _choices(
    model: RewardModel,
    demonstrations: Demonstrations,
    left_out: int,
    folds: Sequence[tuple[IntArray, IntArray]],
    head_start: float,
) -> tuple[IntArray, IntArray]:
    """Return (n_queries,) held-out choices with one prompt offered that was not in training, and without the offer."""
    others = np.delete(np.arange(demonstrations.n_prompts), left_out)
    scores = np.empty(demonstrations.trials.shape)
    for train, test in folds:
        fitted = clone(model).fit(demonstrations.select_queries(train).select_prompts(others))
        scores[test] = fitted.score([demonstrations.queries[i] for i in test], demonstrations.prompts)
    best = BestSinglePrompt.chosen_on(demonstrations.select_prompts(others)).prompt_id
    single = demonstrations.prompt_ids.index(best)
    offered = best_of_scores(scores, head_start=head_start, best_single=single)
    scores[:, left_out] = -np.inf
    return offered, best_of_scores(scores, head_start=head_start, best_single=single)


def _verdict(
    demonstrations: Demonstrations, pairs: Sequence[tuple[IntArray, IntArray]], gain: Estimate, confidence: float
) -> UnseenPrompts:
    gains = np.array(list(_gains(demonstrations, pairs)))
    low = _lower_bound(gains, confidence)
    found = (
        f"of {len(pairs)} prompts left out in turn, offering one gained {100 * gain.value:+.1f} points, lower bound "
        f"{100 * gain.low:+.1f} over query groups and {100 * low:+.1f} over prompts"
    )
    by_prompt = tuple(zip(demonstrations.prompt_ids, gains.tolist(), strict=True))
    return UnseenPrompts(found, gain, by_prompt, low)


def _gains(demonstrations: Demonstrations, pairs: Sequence[tuple[IntArray, IntArray]]) -> Iterator[float]:
    """Yield what each offer gained on average over the queries of which both prompts were tried; 0 where none was."""
    weights = demonstrations.repeats.astype(np.float64)
    for offered, without in pairs:
        differences = chosen_rewards(demonstrations, offered) - chosen_rewards(demonstrations, without)
        tried = ~np.isnan(differences)
        yield float(np.average(differences[tried], weights=weights[tried])) if tried.any() else 0.0


def _lower_bound(values: FloatArray, confidence: float) -> float:
    """Return the one-sided lower bound of the mean, by Student's t."""
    error = float(values.std(ddof=1)) / np.sqrt(len(values))
    return float(values.mean() + stdtrit(len(values) - 1, 1 - confidence) * error)
