"""What could have been seen with given logs."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from prompt_oirl.arrays import IntArray
from prompt_oirl.errors import DataError
from prompt_oirl.evaluation.estimate import Outcomes, estimate
from prompt_oirl.evaluation.headroom.blocked_logs import BlockedLogs
from prompt_oirl.evaluation.headroom.moments import Moments
from prompt_oirl.evaluation.headroom.power import (
    detectable_headroom,
    errors_apart,
    repeats_needed,
    variance_of_gain,
)
from prompt_oirl.evaluation.headroom.variance import variance_of_parts

__all__ = ["PowerStatement", "power_of_logs"]

_POWER = 0.8
_POINT = 0.01
_REPEATS = (2, 4, 8, 16)
_MOST_NOISE = 0.25
_LEVEL = 0.95


@dataclass(frozen=True)
class PowerStatement:
    """What could have been seen with these queries, prompts and repeats, and what would be needed to see one point.

    Gains and headroom are fractions of 1, so a point is 0.01.
    """

    level: float
    """Of the one-sided test."""

    power: float
    """How often what is there would be seen."""

    n_queries: float
    """How many queries, asked equally often and unlike each other, would be worth as much as these."""

    n_prompts: int

    n_repeats: float
    """Trials of each query and prompt: the mean that gives the same noise."""

    n_repeated_queries: float
    """As `n_queries`, of those with repeated trials."""

    noise: float
    """Variance of one trial about its success probability."""

    interaction: float
    """Variance of success probabilities that is due neither to the query nor to the prompt."""

    is_noise_assumed: bool
    """Without repeats noise cannot be told from interaction: all is taken to be noise."""

    detectable_gain: float
    """The smallest gain that would be seen of a policy that spreads queries evenly over the prompts. One that leaves
    the best single prompt on fewer queries shows smaller gains."""

    queries_for_one_point: int
    """How many distinct queries, logged like these, would show a policy's gain of one point."""

    detectable_headroom: float | None
    """The smallest headroom that choosing by trials would find, if spread thinly; None where it would find none."""

    headroom_by_repeats: dict[int, float | None]
    """The same, with other numbers of trials of each of the queries and prompts."""

    repeats_for_one_point: int | None
    """The fewest trials of each of the queries and prompts that find a headroom of one point; None if 64 do not."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self)


def power_of_logs(logs: BlockedLogs, level: float) -> PowerStatement:
    """Say what could have been seen with these logs.

    Args:
        logs: Any logs.
        level: Of the one-sided test.
    """
    means, trials = Moments.of(logs.sums).means, logs.demonstrations.trials
    interaction, noise = _interaction_and_noise(logs)
    n_repeats = _mean_repeats(trials)
    error = _error_of_gain(logs, int(means.argmax()))
    smallest_gain = errors_apart(level, _POWER) * error
    n_queries = max(variance_of_gain(len(means), n_repeats, noise, interaction) / error**2, 1.0)
    n_repeated = n_queries * float(np.average(logs.is_repeated, weights=logs.weights))
    asked: dict[str, float] = {"noise": noise, "level": level, "power": _POWER}

    def smallest_headroom(queries: float, repeats: float) -> float | None:
        return detectable_headroom(means, n_queries=max(queries, 1.0), n_repeats=repeats, **asked)

    return PowerStatement(
        level=level,
        power=_POWER,
        n_queries=n_queries,
        n_prompts=len(means),
        n_repeats=n_repeats,
        n_repeated_queries=n_repeated,
        noise=noise,
        interaction=interaction,
        is_noise_assumed=logs.choices is None,
        detectable_gain=smallest_gain,
        queries_for_one_point=math.ceil(len(trials) * (smallest_gain / _POINT) ** 2),
        detectable_headroom=smallest_headroom(n_repeated, _mean_repeats(trials[logs.is_repeated])),
        headroom_by_repeats={repeats: smallest_headroom(n_queries, repeats) for repeats in _REPEATS},
        repeats_for_one_point=repeats_needed(_POINT, means, n_queries=n_queries, **asked),
    )


def _error_of_gain(logs: BlockedLogs, single: int) -> float:
    """Return the standard error of the gain of a choice that spreads groups evenly over the prompts.

    On each prompt's share of the groups its gain varies as that of using it for all.
    """
    rewards, trials = logs.demonstrations.rewards, logs.demonstrations.trials
    variances = []
    for prompt in np.delete(np.arange(rewards.shape[1]), single):
        gains = rewards[:, prompt] - rewards[:, single]
        n_trials = int(trials[~np.isnan(gains)][:, np.array([prompt, single])].sum())
        variances.append(_variance(Outcomes(gains, logs.weights, logs.groups, n_trials)))
    return math.sqrt(sum(variances) / rewards.shape[1])


def _variance(outcomes: Outcomes) -> float:
    """Return the variance of the mean; the most that there can be of one difference where two groups are lacking."""
    try:
        found = estimate(outcomes, level=_LEVEL)
    except DataError:
        return 1.0
    freedom = found.n_groups - 1
    return ((found.high - found.value) / float(stdtrit(freedom, 0.5 + _LEVEL / 2))) ** 2


def _mean_repeats(trials: IntArray) -> float:
    """Return the number of trials of each cell that would give the same mean variance; 1 where there are none."""
    tried = trials[trials > 0]
    return float(1 / (1 / tried).mean()) if tried.size else 1.0


def _interaction_and_noise(logs: BlockedLogs) -> tuple[float, float]:
    """Return both variances; where no repeats tell them apart, no interaction, and all there is as noise."""
    if logs.choices is not None:
        _, _, interaction, noise = variance_of_parts(Moments.of(logs.sums))
        return float(interaction), float(np.clip(noise, 0.0, _MOST_NOISE))
    trials, successes = logs.demonstrations.trials, logs.demonstrations.successes
    surprises = successes - trials * Moments.of(logs.sums).means
    several = (trials > 0).sum(axis=1) > 1
    if not several.any():
        return 0.0, _MOST_NOISE
    rates = np.ma.masked_array(surprises / np.maximum(trials, 1), trials == 0)[several]
    noise = np.average(rates.var(axis=1, ddof=1), weights=logs.weights[several])
    return 0.0, float(np.clip(noise, 0.0, _MOST_NOISE))
