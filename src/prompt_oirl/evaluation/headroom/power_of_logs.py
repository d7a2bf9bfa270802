"""What could have been seen with given logs."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from prompt_oirl.arrays import IntArray
from prompt_oirl.evaluation.estimate import DOMINANT_SHARE, FEWEST_GROUPS, Outcomes, estimate
from prompt_oirl.evaluation.gains import fold_widening
from prompt_oirl.evaluation.headroom.blocked_logs import BlockedLogs
from prompt_oirl.evaluation.headroom.moments import Moments
from prompt_oirl.evaluation.headroom.power import (
    detectable_headroom,
    errors_of_gain,
    repeats_needed,
    variance_of_gain,
)
from prompt_oirl.evaluation.headroom.variance import variance_of_parts
from prompt_oirl.policies import best_single_of

__all__ = ["PowerStatement", "power_of_logs", "why_no_power"]

_POWER = 0.8
_POINT = 0.01
_REPEATS = (2, 4, 8, 16)
_MOST_NOISE = 0.25
_LEVEL = 0.95

_WIDENING = fold_widening(5, n_runs=5)
"""Of the interval that a report judges a gain by."""

_SHARE_MEASURED = 0.9
"""Of the queries that choosing by trials is measured on; what comes before is learnt from only."""


@dataclass(frozen=True)
class PowerStatement:
    """What could have been seen with these queries, prompts and repeats, and what would be needed to see one point.

    Gains and headroom are fractions of 1, so a point is 0.01.
    """

    level: float
    """Of the interval of a gain, which must lie above 0; 1 − level is the error rate of finding headroom."""

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
    """The smallest gain that would be seen of a policy that spreads queries evenly over the prompts, cross-validated
    with five seeds of five folds. One that leaves the best single prompt on fewer queries shows smaller gains."""

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


def why_no_power(logs: BlockedLogs) -> str | None:
    """Return why nothing can be said of what could have been seen, in a clause; None where it can."""
    if logs.largest_group_share > DOMINANT_SHARE:
        return (
            f"one group of near-duplicates is {logs.largest_group_share:.0%} of the queries, so how much other queries "
            "differ is not known"
        )
    if not len(_compared(logs)):
        return (
            f"fewer than {FEWEST_GROUPS} groups of queries were tried with the best single prompt and with another one"
        )
    return None


def power_of_logs(logs: BlockedLogs, level: float, *, n_floors: int = 1) -> PowerStatement:
    """Say what could have been seen with these logs.

    Args:
        logs: Logs of which `why_no_power` has nothing to say.
        level: Of the interval of a gain; 1 − level is the error rate of finding headroom.
        n_floors: How many floors headroom is looked for by, each of which may err so much less.
    """
    means, trials = Moments.of(logs.sums).means, logs.demonstrations.trials
    interaction, noise = _interaction_and_noise(logs)
    n_repeats = _mean_repeats(trials)
    n_compared, error = _error_of_gain(logs)
    smallest_gain = errors_of_gain(level, _POWER, _WIDENING) * error
    n_queries = max(variance_of_gain(n_compared, n_repeats, noise, interaction) / error**2, 1.0)
    n_repeated = n_queries * float(np.average(logs.is_repeated, weights=logs.weights))
    asked: dict[str, float] = {"noise": noise, "level": 1 - (1 - level) / n_floors, "power": _POWER}

    def smallest_headroom(queries: float, repeats: float) -> float | None:
        return detectable_headroom(means, n_queries=max(_SHARE_MEASURED * queries, 1.0), n_repeats=repeats, **asked)

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
        repeats_for_one_point=repeats_needed(_POINT, means, n_queries=max(_SHARE_MEASURED * n_queries, 1.0), **asked),
    )


def _compared(logs: BlockedLogs) -> IntArray:
    """Return the prompts that were tried with the best single prompt on queries of 30 groups or more."""
    tried, single = logs.demonstrations.trials > 0, best_single_of(logs.demonstrations)
    n_groups = [len(np.unique(logs.groups[with_prompt & tried[:, single]])) for with_prompt in tried.T]
    compared: IntArray = np.flatnonzero((np.array(n_groups) >= FEWEST_GROUPS) & (np.arange(tried.shape[1]) != single))
    return compared


def _error_of_gain(logs: BlockedLogs) -> tuple[int, float]:
    """Return among how many prompts, and the standard error of the gain of, a choice that spreads groups evenly.

    On each prompt's share of the groups its gain varies as that of using it for all. Prompts that were hardly tried
    with the best single one are not chosen: how such a gain varies is not known.
    """
    rewards, trials = logs.demonstrations.rewards, logs.demonstrations.trials
    single, compared = best_single_of(logs.demonstrations), _compared(logs)
    variances = []
    for prompt in compared:
        gains = rewards[:, prompt] - rewards[:, single]
        n_trials = int(trials[~np.isnan(gains)][:, np.array([prompt, single])].sum())
        variances.append(_variance(Outcomes(gains, logs.weights, logs.groups, n_trials)))
    return len(compared) + 1, math.sqrt(sum(variances) / (len(compared) + 1))


def _variance(outcomes: Outcomes) -> float:
    """Return the variance of the mean."""
    found = estimate(outcomes, level=_LEVEL)
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
