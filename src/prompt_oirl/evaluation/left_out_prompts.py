"""How well prompts that were left out of training are judged: in order with the others, and what offering them gains.

Two things were drawn at random, queries and prompts, so every value is given with two intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.special import stdtrit

from prompt_oirl.arrays import BoolArray, FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.evaluation.chosen import chosen_rewards
from prompt_oirl.evaluation.estimate import Estimate, Outcomes, estimate
from prompt_oirl.evaluation.gains import average_gain
from prompt_oirl.evaluation.scores import mean_over_known

__all__ = ["LeftOutPrompt", "LeftOutPrompts", "OverQueriesAndPrompts", "Pair", "gain_of_offer", "judge"]

Pair = tuple[IntArray, IntArray]
"""(n_queries,) choices with the offer of a prompt that was left out, and without."""


@dataclass(frozen=True)
class OverQueriesAndPrompts:
    """A value with an interval over query groups and one over prompts."""

    over_queries: Estimate
    """What it is worth on new queries, with the prompts as they are."""

    low_over_prompts: float
    """What it is worth with new prompts, the queries as they are: by leaving each prompt out of the mean in turn."""

    high_over_prompts: float

    n_prompts: int

    @property
    def value(self) -> float:
        """The value."""
        return self.over_queries.value

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self)

    def __str__(self) -> str:
        over_prompts = f"over {self.n_prompts} prompts [{self.low_over_prompts:.3f}, {self.high_over_prompts:.3f}]"
        return f"{self.over_queries}; {over_prompts}"


@dataclass(frozen=True)
class LeftOutPrompt:
    """One prompt that was left out of training, and then judged and offered."""

    prompt_id: str

    pairwise_accuracy: float | None
    """None where it never had another outcome than another prompt."""

    correlation: float | None
    """Of predicted and logged advantage over the queries; None where one of them does not vary."""

    share_chosen: float
    """Share of the queries that it is chosen for when it is offered."""

    gain: float
    """Of offering it."""


@dataclass(frozen=True)
class LeftOutPrompts:
    """How well prompts that were left out of training are judged, and what offering them gains."""

    are_queries_new: bool
    """Whether the queries' groups were left out too."""

    pairwise_accuracy: OverQueriesAndPrompts | None
    """Share of the pairs of the left-out prompt with another on one query, of different outcome, that the scores order
    as the outcomes do; 0.5 is guessing. None where no outcomes differ."""

    accuracy_from_knowledge: OverQueriesAndPrompts | None
    """The same less the accuracy of taking the left-out prompt for an average one, of the mean of the others' scores:
    most pairs can be ordered by knowing how good the other prompt is, and this leaves what is known of the unseen one.
    None where no outcomes differ."""

    correlation: OverQueriesAndPrompts | None
    """Of predicted and logged advantage, all left-out prompts together: of a prompt's score or reward less the mean of
    the other prompts' on the query. With one trial a cell most of the logged advantage is noise, so that even perfect
    predictions correlate by far less than 1."""

    correlation_within_prompts: OverQueriesAndPrompts | None
    """The same with each prompt's means taken off: what is known of *where* an unseen prompt works, beyond how good it
    is on the whole."""

    gain: OverQueriesAndPrompts
    """Of offering a left-out prompt over not offering it, the mean over the prompts."""

    prompts: tuple[LeftOutPrompt, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self)

    def __str__(self) -> str:
        queries = "queries left out too" if self.are_queries_new else "queries seen with the other prompts"
        return "\n".join(
            [
                f"prompts left out in turn, {queries}",
                f"  pairs in order       {self.pairwise_accuracy or 'not defined: no outcomes differ'}",
                f"    by knowing it      {self.accuracy_from_knowledge or 'not defined: no outcomes differ'}",
                f"  correlation          {self.correlation or 'not defined: nothing varies'}",
                f"    within prompts     {self.correlation_within_prompts or 'not defined: nothing varies'}",
                f"  gain of the offer    {self.gain}",
            ]
        )


def judge(
    demonstrations: Demonstrations,
    scores: Sequence[FloatArray],
    pairs: Sequence[Pair],
    groups: IntArray,
    level: float,
    *,
    are_queries_new: bool,
) -> LeftOutPrompts:
    """Judge the scores of each prompt by the models that were trained without it.

    Args:
        demonstrations: The demonstrations that were scored.
        scores: For each prompt left out, the (n_queries, n_prompts) scores without it.
        pairs: For each prompt left out, the choices with the offer of it and without.
        groups: (n_queries,) group numbers.
        level: Coverage of the intervals.
        are_queries_new: Whether the queries' groups were left out too.
    """
    judged = _Judged(demonstrations, scores, groups, level)
    gains = np.array([gain_of_offer(demonstrations, pair) for pair in pairs], dtype=np.float64)
    gain = average_gain(demonstrations, pairs, groups=groups, level=level)
    weights = demonstrations.repeats.astype(np.float64)
    return LeftOutPrompts(
        are_queries_new=are_queries_new,
        pairwise_accuracy=judged.accuracy(judged.right),
        accuracy_from_knowledge=judged.accuracy(judged.right - judged.right_as_average),
        correlation=judged.correlation(within_prompts=False),
        correlation_within_prompts=judged.correlation(within_prompts=True),
        gain=_over_prompts(gain, len(gains), lambda kept: float(gains[kept].mean()), level),
        prompts=tuple(
            LeftOutPrompt(
                prompt_id=id,
                pairwise_accuracy=judged.accuracy_of(judged.right, np.array([column])),
                correlation=judged.correlation_of(np.array([column]), within_prompts=True),
                share_chosen=float(np.average(pairs[column][0] == column, weights=weights)),
                gain=float(gains[column]),
            )
            for column, id in enumerate(demonstrations.prompt_ids)
        ),
    )


def gain_of_offer(demonstrations: Demonstrations, pair: Pair) -> float:
    """Return what an offer gained on average over the queries of which both prompts were tried; 0 where none was."""
    offered, without = pair
    weights = demonstrations.repeats.astype(np.float64)
    differences = chosen_rewards(demonstrations, offered) - chosen_rewards(demonstrations, without)
    tried = ~np.isnan(differences)
    return float(np.average(differences[tried], weights=weights[tried])) if tried.any() else 0.0


class _Judged:
    """(n_queries, n_prompts) arrays, a column for each prompt left out."""

    def __init__(
        self, demonstrations: Demonstrations, scores: Sequence[FloatArray], groups: IntArray, level: float
    ) -> None:
        self._demonstrations = demonstrations
        self._groups = groups
        self._level = level
        self._weights = demonstrations.repeats.astype(np.float64)
        rewards = demonstrations.rewards
        columns = range(demonstrations.n_prompts)
        as_average = [_as_average(scores[column], column) for column in columns]
        self.right = np.column_stack([_ordered(scores[column], rewards, column) for column in columns])
        self.right_as_average = np.column_stack([_ordered(as_average[column], rewards, column) for column in columns])
        self._pairs = np.column_stack([_differing(rewards, column).sum(axis=1) for column in columns])
        logged = np.column_stack([_advantage(rewards, rewards, column) for column in columns])
        predicted = np.column_stack([_advantage(scores[column], rewards, column) for column in columns])
        self._logged, self._predicted = logged, np.where(np.isnan(logged), np.nan, predicted)

    def accuracy_of(self, right: FloatArray, columns: IntArray) -> float | None:
        """Return the pairs in order as a share of all, for some of the prompts."""
        pairs = self._weights @ self._pairs[:, columns].sum(axis=1)
        return float(self._weights @ right[:, columns].sum(axis=1) / pairs) if pairs > 0 else None

    def accuracy(self, right: FloatArray) -> OverQueriesAndPrompts | None:
        """Return the pairs in order as a share of all, with its intervals."""
        pairs = self._pairs.sum(axis=1)
        if not pairs.any():
            return None
        values = np.where(pairs > 0, right.sum(axis=1), np.nan)
        found = self._estimate(values, per=pairs.astype(np.float64), bounds=(-1.0, 1.0))
        return _over_prompts(found, self._pairs.shape[1], partial(self.accuracy_of, right), self._level)

    def correlation_of(self, columns: IntArray, *, within_prompts: bool) -> float | None:
        """Return the correlation for some of the prompts."""
        standard = self._standardised(columns, within_prompts)
        return None if standard is None else float(np.nansum(self._weights[:, None] * standard[0] * standard[1]))

    def correlation(self, *, within_prompts: bool) -> OverQueriesAndPrompts | None:
        """Return the correlation with its intervals, that over queries by the correlation's influence function."""
        columns = np.arange(self._logged.shape[1])
        standard = self._standardised(columns, within_prompts)
        value = self.correlation_of(columns, within_prompts=within_prompts)
        if standard is None or value is None:
            return None
        total = self._weights @ (~np.isnan(standard[0])).sum(axis=1)
        predicted, logged = standard
        influence = total * (predicted * logged - value / 2 * (predicted**2 + logged**2)) + value
        counts = (~np.isnan(influence)).sum(axis=1)
        values = np.where(counts > 0, np.nansum(influence, axis=1), np.nan)
        found = self._estimate(values, per=counts.astype(np.float64), bounds=(-1.0, 1.0))

        def of(kept: IntArray) -> float | None:
            return self.correlation_of(kept, within_prompts=within_prompts)

        return _over_prompts(found, len(columns), of, self._level)

    def _standardised(self, columns: IntArray, within_prompts: bool) -> tuple[FloatArray, FloatArray] | None:
        """Return predicted and logged advantages of mean 0 and, summed with the weights, square 1."""
        parts = []
        for values in (self._predicted[:, columns], self._logged[:, columns]):
            weights = np.where(np.isnan(values), 0.0, self._weights[:, None])
            axis = 0 if within_prompts else None
            total = weights.sum(axis=axis)
            mean = (weights * np.nan_to_num(values)).sum(axis=axis) / np.where(total > 0, total, 1.0)
            centred = values - mean
            square = float(np.nansum(weights * centred**2))
            if not square > 1e-12 * max(float(np.sum(weights)), 1.0):
                return None
            parts.append(centred / np.sqrt(square))
        return parts[0], parts[1]

    def _estimate(self, values: FloatArray, *, per: FloatArray, bounds: tuple[float, float]) -> Estimate:
        n_trials = int(self._demonstrations.trials[~np.isnan(values)].sum())
        outcomes = Outcomes(values, self._weights, self._groups, n_trials)
        return estimate(outcomes, per=per, bounds=bounds, level=self._level)


def _differing(rewards: FloatArray, left_out: int) -> BoolArray:
    """Return (n_queries, n_prompts - 1) whether another prompt had another outcome than the one left out."""
    differing: BoolArray = np.nan_to_num(rewards[:, [left_out]] - np.delete(rewards, left_out, axis=1)) != 0
    return differing


def _ordered(scores: FloatArray, rewards: FloatArray, left_out: int) -> FloatArray:
    """Return (n_queries,) pairs of one prompt with another that are ordered as their outcomes are; half for a tie."""
    outcome = np.sign(np.nan_to_num(rewards[:, [left_out]] - np.delete(rewards, left_out, axis=1)))
    order = np.sign(scores[:, [left_out]] - np.delete(scores, left_out, axis=1))
    ordered: FloatArray = np.where(_differing(rewards, left_out), (1 + order * outcome) / 2, 0.0).sum(axis=1)
    return ordered


def _as_average(scores: FloatArray, left_out: int) -> FloatArray:
    """Return the scores with the mean of the others' in place of that of the prompt left out."""
    average = scores.copy()
    average[:, left_out] = np.delete(scores, left_out, axis=1).mean(axis=1)
    return average


def _advantage(values: FloatArray, rewards: FloatArray, left_out: int) -> FloatArray:
    """Return (n_queries,) values of one prompt less the mean of the others that were tried; NaN where it was not."""
    known = np.where(np.isnan(rewards), np.nan, values)
    advantage: FloatArray = known[:, left_out] - mean_over_known(np.delete(known, left_out, axis=1).T)
    return advantage


def _over_prompts(
    found: Estimate, n_prompts: int, statistic: Callable[[IntArray], float | None], level: float
) -> OverQueriesAndPrompts:
    """Add the interval over prompts: the jackknife's, by the statistic without each prompt in turn."""
    everything = np.arange(n_prompts)
    without = [statistic(np.delete(everything, left_out)) for left_out in range(n_prompts)]
    values = np.array([found.value if value is None else value for value in without], dtype=np.float64)
    error = np.sqrt((n_prompts - 1) / n_prompts * np.square(values - values.mean()).sum())
    half = float(stdtrit(n_prompts - 1, 0.5 + level / 2) * error)
    return OverQueriesAndPrompts(found, found.value - half, found.value + half, n_prompts)
