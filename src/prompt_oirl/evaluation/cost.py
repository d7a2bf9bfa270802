"""Value against cost: what choosing by score − λ·cost achieves, and what it spends.

λ is what a success may cost: a prompt that costs c more is chosen where its score is higher by more than λ·c. So scores
must be in units of the success rate, as the advantage models' and the probability models' are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ParameterError
from prompt_oirl.evaluation.chosen import chosen_rewards
from prompt_oirl.evaluation.estimate import Estimate, Outcomes, estimate
from prompt_oirl.evaluation.gains import gain
from prompt_oirl.evaluation.scores import check_scores
from prompt_oirl.evaluation.values import policy_value
from prompt_oirl.features.tokens import written_tokens
from prompt_oirl.policies import best_of_scores, best_single_of
from prompt_oirl.records import Prompt

__all__ = ["CostCurve", "CostPoint", "SelfCritiqueCost", "cost_curve", "prompt_tokens"]

_N_LAMBDAS = 12


@dataclass(frozen=True)
class CostPoint:
    """One way of choosing, with what it achieves and what it spends, on the same queries."""

    name: str
    """`per query` for choices by score − λ·cost, else the id of the prompt that is used for every query."""

    lambda_: float | None
    """What one unit of cost takes off a score; None for a single prompt."""

    value: Estimate
    """Success rate."""

    cost: Estimate
    """Mean cost of a query."""

    gain: Estimate
    """Value less the best single prompt's."""

    saving: Estimate
    """The best single prompt's cost less this one, a query; negative where this costs more."""

    shares: tuple[float, ...]
    """For each prompt the share of the queries that it is chosen for."""

    is_efficient: bool
    """Whether it is on the Pareto front: no other point has at least its gain for at least its saving."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self)


@dataclass(frozen=True)
class SelfCritiqueCost:
    """What self-critique spends a query: an answer to every prompt, and a critique of every answer."""

    calls_per_query: int
    """Twice the number of prompts; any other point here makes one call."""

    cost_per_query: float
    """Of answers and critiques."""

    calls_avoided: int
    """By making one call a query instead, over all the queries as often as they were asked."""

    is_critique_cost_given: bool
    """If not, a critique was taken to cost what its answer did. It sends the question and the answer, so it costs more
    in most cases, and what is avoided is understated."""

    def avoided(self, point: CostPoint) -> float:
        """Return the cost that a point avoids a query."""
        return self.cost_per_query - point.cost.value

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self)


@dataclass(frozen=True)
class CostCurve:
    """What can be had for which cost.

    The points are measured on the same queries: picking one of them because it looks best there is a choice made on
    the data that it was measured on.
    """

    points: tuple[CostPoint, ...]
    """By falling λ, then the single prompts."""

    unit: str
    """Of the costs."""

    best_single: str
    """Id of the best single prompt."""

    self_critique: SelfCritiqueCost

    @property
    def front(self) -> tuple[CostPoint, ...]:
        """The efficient points by rising cost, the first of equal ones."""
        first = {_place(each): each for each in reversed(self.points) if each.is_efficient}
        return tuple(sorted(first.values(), key=lambda each: each.cost.value))

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON can hold it."""
        return asdict(self)


def prompt_tokens(prompts: Sequence[Prompt]) -> FloatArray:
    """Return (n_prompts,) the words, numbers and marks of each prompt's wording: what it adds to a request.

    An estimate of the tokens that are paid for, which depend on the LLM's tokenizer. The query's own tokens are the
    same for every prompt and left out. What the answer costs is left out too: wordings that ask for reasoning make
    long answers, so give measured costs where there are any.
    """
    return np.array([len(written_tokens(prompt.text)) for prompt in prompts], dtype=np.float64)


def cost_curve(
    demonstrations: Demonstrations,
    scores: FloatArray,
    costs: FloatArray,
    *,
    groups: IntArray,
    n_folds: int | None = None,
    lambdas: Sequence[float] | None = None,
    baseline: IntArray | None = None,
    head_start: float = 0.0,
    critique_costs: FloatArray | None = None,
    unit: str = "tokens of the prompt",
    level: float = 0.95,
) -> CostCurve:
    """Measure value and cost of choosing by score − λ·cost for each λ, beside every single prompt.

    Args:
        demonstrations: Training demonstrations.
        scores: (n_queries, n_prompts) each query's scores by a model that has not seen its group, in units of the
            success rate.
        costs: (n_prompts,) or (n_queries, n_prompts) what one call costs, at least 0.
        groups: (n_queries,) group numbers.
        n_folds: Number of folds that the scores were made with; None where the model learnt from other logs.
        lambdas: What one unit of cost takes off a score; from 0 to where the cheapest prompts are chosen if not given.
        baseline: (n_queries,) best single prompt, such as that of the other folds; the best one of these very
            demonstrations if not given, so that gains are understated, if anything.
        head_start: Of the best single prompt, in units of the scores.
        critique_costs: What one critique costs, as `costs`; that of its answer if not given.
        unit: Of the costs.
        level: Coverage of the intervals.

    Raises:
        ParameterError: A shape is another, a cost or λ is negative or not finite, or a score is NaN.
        DataError: Fewer than two groups have trials of the chosen prompts.
    """
    check_scores(demonstrations, scores)
    spent = _per_cell(demonstrations, costs, "costs")
    critiques = spent if critique_costs is None else _per_cell(demonstrations, critique_costs, "critique_costs")
    wanted = _default_lambdas(scores, spent) if lambdas is None else [float(each) for each in lambdas]
    if not wanted or not all(math.isfinite(each) and each >= 0 for each in wanted):
        raise ParameterError(f"lambdas={wanted}: finite numbers of at least 0, at least one, are needed")
    best = best_single_of(demonstrations)
    single = np.full(demonstrations.n_queries, best) if baseline is None else np.asarray(baseline)
    ways: list[tuple[str, float | None, IntArray]] = [
        ("per query", each, best_of_scores(scores - each * spent, head_start=head_start, best_single=single))
        for each in sorted(wanted, reverse=True)
    ]
    ways += [
        (id, None, np.full(demonstrations.n_queries, column))
        for column, id in enumerate(demonstrations.prompt_ids)
        if _is_comparable(demonstrations, column, single, groups)
    ]
    points = [_point(demonstrations, way, single, spent, groups, n_folds, level) for way in ways]
    critique = _self_critique(demonstrations, spent + critiques, is_given=critique_costs is not None)
    return CostCurve(tuple(_marked(points)), unit, demonstrations.prompt_ids[best], critique)


def _is_comparable(demonstrations: Demonstrations, column: int, single: IntArray, groups: IntArray) -> bool:
    """Return whether a prompt was tried together with the baseline on queries of two groups or more."""
    of_baseline = demonstrations.trials[np.arange(demonstrations.n_queries), single]
    return len(np.unique(np.asarray(groups)[(of_baseline > 0) & (demonstrations.trials[:, column] > 0)])) > 1


def _self_critique(demonstrations: Demonstrations, spent: FloatArray, *, is_given: bool) -> SelfCritiqueCost:
    weights = demonstrations.repeats.astype(np.float64)
    return SelfCritiqueCost(
        calls_per_query=2 * demonstrations.n_prompts,
        cost_per_query=float(np.average(spent.sum(axis=1), weights=weights)),
        calls_avoided=int(weights.sum()) * (2 * demonstrations.n_prompts - 1),
        is_critique_cost_given=is_given,
    )


def _point(
    demonstrations: Demonstrations,
    way: tuple[str, float | None, IntArray],
    single: IntArray,
    spent: FloatArray,
    groups: IntArray,
    n_folds: int | None,
    level: float,
) -> CostPoint:
    name, lambda_, choices = way
    of_folds = None if lambda_ is None else n_folds  # a single prompt's gain rests on no scores
    rows, weights = np.arange(demonstrations.n_queries), demonstrations.repeats.astype(np.float64)
    is_paired = ~np.isnan(chosen_rewards(demonstrations, choices) - chosen_rewards(demonstrations, single))

    def mean(values: FloatArray) -> Estimate:
        n_trials = int(demonstrations.trials[rows, choices][is_paired].sum())
        largest = float(spent.max()) or 1.0  # an outcome is at most 1 for the pseudo-query of the interval
        can_vary = np.full(len(rows), np.ptp(values) > 0)
        outcomes = Outcomes(np.where(is_paired, values / largest, np.nan), weights, groups, n_trials, can_vary)
        found = estimate(outcomes, level=level)
        return replace(found, value=largest * found.value, low=largest * found.low, high=largest * found.high)

    counted = np.bincount(choices, weights=weights, minlength=demonstrations.n_prompts) / max(weights.sum(), 1.0)
    return CostPoint(
        name=name,
        lambda_=lambda_,
        value=policy_value(demonstrations, choices, groups=groups, within=is_paired, level=level),
        cost=mean(spent[rows, choices]),
        gain=gain(demonstrations, choices, single, groups=groups, n_folds=of_folds, level=level),
        saving=mean(spent[rows, single] - spent[rows, choices]),
        shares=tuple(counted.tolist()),
        is_efficient=False,
    )


def _marked(points: Sequence[CostPoint]) -> list[CostPoint]:
    """Return the points with those marked that no other is better than in one respect and as good in the other."""
    best, efficient = -math.inf, set()
    for saving, gained in sorted({_place(each) for each in points}, key=lambda place: (-place[0], -place[1])):
        if gained > best:
            best = gained
            efficient.add((saving, gained))
    return [replace(point, is_efficient=_place(point) in efficient) for point in points]


def _place(point: CostPoint) -> tuple[float, float]:
    """Return what a point saves and gains, without the last digits, which depend on the order of adding."""
    return round(point.saving.value, 12), round(point.gain.value, 12)


def _default_lambdas(scores: FloatArray, spent: FloatArray) -> list[float]:
    """Return 0 and the λ at which equal shares of the queries leave their best scored prompt for a cheaper one."""
    rows = np.arange(len(scores))
    best = scores.argmax(axis=1)
    cheaper = spent[rows, best][:, None] - spent
    behind = scores[rows, best][:, None] - scores
    ratio = np.divide(behind, cheaper, out=np.full(scores.shape, np.inf), where=cheaper > 0)
    first = ratio.min(axis=1)
    last = np.where(np.isfinite(ratio), ratio, -np.inf).max(axis=1)
    if not np.isfinite(first).any():
        return [0.0]
    grid = np.quantile(first[np.isfinite(first)], np.linspace(0.05, 0.95, _N_LAMBDAS - 2))
    return sorted({0.0, *grid.tolist(), float(2 * last.max())})


def _per_cell(demonstrations: Demonstrations, costs: FloatArray, name: str) -> FloatArray:
    costs = np.asarray(costs, dtype=np.float64)
    shape = demonstrations.trials.shape
    if costs.shape not in (shape, shape[1:]):
        raise ParameterError(f"{name} have shape {costs.shape}; one for each of the {shape[1]} prompts, or {shape}")
    if not (np.isfinite(costs) & (costs >= 0)).all():
        raise ParameterError(f"{name} run from {costs.min()} to {costs.max()}: finite numbers of at least 0 are needed")
    whole: FloatArray = np.broadcast_to(costs, shape)
    return whole
