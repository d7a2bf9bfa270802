"""What a policy's choices are worth on logged demonstrations: value, gain, regret, share of headroom.

Choices are (n_queries,) indices into `demonstrations.prompts`. A query counts as often as it was asked
(`Demonstrations.repeats`), so values equal means over the rows of the log. A query whose chosen prompt has no scored
trial is left out and counted. Everything is paired: two policies are compared on the same trials of the same queries,
and where they choose the same prompt they differ by nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from prompt_oirl.arrays import BoolArray, FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ParameterError
from prompt_oirl.evaluation.estimate import Estimate, IntervalMethod, Outcomes, estimate, group_influences
from prompt_oirl.evaluation.scores import mean_over_known

__all__ = [
    "average_gain",
    "chosen_rewards",
    "gain",
    "gain_influences",
    "oracle_choices",
    "policy_value",
    "random_prompt_value",
    "regret",
    "share_of_inflated_headroom",
]


def chosen_rewards(demonstrations: Demonstrations, choices: IntArray) -> FloatArray:
    """Return the (n_queries,) mean reward of the chosen prompt's trials, NaN where it has none.

    Raises:
        ParameterError: The choices are not one prompt index for each query.
    """
    choices = _checked(demonstrations, choices)
    rewards: FloatArray = demonstrations.rewards[np.arange(demonstrations.n_queries), choices]
    return rewards


def policy_value(
    demonstrations: Demonstrations,
    choices: IntArray,
    *,
    groups: IntArray,
    within: BoolArray | None = None,
    level: float = 0.95,
    method: IntervalMethod = "normal",
    seed: int = 0,
) -> Estimate:
    """Estimate the success rate of choosing so.

    Args:
        demonstrations: Held-out demonstrations: no choice may have been learnt from them.
        choices: (n_queries,) index of the prompt chosen for each query.
        groups: (n_queries,) group numbers, as `Demonstrations.groups` gives them.
        within: (n_queries,) the queries to rest on, such as those that two policies share; all if not given.
        level: Coverage aimed at.
        method: How the interval is made; see `estimate`.
        seed: Of the bootstrap.

    Raises:
        DataError: Fewer than two groups of queries have a trial of the chosen prompt.
    """
    rewards = chosen_rewards(demonstrations, choices)
    if within is not None:
        rewards = np.where(within, rewards, np.nan)
    outcomes = _outcomes(demonstrations, rewards, groups, _used_cells(demonstrations, [choices]))
    return estimate(outcomes, bounds=(0.0, 1.0), level=level, method=method, seed=seed)


def gain(
    demonstrations: Demonstrations,
    choices: IntArray,
    baseline: IntArray,
    *,
    groups: IntArray,
    level: float = 0.95,
    method: IntervalMethod = "normal",
    seed: int = 0,
) -> Estimate:
    """Estimate the success rate of the choices less that of the baseline's, on the same trials.

    Args:
        demonstrations: Held-out demonstrations: no choice may have been learnt from them.
        choices: (n_queries,) index of the prompt chosen for each query.
        baseline: (n_queries,) index of the prompt that the baseline chooses, such as the best single prompt's.
        groups: (n_queries,) group numbers, as `Demonstrations.groups` gives them.
        level: Coverage aimed at.
        method: How the interval is made; see `estimate`.
        seed: Of the bootstrap.

    Returns:
        The gain. Queries of which either prompt was not tried are left out: with trials missing at random, more of
        those where the two differ than of the others, which draws the gain towards 0. If all choices are the
        baseline's, the gain is 0 and so are both ends of its interval.

    Raises:
        DataError: Fewer than two groups of queries have trials of both prompts.
    """
    return average_gain(demonstrations, [(choices, baseline)], groups=groups, level=level, method=method, seed=seed)


def average_gain(
    demonstrations: Demonstrations,
    pairs: Sequence[tuple[IntArray, IntArray]],
    *,
    groups: IntArray,
    n_folds: int | None = None,
    level: float = 0.95,
    method: IntervalMethod = "normal",
    seed: int = 0,
) -> Estimate:
    """Estimate the mean gain over several runs on the same demonstrations, such as several seeds of the folds.

    Runs share their data, so they are no further evidence: each query's differences are averaged over the runs first,
    and the interval rests on the queries. It is as wide as one run's, but for what the runs' own randomness added.

    Where the runs are cross-validations, their policies share most of what they have learnt, with each other and with
    the queries that judge the others. An interval over queries knows nothing of that, and is too narrow where the
    choices are unsteady. With `n_folds` its variance is that of one run, times 1/n_runs + n_folds/(n_folds - 1), where
    n_folds times the ratio of test to training queries is the second part (Nadeau and Bengio, Machine Learning 52,
    2003, https://doi.org/10.1023/A:1024068626366; for repeated folds Bouckaert and Frank, PAKDD 2004).

    Args:
        demonstrations: Held-out demonstrations of each run.
        pairs: The (choices, baseline) of each run, each (n_queries,).
        groups: (n_queries,) group numbers, as `Demonstrations.groups` gives them.
        n_folds: Number of folds, where each run is a cross-validation; None where policies learnt from other data.
        level: Coverage aimed at.
        method: How the interval is made; see `estimate`.
        seed: Of the bootstrap.

    Returns:
        The mean gain. A query counts by the runs whose two prompts were tried on it, and is left out if there is none.

    Raises:
        ParameterError: There is no run, or fewer than two folds.
        DataError: Fewer than two groups of queries have trials of both prompts.
    """
    found = estimate(
        _differences(demonstrations, pairs, groups), bounds=(-1.0, 1.0), level=level, method=method, seed=seed
    )
    if n_folds is None:
        return found
    if n_folds < 2:
        raise ParameterError(f"n_folds={n_folds}: a cross-validation has at least 2")
    of_runs = [
        estimate(_differences(demonstrations, [pair], groups), level=level, method=method, seed=seed) for pair in pairs
    ]
    widening = np.sqrt(1 / len(pairs) + n_folds / (n_folds - 1))
    below, above = (
        float(widening * np.sqrt(np.mean(np.square(ends))))
        for ends in ([run.value - run.low for run in of_runs], [run.high - run.value for run in of_runs])
    )
    return replace(found, low=max(found.value - below, -1.0), high=min(found.value + above, 1.0))


def gain_influences(
    demonstrations: Demonstrations, choices: IntArray, baseline: IntArray, *, groups: IntArray
) -> FloatArray:
    """Return (n_groups,) by how much each group of queries moves the gain; see `group_influences`.

    Gains on the same demonstrations move together as their influences do: what `simultaneous_quantile` needs.

    Args:
        demonstrations: Held-out demonstrations, as for `gain`.
        choices: (n_queries,) index of the prompt chosen for each query.
        baseline: (n_queries,) index of the prompt that the baseline chooses.
        groups: (n_queries,) group numbers, as `Demonstrations.groups` gives them.
    """
    return group_influences(_differences(demonstrations, [(choices, baseline)], groups))


def _differences(
    demonstrations: Demonstrations, pairs: Sequence[tuple[IntArray, IntArray]], groups: IntArray
) -> Outcomes:
    """Return each query's difference in reward, averaged over the pairs whose two prompts were tried on it."""
    if not pairs:
        raise ParameterError("pairs is empty: at least one (choices, baseline) is needed")
    differences = np.array(
        [chosen_rewards(demonstrations, a) - chosen_rewards(demonstrations, b) for a, b in pairs], dtype=np.float64
    )
    can_vary = np.any([np.asarray(a) != np.asarray(b) for a, b in pairs], axis=0)
    used = _used_cells(demonstrations, [choices for pair in pairs for choices in pair])
    return _outcomes(demonstrations, mean_over_known(differences), groups, used, can_vary)


def oracle_choices(demonstrations: Demonstrations) -> IntArray:
    """Return the (n_queries,) prompt with the highest logged reward; the first of equals, 0 where none was tried."""
    choices: IntArray = np.where(demonstrations.trials > 0, demonstrations.rewards, -np.inf).argmax(axis=1)
    return choices


def regret(demonstrations: Demonstrations, choices: IntArray, *, groups: IntArray, level: float = 0.95) -> Estimate:
    """Estimate the oracle's success rate less that of the choices.

    The oracle is judged by the outcomes it chose on. With few samples a cell its value contains their luck, and so
    does the regret: no policy can bring it to zero.

    Args:
        demonstrations: Held-out demonstrations.
        choices: (n_queries,) index of the prompt chosen for each query.
        groups: (n_queries,) group numbers, as `Demonstrations.groups` gives them.
        level: Coverage aimed at.
    """
    return gain(demonstrations, oracle_choices(demonstrations), choices, groups=groups, level=level)


def share_of_inflated_headroom(
    demonstrations: Demonstrations, choices: IntArray, baseline: IntArray, *, groups: IntArray, level: float = 0.95
) -> Estimate | None:
    """Estimate the gain as a share of the oracle's gain over the same baseline.

    The oracle's gain contains the luck of the samples it is judged by, so this understates the share of what could
    be had; the headroom with sampling noise taken out needs repeated trials.

    Args:
        demonstrations: Held-out demonstrations.
        choices: (n_queries,) index of the prompt chosen for each query.
        baseline: (n_queries,) index of the prompt that the baseline chooses.
        groups: (n_queries,) group numbers, as `Demonstrations.groups` gives them.
        level: Coverage aimed at.

    Returns:
        The share, 1 for the oracle's own choices; None where not even the oracle gains anything.
    """
    rewards, of_baseline = chosen_rewards(demonstrations, choices), chosen_rewards(demonstrations, baseline)
    oracle = chosen_rewards(demonstrations, oracle_choices(demonstrations))
    headroom = np.where(np.isnan(rewards), np.nan, oracle - of_baseline)
    if not np.nansum(headroom * demonstrations.repeats) > 0:
        return None
    used = _used_cells(demonstrations, [choices, baseline, oracle_choices(demonstrations)])
    outcomes = _outcomes(demonstrations, rewards - of_baseline, groups, used, np.asarray(choices) != baseline)
    return estimate(outcomes, per=headroom, level=level)


def random_prompt_value(demonstrations: Demonstrations, *, groups: IntArray, level: float = 0.95) -> Estimate:
    """Estimate the success rate of a prompt chosen at random, in expectation over the choice.

    Args:
        demonstrations: Any demonstrations: nothing is learnt.
        groups: (n_queries,) group numbers, as `Demonstrations.groups` gives them.
        level: Coverage aimed at.
    """
    values = mean_over_known(demonstrations.rewards.T)
    outcomes = _outcomes(demonstrations, values, groups, demonstrations.trials > 0)
    return estimate(outcomes, bounds=(0.0, 1.0), level=level)


def _checked(demonstrations: Demonstrations, choices: IntArray) -> IntArray:
    choices = np.asarray(choices)
    if choices.shape != (demonstrations.n_queries,) or not np.issubdtype(choices.dtype, np.integer):
        raise ParameterError(
            f"choices are {choices.dtype} of shape {choices.shape}; one prompt index for each of the "
            f"{demonstrations.n_queries} queries is needed, as Policy.choose gives them"
        )
    if choices.size and (choices.min() < 0 or choices.max() >= demonstrations.n_prompts):
        raise ParameterError(
            f"choices run from {choices.min()} to {choices.max()}, but there are prompts 0 to "
            f"{demonstrations.n_prompts - 1}: choose among demonstrations.prompts, in their order"
        )
    return choices


def _used_cells(demonstrations: Demonstrations, choices: Sequence[IntArray]) -> BoolArray:
    """Return the (n_queries, n_prompts) cells that some of the choices rest on."""
    used: BoolArray = np.zeros(demonstrations.trials.shape, bool)
    for chosen in choices:
        used[np.arange(len(used)), chosen] = True
    return used


def _outcomes(
    demonstrations: Demonstrations,
    values: FloatArray,
    groups: IntArray,
    used: BoolArray,
    can_vary: BoolArray | None = None,
) -> Outcomes:
    kept = ~np.isnan(values)
    return Outcomes(
        values=values,
        weights=demonstrations.repeats.astype(np.float64),
        groups=np.asarray(groups),
        n_trials=int(demonstrations.trials[used & kept[:, None]].sum()),
        can_vary=can_vary,
    )
