"""Floor, model and ceiling of the gain of a perfect choice per query."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from prompt_oirl.arrays import FloatArray
from prompt_oirl.errors import ParameterError
from prompt_oirl.evaluation.estimate import Estimate, Outcomes, estimate
from prompt_oirl.evaluation.headroom.blocked_logs import BlockedLogs
from prompt_oirl.evaluation.headroom.moments import BlockSums, Moments
from prompt_oirl.evaluation.headroom.perfect import normal_draws, perfect_gain_beyond
from prompt_oirl.evaluation.headroom.power import ThinHeadroom
from prompt_oirl.evaluation.headroom.sequential import SequentialChoices
from prompt_oirl.evaluation.headroom.trials_choice import TrialsChoice
from prompt_oirl.evaluation.headroom.variance import components, jackknife
from prompt_oirl.policies import best_single_of

__all__ = ["ceiling", "gain_by_trials", "has_complete_queries", "perfect_gain"]


def gain_by_trials(logs: BlockedLogs, level: float) -> Estimate:
    """Estimate what choosing by other trials of the same query gains over the best single prompt of the blocks before.

    Raises:
        ParameterError: Too few groups have repeated trials.
    """
    choices = _choices(logs)
    return estimate(choices.gain_over(choices.baseline, groups=logs.groups), bounds=(-1.0, 1.0), level=level)


def perfect_gain(logs: BlockedLogs, by_trials: Estimate) -> Estimate:
    """Estimate the perfect choice's gain: what was measured by trials, and by a model what is beyond it.

    The interval is by the jackknife over blocks of groups, of the square of the gain: where there is little interaction
    the gain grows as its standard deviation, so that only its square has an error that is about normal. Where the lower
    end is 0, the upper end is at least the headroom of as much interaction as there may be. What the model is off by is
    not in the interval.

    Args:
        logs: With repeated trials.
        by_trials: The gain of choosing by them.

    Raises:
        ParameterError: Too few groups have repeated trials.
    """
    choices = _choices(logs)
    outcomes = choices.gain_over(choices.baseline, groups=logs.groups)
    weights = np.where(np.isnan(outcomes.values), 0.0, outcomes.weights)
    gains = np.bincount(logs.blocks, weights=weights * np.nan_to_num(outcomes.values))
    asked = np.bincount(logs.blocks, weights=weights)
    remaining, how_often = _remaining_trials(logs, weights)
    draws, single = normal_draws(logs.demonstrations.n_prompts), best_single_of(logs.demonstrations)

    def square(measured: float, sums: BlockSums) -> FloatArray:
        rule = TrialsChoice.of_sums(sums, best_single=single)
        gain = measured + perfect_gain_beyond(rule, remaining, how_often, draws)
        return np.array([max(gain, 0.0) ** 2])

    def without(block: int) -> FloatArray:
        measured = (gains.sum() - gains[block]) / (asked.sum() - asked[block])
        return square(measured, logs.sums.without(block))

    squares = square(by_trials.value, logs.sums)
    ends = jackknife(squares, logs.sums.n_blocks, by_trials.level, without)
    value, low, high = (float(np.sqrt(np.clip(each, 0.0, 1.0))[0]) for each in (squares, *ends))
    if low == 0:
        high = max(high, _most_if_thin(logs, by_trials.level))
    return replace(by_trials, value=value, low=low, high=high)


def _most_if_thin(logs: BlockedLogs, level: float) -> float:
    """Return the headroom of as much interaction as there may be, spread thinly.

    Where the estimated interaction is 0 or below, so is every estimate of the jackknife, and the interval would close.
    """
    most = components(logs, level).interaction.high
    n_prompts = logs.demonstrations.n_prompts
    spread = np.sqrt(max(most, 0.0) * n_prompts / (n_prompts - 1))
    return min(ThinHeadroom(Moments.of(logs.sums).means).headroom(float(spread)), 1.0)


def _remaining_trials(logs: BlockedLogs, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return by how many trials of each prompt queries are chosen for, to the half, and how often by so many."""
    trials = logs.demonstrations.trials
    n_tried = np.maximum((trials > 0).sum(axis=1), 1)
    means: FloatArray = np.round(2 * np.maximum(trials - 1, 0).sum(axis=1) / n_tried) / 2
    remaining, which = np.unique(means, return_inverse=True)
    how_often: FloatArray = np.bincount(which, weights=weights).astype(np.float64)
    return remaining, how_often


def has_complete_queries(logs: BlockedLogs) -> bool:
    """Return whether all prompts were tried on queries of two groups or more."""
    is_complete = (logs.demonstrations.trials > 0).all(axis=1)
    return len(np.unique(logs.groups[is_complete])) > 1


def ceiling(logs: BlockedLogs, level: float) -> Estimate:
    """Estimate the gain of the choice that knows the very outcomes it is judged by.

    On queries on which all prompts were tried. Where there are none in two groups, an untried prompt is taken to
    succeed.

    Args:
        logs: Any logs.
        level: Coverage of the interval.
    """
    is_tried = logs.demonstrations.trials > 0
    rewards = logs.demonstrations.rewards
    luckiest = np.where(is_tried, rewards, 1.0).max(axis=1)
    gains = luckiest - rewards[np.arange(len(rewards)), logs.baseline]
    if has_complete_queries(logs):
        gains = np.where(is_tried.all(axis=1), gains, np.nan)
    n_trials = int(logs.demonstrations.trials[~np.isnan(gains)].sum())
    return estimate(Outcomes(gains, logs.weights, logs.groups, n_trials), bounds=(0.0, 1.0), level=level)


def _choices(logs: BlockedLogs) -> SequentialChoices:
    if logs.choices is None:
        raise ParameterError("fewer than two groups of queries have repeated trials to choose by")
    return logs.choices
