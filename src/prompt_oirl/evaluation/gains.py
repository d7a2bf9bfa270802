"""What a policy's choices gain over another's on logged demonstrations.

Two policies are compared on the same trials of the same queries, and where they choose the same prompt they differ by
nothing, whatever was logged. So with trials missing the two parts of a gain are known from different queries: how often
the policies differ, from all of them; by how much, from those of the queries where they differ on which both prompts
were tried. A plain mean over the queries that are known would have too many where they do not differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from prompt_oirl.arrays import BoolArray, FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ParameterError
from prompt_oirl.evaluation.chosen import chosen_rewards, used_cells
from prompt_oirl.evaluation.estimate import Estimate, IntervalMethod, Outcomes, estimate, group_influences

__all__ = ["average_gain", "fold_widening", "gain", "gain_influences", "gain_outcomes"]


def gain(
    demonstrations: Demonstrations,
    choices: IntArray,
    baseline: IntArray,
    *,
    groups: IntArray,
    n_folds: int | None = None,
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
        n_folds: Number of folds, where the choices are a cross-validation's; see `average_gain`.
        level: Coverage aimed at.
        method: How the interval is made; see `estimate`.
        seed: Of the bootstrap.

    Returns:
        The gain, by `gain_outcomes`. Left out and counted are queries where the two differ of which either prompt was
        not tried. If all choices are the baseline's, the gain is 0 and so are both ends of its interval.

    Raises:
        DataError: Fewer than two groups of queries have trials of both prompts, or differ by nothing.
    """
    return average_gain(
        demonstrations,
        [(choices, baseline)],
        groups=groups,
        n_folds=n_folds,
        level=level,
        method=method,
        seed=seed,
    )


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
    choices are unsteady. With `n_folds` its variance is that of one run, times the square of `fold_widening`.

    Args:
        demonstrations: Held-out demonstrations of each run.
        pairs: The (choices, baseline) of each run, each (n_queries,).
        groups: (n_queries,) group numbers, as `Demonstrations.groups` gives them.
        n_folds: Number of folds, where each run is a cross-validation; None where policies learnt from other data.
        level: Coverage aimed at.
        method: How the interval is made; see `estimate`.
        seed: Of the bootstrap.

    Returns:
        The mean of the runs' gains. A query is left out if no run's two prompts were tried on it. With trials missing
        the interval ends where the share of the queries that get another prompt does, which no gain exceeds.

    Raises:
        ParameterError: There is no run, or fewer than two folds.
        DataError: Fewer than two groups of queries have trials of both prompts, or differ by nothing.
    """
    runs = _runs(demonstrations, pairs)

    def estimated(some: Sequence[_Differences], most: float) -> Estimate:
        outcomes = _averaged(demonstrations, some, groups)
        return estimate(outcomes, bounds=(-most, most), level=level, method=method, seed=seed)

    most = _most(demonstrations, runs, groups, level)
    found = estimated(runs, most)
    if n_folds is None:
        return found
    widening = fold_widening(n_folds, n_runs=len(pairs))
    of_runs = [estimated([run], _most(demonstrations, [run], groups, level)) for run in runs]
    below, above = (
        float(widening * np.sqrt(np.mean(np.square(ends))))
        for ends in ([run.value - run.low for run in of_runs], [run.high - run.value for run in of_runs])
    )
    return replace(found, low=max(found.value - below, -most), high=min(found.value + above, most))


def _most(demonstrations: Demonstrations, runs: Sequence[_Differences], groups: IntArray, level: float) -> float:
    """Return what no gain exceeds: the upper end of the share of queries on which the two prompts differ.

    Where nothing is missing an interval hardly reaches it. Where little is known of those queries it would go beyond.
    """
    if all(run.is_known.all() for run in runs):
        return 1.0
    shares = np.mean([run.differ for run in runs], axis=0)
    weights = demonstrations.repeats.astype(np.float64)
    return estimate(Outcomes(shares, weights, np.asarray(groups), n_trials=0), bounds=(0.0, 1.0), level=level).high


def fold_widening(n_folds: int | None, *, n_runs: int = 1) -> float:
    """Return how many times as wide a cross-validated gain's interval is as that of one run over the queries.

    1 where policies learnt from other data, and there are no folds.

    The root of 1/n_runs + n_folds/(n_folds - 1), where n_folds times the ratio of test to training queries is the
    second part (Nadeau and Bengio, Machine Learning 52, 2003, https://doi.org/10.1023/A:1024068626366; for repeated
    folds Bouckaert and Frank, PAKDD 2004).

    Raises:
        ParameterError: Fewer than two folds.
    """
    if n_folds is None:
        return 1.0
    if n_folds < 2:
        raise ParameterError(f"n_folds={n_folds}: a cross-validation has at least 2")
    return float(np.sqrt(1 / n_runs + n_folds / (n_folds - 1)))


def gain_influences(
    demonstrations: Demonstrations, pairs: Sequence[tuple[IntArray, IntArray]], *, groups: IntArray
) -> FloatArray:
    """Return (n_groups,) by how much each group of queries moves the mean gain; see `group_influences`.

    Gains on the same demonstrations move together as their influences do: what `simultaneous_quantile` needs.

    Args:
        demonstrations: Held-out demonstrations, as for `average_gain`.
        pairs: The (choices, baseline) of each run, each (n_queries,).
        groups: (n_queries,) group numbers, as `Demonstrations.groups` gives them.
    """
    return group_influences(gain_outcomes(demonstrations, pairs, groups=groups))


def gain_outcomes(
    demonstrations: Demonstrations, pairs: Sequence[tuple[IntArray, IntArray]], *, groups: IntArray
) -> Outcomes:
    """Return an outcome of each query, averaged over the runs, whose mean is the gain.

    Where the two prompts of a run are the same it is 0. Where they differ and both were tried, it is the mean
    difference of all such queries, and this query's deviation from it times W / W', where W is the weight of the
    queries on which the run's prompts differ and W' that of those among them that are known. Where they differ and
    either was not tried, it is the mean difference, and the query counts as left out. So the mean over queries is the
    share on which they differ times the mean difference, and its spread is that of this product, linearised. With
    nothing missing the outcomes are the differences themselves.

    This is right if what is missing on the queries where prompts differ does not depend on the reward.

    Args:
        demonstrations: Held-out demonstrations of each run.
        pairs: The (choices, baseline) of each run, each (n_queries,).
        groups: (n_queries,) group numbers.

    Raises:
        ParameterError: There is no run.
    """
    return _averaged(demonstrations, _runs(demonstrations, pairs), groups)


def _runs(demonstrations: Demonstrations, pairs: Sequence[tuple[IntArray, IntArray]]) -> list[_Differences]:
    if not pairs:
        raise ParameterError("pairs is empty: at least one (choices, baseline) is needed")
    weights = demonstrations.repeats.astype(np.float64)
    return [_Differences.of(demonstrations, pair, weights=weights) for pair in pairs]


def _averaged(demonstrations: Demonstrations, runs: Sequence[_Differences], groups: IntArray) -> Outcomes:
    is_known: BoolArray = np.any([run.is_known for run in runs], axis=0)
    used = used_cells(demonstrations, [choices for run in runs for choices in run.pair])
    return Outcomes(
        values=np.mean([run.outcomes for run in runs], axis=0),
        weights=demonstrations.repeats.astype(np.float64),
        groups=np.asarray(groups),
        n_trials=int(demonstrations.trials[used & is_known[:, None]].sum()),
        can_vary=np.any([run.can_vary for run in runs], axis=0),
        pseudo_weight=float(np.mean([run.pseudo_weight for run in runs])),
        is_known=is_known,
    )


@dataclass(frozen=True, eq=False)
class _Differences:
    """The outcomes of one run."""

    pair: tuple[IntArray, IntArray]
    outcomes: FloatArray
    differ: BoolArray
    is_known: BoolArray
    can_vary: BoolArray
    pseudo_weight: float
    """Of one more query on which the prompts differ and are known."""

    @classmethod
    def of(
        cls, demonstrations: Demonstrations, pair: tuple[IntArray, IntArray], *, weights: FloatArray
    ) -> _Differences:
        choices, baseline = pair
        differences = chosen_rewards(demonstrations, choices) - chosen_rewards(demonstrations, baseline)
        differ: BoolArray = np.asarray(choices) != np.asarray(baseline)
        is_known: BoolArray = ~differ | ~np.isnan(differences)
        measured = differ & is_known
        of_differing, of_measured = float(weights[differ].sum()), float(weights[measured].sum())
        mean_weight = float(weights.mean()) if len(weights) else 0.0
        mean = float(weights[measured] @ differences[measured]) / of_measured if of_measured else 0.0
        # Where none is known, one query stands for all.
        scale = of_differing / of_measured if of_measured else of_differing / mean_weight if mean_weight else 1.0
        outcomes = np.where(differ, mean, 0.0)
        outcomes[measured] += scale * (differences[measured] - mean)
        return cls(pair, outcomes, differ, is_known, measured if of_measured else differ, mean_weight * max(scale, 1.0))
