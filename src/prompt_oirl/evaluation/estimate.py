"""A mean over queries with its interval: the queries of one group are one piece of evidence, not several."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy.special import stdtrit

from prompt_oirl.arrays import BoolArray, FloatArray, IntArray
from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.randomness import generator

__all__ = ["DOMINANT_SHARE", "FEWEST_GROUPS", "Estimate", "IntervalMethod", "Outcomes", "estimate", "group_influences"]

IntervalMethod = Literal["normal", "bootstrap"]
"""`normal`: cluster-robust standard error and Student's t. `bootstrap`: percentiles over resampled groups."""

FEWEST_GROUPS = 30
"""Of near-duplicates: from so many on an interval is trusted to cover as often as it says."""

DOMINANT_SHARE = 0.5
"""Of the data: where one group has more, an interval says little of other queries."""

_N_RESAMPLES = 2000
_N_RESAMPLES_AT_ONCE = 250


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval and what it rests on.

    Raises:
        DataError: A number is not finite, or the interval is upside down.
    """

    value: float

    low: float
    """Lower end of the interval."""

    high: float
    """Upper end of the interval."""

    level: float
    """Coverage aimed at, such as 0.95."""

    n_queries: int
    """Distinct queries it rests on."""

    n_groups: int
    """Groups of near-duplicate queries it rests on: the unit of evidence."""

    n_trials: int
    """Logged trials it rests on."""

    n_left_out: int
    """Queries left out, because a prompt chosen for them was not tried."""

    method: IntervalMethod = "normal"

    largest_group_share: float = 0.0
    """Share of the weight that the largest group has; 0 where it is not known."""

    def __post_init__(self) -> None:
        numbers = (self.value, self.low, self.high)
        if not all(math.isfinite(number) for number in numbers) or self.low > self.high:
            raise DataError(f"an estimate is a finite value with low ≤ high, got value, low, high = {numbers}")

    @property
    def has_few_groups(self) -> bool:
        """Whether there are fewer than 30 groups: too few to trust that the interval covers as often as it says."""
        return self.n_groups < FEWEST_GROUPS

    @property
    def has_dominant_group(self) -> bool:
        """Whether one group has more than half of the weight, so that the interval says little of other queries."""
        return self.largest_group_share > DOMINANT_SHARE

    @property
    def caveat(self) -> str | None:
        """Why the interval is not to be trusted, in a clause; None where nothing speaks against it."""
        if self.has_few_groups:
            return f"{self.n_groups} groups are too few to trust the interval"
        if self.has_dominant_group:
            return (
                f"one group is {self.largest_group_share:.0%} of the data, which hardly says anything of other queries"
            )
        return None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self)

    def __str__(self) -> str:
        left_out = f", {self.n_left_out} left out" if self.n_left_out else ""
        few = f"; {self.caveat}" if self.caveat else ""
        return (
            f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] "
            f"({self.level:.0%} interval, {self.n_queries} queries in {self.n_groups} groups{left_out}{few})"
        )


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What is averaged: one outcome a query.

    Raises:
        DataError: Arrays differ in length.
    """

    values: FloatArray
    """(n_queries,) outcome of each query, NaN where it is left out."""

    weights: FloatArray
    """(n_queries,) how often each query was asked."""

    groups: IntArray
    """(n_queries,) group number of each query."""

    n_trials: int
    """Logged trials behind the values."""

    can_vary: BoolArray | None = None
    """(n_queries,) False where the outcome is 0 whatever was logged: the two policies chose the same prompt."""

    pseudo_weight: float | None = None
    """Weight of the pseudo-query that keeps the interval open; the mean weight of a query if not given."""

    is_known: BoolArray | None = None
    """(n_queries,) False where the outcome is not known and its value stands for it: counted as left out."""

    @property
    def known(self) -> BoolArray:
        """(n_queries,) whether there is an outcome, and not only what stands for it."""
        kept: BoolArray = ~np.isnan(self.values)
        return kept if self.is_known is None else kept & self.is_known

    def __post_init__(self) -> None:
        lengths = {len(self.values), len(self.weights), len(self.groups)}
        if len(lengths) > 1:
            raise DataError(
                f"{len(self.values)} outcomes, {len(self.weights)} weights and {len(self.groups)} group numbers: "
                "one of each is needed for every query; groups come from Demonstrations.groups()"
            )


@dataclass(frozen=True, eq=False)
class _GroupSums:
    """Sums over the queries of each group, and the pseudo-query that keeps intervals open.

    Where few queries vary, what was observed can be all alike by chance and would close the interval on a point: ten
    trials that all succeeded, or four changed choices that made no difference. One pseudo-query of mean weight, half
    a win and half a loss, a group of its own, is added to the spread (not to the value). It is the idea of Agresti
    and Min's adjusted interval for matched pairs (Statistics in Medicine 24, 2005, https://doi.org/10.1002/sim.1781),
    and it vanishes as queries are added.
    """

    numerator: FloatArray
    """(n_groups,) Σ weight · outcome"""

    denominator: FloatArray
    """(n_groups,) Σ weight · per"""

    pseudo: float
    """What the pseudo-query wins or loses; 0 where no outcome can vary."""

    n_varying: int
    """Groups with an outcome that can vary."""

    n_groups: int
    """Groups with an outcome that is known."""

    largest_share: float
    """Of the weight, the share of the group that has most."""

    @property
    def ratio(self) -> float:
        return float(self.numerator.sum() / self.denominator.sum())

    def normal(self, level: float) -> tuple[float, float]:
        """Linearised ratio, as many degrees of freedom as varying groups less one."""
        n_groups = len(self.numerator)
        residuals = self.numerator - self.ratio * self.denominator
        spread = n_groups / (n_groups - 1) * float(residuals @ residuals) + self.pseudo**2
        half = float(stdtrit(max(self.n_varying - 1, 1), 0.5 + level / 2)) * math.sqrt(spread) / self.denominator.sum()
        return self.ratio - half, self.ratio + half

    def bootstrap(self, level: float, seed: int) -> tuple[float, float]:
        """Percentiles of the ratio over resampled groups.

        Groups that look alike are drawn together, as one category of a multinomial: the same distribution, cheaper.
        """
        mean = self.denominator.mean()
        win, loss = self.ratio * mean + self.pseudo, self.ratio * mean - self.pseudo
        sums, counts = np.unique(np.column_stack([self.numerator, self.denominator]), axis=0, return_counts=True)
        sums = np.vstack([sums, [[win, mean], [loss, mean]]])
        shares = np.append(counts, [0.5, 0.5]) / (counts.sum() + 1)
        rng = generator(seed)
        ratios = []
        for _ in range(_N_RESAMPLES // _N_RESAMPLES_AT_ONCE):
            drawn = rng.multinomial(len(self.numerator), shares, size=_N_RESAMPLES_AT_ONCE) @ sums
            ratios.append(drawn[:, 0] / drawn[:, 1])
        low, high = np.quantile(np.concatenate(ratios), [0.5 - level / 2, 0.5 + level / 2])
        return float(low), float(high)


def estimate(
    outcomes: Outcomes,
    *,
    per: FloatArray | None = None,
    bounds: tuple[float, float] = (-math.inf, math.inf),
    level: float = 0.95,
    method: IntervalMethod = "normal",
    seed: int = 0,
) -> Estimate:
    """Estimate Σ weight · outcome / Σ weight · per over queries, with an interval clustered by group.

    The normal interval takes the ratio's linearisation, sums it within groups, and uses Student's t with as many
    degrees of freedom as there are groups whose outcome can vary, less one. The bootstrap resamples whole groups 2000
    times and takes percentiles; for hundreds of groups both agree, for few the bootstrap's is too narrow.

    Args:
        outcomes: One outcome a query.
        per: (n_queries,) what the outcomes are divided by; 1 if not given.
        bounds: What the value cannot leave; the interval is cut there.
        level: Coverage aimed at.
        method: How the interval is made.
        seed: Of the bootstrap.

    Raises:
        ParameterError: The level is not strictly between 0 and 1, or the method is unknown.
        DataError: Fewer than two groups have an outcome, so nothing can be said about other queries.
    """
    if not 0 < level < 1:
        raise ParameterError(f"level={level}: a fraction strictly between 0 and 1 is needed, such as 0.95")
    if method not in ("normal", "bootstrap"):
        raise ParameterError(f"method={method!r} makes no interval; use 'normal' (default) or 'bootstrap'")
    kept, known = ~np.isnan(outcomes.values), outcomes.known
    sums = _group_sums(outcomes, kept, known, np.ones(len(kept)) if per is None else per)
    low, high = sums.normal(level) if method == "normal" else sums.bootstrap(level, seed)
    return Estimate(
        value=sums.ratio,
        low=float(max(low, bounds[0])),
        high=float(min(high, bounds[1])),
        level=level,
        n_queries=int(known.sum()),
        n_groups=sums.n_groups,
        n_trials=outcomes.n_trials,
        n_left_out=int((~known).sum()),
        method=method,
        largest_group_share=sums.largest_share,
    )


def group_influences(outcomes: Outcomes, *, per: FloatArray | None = None) -> FloatArray:
    """Return (n_groups,) by how much each group of queries moves what `estimate` estimates, by its linearisation.

    They sum to 0, and the root of their sum of squares is about the standard error.

    Args:
        outcomes: One outcome a query; a group without an outcome moves nothing.
        per: (n_queries,) what the outcomes are divided by; 1 if not given.
    """
    kept = ~np.isnan(outcomes.values)
    weights = np.where(kept, outcomes.weights, 0.0)
    numerator = np.bincount(outcomes.groups, weights=weights * np.where(kept, outcomes.values, 0.0))
    denominator = np.bincount(outcomes.groups, weights=weights if per is None else weights * np.where(kept, per, 0.0))
    total = float(denominator.sum())
    influences: FloatArray = (numerator - denominator * (numerator.sum() / total)) / total
    return influences


def _group_sums(outcomes: Outcomes, kept: BoolArray, known: BoolArray, per: FloatArray) -> _GroupSums:
    groups = np.unique(outcomes.groups[kept], return_inverse=True)[1]
    n_groups = len(np.unique(outcomes.groups[known]))
    if n_groups < 2:
        raise DataError(
            f"{n_groups} groups of queries have an outcome ({known.sum()} of {len(known)} queries): an interval "
            "needs at least two, and 30 to be trusted; log more distinct queries, and the chosen prompts on them"
        )
    weights = outcomes.weights[kept]
    can_vary = np.ones(len(groups), bool) if outcomes.can_vary is None else outcomes.can_vary[kept]
    n_varying = len(np.unique(groups[can_vary]))
    numerator: FloatArray = np.bincount(groups, weights=weights * outcomes.values[kept]).astype(np.float64)
    denominator: FloatArray = np.bincount(groups, weights=weights * per[kept]).astype(np.float64)
    return _GroupSums(
        numerator=numerator,
        denominator=denominator,
        pseudo=float(weights.mean() if outcomes.pseudo_weight is None else outcomes.pseudo_weight)
        if n_varying
        else 0.0,
        n_varying=n_varying,
        n_groups=n_groups,
        largest_share=float(np.bincount(groups, weights=weights).max() / weights.sum()),
    )
