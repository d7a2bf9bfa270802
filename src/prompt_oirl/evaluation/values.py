"""What a policy's choices are worth on logged demonstrations: value, regret, share of headroom.

Choices are (n_queries,) indices into `demonstrations.prompts`. A query counts as often as it was asked
(`Demonstrations.repeats`), so values equal means over the rows of the log. A query whose chosen prompt has no scored
trial is left out and counted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prompt_oirl.arrays import BoolArray, FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.evaluation.chosen import chosen_rewards, used_cells
from prompt_oirl.evaluation.estimate import Estimate, IntervalMethod, Outcomes, estimate
from prompt_oirl.evaluation.scores import mean_over_known

__all__ = [
    "average_value",
    "oracle_choices",
    "policy_value",
    "random_prompt_value",
    "regret",
    "share_of_inflated_headroom",
]


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
    outcomes = _outcomes(demonstrations, rewards, groups, used_cells(demonstrations, [choices]))
    return estimate(outcomes, bounds=(0.0, 1.0), level=level, method=method, seed=seed)


def average_value(
    demonstrations: Demonstrations, runs: Sequence[IntArray], *, groups: IntArray, level: float = 0.95
) -> Estimate:
    """Estimate the mean success rate of the choices of several runs, such as several draws of the folds.

    Runs are no further evidence: each query's rewards are averaged over the runs first, as `average_gain` does.

    Args:
        demonstrations: Held-out demonstrations of each run.
        runs: The (n_queries,) choices of each.
        groups: (n_queries,) group numbers.
        level: Coverage aimed at.

    Raises:
        DataError: Fewer than two groups of queries have a trial of a chosen prompt.
    """
    rewards = mean_over_known(np.array([chosen_rewards(demonstrations, choices) for choices in runs]))
    outcomes = _outcomes(demonstrations, rewards, groups, used_cells(demonstrations, runs))
    return estimate(outcomes, bounds=(0.0, 1.0), level=level)


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
    oracle = oracle_choices(demonstrations)
    differences = chosen_rewards(demonstrations, oracle) - chosen_rewards(demonstrations, choices)
    used = used_cells(demonstrations, [oracle, choices])
    outcomes = _outcomes(demonstrations, differences, groups, used, oracle != np.asarray(choices))
    return estimate(outcomes, bounds=(0.0, 1.0), level=level)


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
    used = used_cells(demonstrations, [choices, baseline, oracle_choices(demonstrations)])
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
