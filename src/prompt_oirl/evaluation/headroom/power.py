"""What could have been seen, and how much more logging would show it: normal approximations.

Of a policy's gain: a choice that spreads queries evenly over the J prompts leaves the best single prompt on a share
(J − 1)/J of them, and there two prompts' mean rewards differ by a variance of 2(J/(J − 1) · interaction + noise /
repeats). So the gain's standard error is √(2(interaction + (J − 1)/J · noise/repeats) · design effect / queries), and a
gain is seen with the power asked for if it is widening · z((1 + level)/2) + z(power) standard errors: its interval must
lie above 0, and is wider than that of fixed choices where they are cross-validated. A policy that leaves the best
single prompt on fewer queries shows smaller gains.

Of headroom, found by the choice by trials: the success probabilities of each query are taken to vary normally about
the prompts' means, independently for all prompts alike. That is headroom spread as thinly as can be, and the hardest to
find; the same headroom in few queries is found with less. It is found if choosing beats every single prompt, so what
counts is the one that it beats by least. The rule must be learnt too, which costs about a fifth of its signal.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri

from prompt_oirl.arrays import FloatArray
from prompt_oirl.errors import ParameterError
from prompt_oirl.evaluation.headroom.perfect import normal_draws

__all__ = [
    "ThinHeadroom",
    "detectable_gain",
    "detectable_headroom",
    "errors_apart",
    "errors_of_gain",
    "queries_needed",
    "repeats_needed",
    "variance_of_gain",
]

_MOST_REPEATS = 64
_LEARNT = 0.8
"""The signal of a rule learnt from the logs, of that of the known one: about so in simulations."""

_LARGEST_SPREAD = 0.5
"""Standard deviation of a success probability that is 0 or 1 equally often: there is no larger one."""


def detectable_gain(
    *,
    n_queries: float,
    n_prompts: int,
    n_repeats: float = 1,
    noise: float = 0.25,
    interaction: float = 0.0,
    design_effect: float = 1.0,
    widening: float = 1.0,
    level: float = 0.95,
    power: float = 0.8,
) -> float:
    """Return the smallest gain over the best single prompt that would be seen, as a fraction of 1.

    Args:
        n_queries: Distinct queries evaluated on.
        n_prompts: Prompts that the policy chooses among.
        n_repeats: Trials of each query and prompt.
        noise: Variance of one trial about its success probability; 0.25 is the most there can be.
        interaction: Variance of success probabilities that is due neither to the query nor to the prompt.
        design_effect: How many times as many queries are needed because they come in groups.
        widening: How many times as wide the interval is as for fixed choices; see `evaluation.fold_widening`.
        level: Of the interval, which must lie above 0.
        power: How often a gain of that size would be seen.

    Raises:
        ParameterError: A number is out of its range.
    """
    _check(n_queries, n_prompts, n_repeats, noise, level, power)
    error = math.sqrt(variance_of_gain(n_prompts, n_repeats, noise, interaction) * design_effect / n_queries)
    return errors_of_gain(level, power, widening) * error


def queries_needed(
    gain: float,
    *,
    n_prompts: int,
    n_repeats: float = 1,
    noise: float = 0.25,
    interaction: float = 0.0,
    design_effect: float = 1.0,
    widening: float = 1.0,
    level: float = 0.95,
    power: float = 0.8,
) -> int:
    """Return how many distinct queries would show a gain of this size: the inverse of `detectable_gain`.

    Args:
        gain: Over the best single prompt, as a fraction of 1.
        n_prompts: Prompts that the policy chooses among.
        n_repeats: Trials of each query and prompt.
        noise: Variance of one trial about its success probability; 0.25 is the most there can be.
        interaction: Variance of success probabilities that is due neither to the query nor to the prompt.
        design_effect: How many times as many queries are needed because they come in groups.
        widening: How many times as wide the interval is as for fixed choices; see `evaluation.fold_widening`.
        level: Of the interval, which must lie above 0.
        power: How often the gain would be seen.

    Raises:
        ParameterError: A number is out of its range.
    """
    _check(1, n_prompts, n_repeats, noise, level, power)
    if not 0 < gain <= 1:
        raise ParameterError(f"gain={gain}: a fraction above 0 and up to 1 is needed, such as 0.01 for one point")
    variance = variance_of_gain(n_prompts, n_repeats, noise, interaction) * design_effect
    return max(math.ceil(variance * (errors_of_gain(level, power, widening) / gain) ** 2), 1)


def detectable_headroom(
    means: FloatArray, *, n_queries: float, n_repeats: float, noise: float, level: float = 0.95, power: float = 0.8
) -> float | None:
    """Return the smallest headroom, spread thinly, that choosing by trials would find; None where it would find none.

    Args:
        means: (n_prompts,) success rates.
        n_queries: Distinct queries, each with the same number of trials of each prompt.
        n_repeats: Trials of each query and prompt; one of them is left out to measure on.
        noise: Variance of one trial about its success probability.
        level: Of the one-sided test.
        power: How often headroom of that size would be found.

    Raises:
        ParameterError: A number is out of its range.
    """
    _check(n_queries, len(means), n_repeats, noise, level, power)
    model = ThinHeadroom(means)
    wanted = errors_apart(level, power) / math.sqrt(n_queries)

    def surplus(spread: float) -> float:
        return model.signal(spread, noise, n_repeats) - wanted

    if n_repeats <= 1 or surplus(_LARGEST_SPREAD) <= 0:
        return None
    return model.headroom(float(brentq(surplus, 1e-6, _LARGEST_SPREAD, xtol=1e-5)))


def repeats_needed(
    headroom: float,
    means: FloatArray,
    *,
    n_queries: float,
    noise: float,
    level: float = 0.95,
    power: float = 0.8,
) -> int | None:
    """Return the fewest trials of each query and prompt that find headroom of this size; None if 64 do not.

    Args:
        headroom: As a fraction of 1, spread thinly.
        means: (n_prompts,) success rates.
        n_queries: Distinct queries.
        noise: Variance of one trial about its success probability.
        level: Of the one-sided test.
        power: How often the headroom would be found.

    Raises:
        ParameterError: A number is out of its range.
    """
    _check(n_queries, len(means), 2, noise, level, power)
    if not 0 < headroom <= 1:
        raise ParameterError(f"headroom={headroom}: a fraction above 0 and up to 1 is needed, such as 0.01 for a point")
    model = ThinHeadroom(means)
    if model.headroom(_LARGEST_SPREAD) < headroom:
        return None
    spread = float(brentq(lambda spread: model.headroom(spread) - headroom, 0.0, _LARGEST_SPREAD, xtol=1e-5))
    wanted = errors_apart(level, power) / math.sqrt(n_queries)
    counts = (n_repeats for n_repeats in range(2, _MOST_REPEATS + 1))
    return next((count for count in counts if model.signal(spread, noise, count) >= wanted), None)


class ThinHeadroom:
    """Success probabilities that vary normally about the prompts' means, by the same spread for all."""

    def __init__(self, means: FloatArray) -> None:
        draws = normal_draws(2 * len(means))
        self.means = np.asarray(means, dtype=np.float64)
        self.of_query, self.of_trials = (_centred(each) for each in np.split(draws, 2, axis=1))

    def headroom(self, spread: float) -> float:
        """Return what the perfect choice gains."""
        return float((self.means + spread * self.of_query).max(axis=1).mean() - self.means.max())

    def signal(self, spread: float, noise: float, n_repeats: float) -> float:
        """Return what choosing by all trials but one gains over the best rival, in standard deviations of a query's."""
        of_trials = noise / (n_repeats - 1)
        probabilities = self.means + spread * self.of_query
        observed = spread * self.of_query + math.sqrt(of_trials) * self.of_trials
        chosen = (self.means + spread**2 / (spread**2 + of_trials) * observed).argmax(axis=1)
        of_chosen = probabilities[np.arange(len(chosen)), chosen]
        return _LEARNT * min(
            _signal(of_chosen - of_prompt, 2 * noise / n_repeats * float((chosen != prompt).mean()))
            for prompt, of_prompt in enumerate(probabilities.T)
        )


def _signal(gains: FloatArray, noise: float) -> float:
    """Return the mean gain in standard deviations of one query's."""
    variance = float(gains.var()) + noise
    return float(gains.mean()) / math.sqrt(variance) if variance > 0 else 0.0


def _centred(draws: FloatArray) -> FloatArray:
    """Return draws without what they have in common over prompts, which moves no choice."""
    centred: FloatArray = draws - draws.mean(axis=1, keepdims=True)
    return centred


def variance_of_gain(n_prompts: int, n_repeats: float, noise: float, interaction: float) -> float:
    """Return the variance over queries of what a choice that spreads them evenly over the prompts gains."""
    return 2 * (max(interaction, 0.0) + (n_prompts - 1) / n_prompts * noise / n_repeats)


def errors_of_gain(level: float, power: float, widening: float) -> float:
    """Return how many standard errors a gain must be from 0 for its widened interval to be above 0 so often."""
    return float(widening * ndtri(0.5 + level / 2) + ndtri(power))


def errors_apart(level: float, power: float) -> float:
    """Return how many standard errors what is there must be from 0 to be seen so often by the one-sided test."""
    return float(ndtri(level) + ndtri(power))


def _check(n_queries: float, n_prompts: int, n_repeats: float, noise: float, level: float, power: float) -> None:
    for name, value, least in (("n_queries", n_queries, 1), ("n_prompts", n_prompts, 2), ("n_repeats", n_repeats, 1)):
        if not value >= least:
            raise ParameterError(f"{name}={value}: at least {least} is needed")
    if not 0 <= noise <= 0.25:
        raise ParameterError(f"noise={noise}: the variance of a reward that is 0 or 1 lies from 0 to 0.25")
    for name, value in (("level", level), ("power", power)):
        if not 0.5 < value < 1:
            raise ParameterError(f"{name}={value}: a number above 0.5 and below 1 is needed")
