"""The smallest set of prompts that keeps most of what choosing per query achieves.

Two shares are stated, because they answer different questions. Of the *value*, the success rate, one prompt alone often
keeps 98 %: that says how little choosing matters. Of the *gain* over the best single prompt it keeps nothing by
definition: that says how many prompts the choosing needs. Where the gain's interval contains 0 there is none to keep.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ParameterError
from prompt_oirl.evaluation.estimate import Estimate
from prompt_oirl.evaluation.gains import fold_widening
from prompt_oirl.evaluation.portfolio.contributions import Contribution
from prompt_oirl.evaluation.portfolio.one_more import OneMorePrompt, needed
from prompt_oirl.evaluation.portfolio.outcomes import AveragedOutcomes, Draw, deal_to_halves, rates_of_others
from prompt_oirl.evaluation.portfolio.subsets import SubsetSearch
from prompt_oirl.evaluation.scores import check_scores, mean_over_known
from prompt_oirl.evaluation.wins import PromptWins, win_map

__all__ = ["Portfolio", "PortfolioSize", "measured_portfolio", "portfolio"]

_POINT = 0.01


@dataclass(frozen=True)
class PortfolioSize:
    """What so many prompts achieve, with the prompts chosen on other queries than those that it is measured on."""

    n_prompts: int

    prompt_ids: tuple[str, ...]
    """The prompts that are best on all queries: those to keep. The estimates are of the way of choosing them."""

    agreement: float
    """Share of the parts of the queries on which the very same prompts were the best ones."""

    value: Estimate
    """Success rate of choosing among so many prompts."""

    gain: Estimate
    """The same less that of the best single prompt."""

    share_of_value: Estimate | None
    """Of the value of choosing among all prompts, with Fieller's interval; None where that is not told from 0."""

    share_of_gain: Estimate | None
    """Of the gain of choosing among all prompts, with Fieller's interval; None where the interval of that gain contains
    0: there is no gain to keep."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self)


@dataclass(frozen=True)
class Portfolio:
    """What sets of prompts of each size achieve, and what each prompt adds."""

    sizes: tuple[PortfolioSize, ...]
    """From one prompt, which is the best single prompt, to all of them."""

    keep: float
    """Share to be kept."""

    contributions: tuple[Contribution, ...]
    """For each prompt what leaving it out would lose; empty with one prompt."""

    wins: tuple[PromptWins, ...]
    """For each prompt where the choice among all takes it, and what it is worth there."""

    one_more: OneMorePrompt

    is_exhaustive: bool
    """Whether every subset was tried; if not, prompts were added one by one."""

    @property
    def gain(self) -> Estimate:
        """Of choosing among all prompts, over the best single prompt."""
        return self.sizes[-1].gain

    @property
    def has_gain_to_keep(self) -> bool:
        """Whether the interval of the gain is above 0."""
        return self.gain.low > 0

    @property
    def smallest_by_value(self) -> PortfolioSize:
        """The smallest size whose share of the value is at least what is to be kept."""
        return _smallest(self.sizes, [each.share_of_value for each in self.sizes], self.keep)

    @property
    def smallest_by_gain(self) -> PortfolioSize | None:
        """The smallest size whose share of the gain is at least what is to be kept; None where there is no gain."""
        if not self.has_gain_to_keep:
            return None
        return _smallest(self.sizes, [each.share_of_gain for each in self.sizes], self.keep)

    @property
    def sizes_by_value(self) -> tuple[int, int]:
        """The fewest and the most prompts that the smallest size by value may be, going by the shares' intervals."""
        return _between([each.share_of_value for each in self.sizes], self.keep)

    @property
    def sizes_by_gain(self) -> tuple[int, int] | None:
        """The fewest and the most prompts that the smallest size by gain may be; None where there is no gain."""
        return _between([each.share_of_gain for each in self.sizes], self.keep) if self.has_gain_to_keep else None

    @property
    def never_chosen(self) -> tuple[str, ...]:
        """Ids of the prompts that the choice among all takes for no query."""
        return tuple(each.prompt_id for each in self.wins if not each.n_queries)

    @property
    def losing(self) -> tuple[str, ...]:
        """Ids of the prompts that do worse than the best single prompt on the queries that they are chosen for."""
        return tuple(each.prompt_id for each in self.wins if each.gain is not None and each.gain.high < 0)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON can hold it."""
        by_gain = self.smallest_by_gain
        return asdict(self) | {
            "has_gain_to_keep": self.has_gain_to_keep,
            "smallest_by_value": self.smallest_by_value.n_prompts,
            "smallest_by_gain": None if by_gain is None else by_gain.n_prompts,
            "sizes_by_value": list(self.sizes_by_value),
            "sizes_by_gain": None if self.sizes_by_gain is None else list(self.sizes_by_gain),
            "never_chosen": list(self.never_chosen),
            "losing": list(self.losing),
        }

    def __str__(self) -> str:
        by_value, by_gain = self.smallest_by_value, self.smallest_by_gain
        kept = f"{self.keep:.0%} of the success rate is kept by {_named(by_value)}"
        if by_gain is None:
            return f"{kept}; choosing among all prompts gains {self.gain}: there is no gain to keep"
        return f"{kept}, {self.keep:.0%} of the gain over the best single prompt by {_named(by_gain)}"


def portfolio(
    demonstrations: Demonstrations,
    scores: FloatArray,
    *,
    groups: IntArray,
    n_folds: int | None = None,
    keep: float = 0.95,
    head_start: float = 0.0,
    n_seeds: int = 5,
    level: float = 0.95,
    seed: int = 0,
) -> Portfolio:
    """Measure what sets of prompts of each size achieve, cross-fitted.

    The query groups are dealt to two halves. On each half the best subset of each size is found, and measured on the
    other half; this is done for several seeds, and each query's outcomes are averaged. Every subset is tried up to 12
    prompts; beyond, prompts are added one by one. The best single prompt is chosen for each query on other groups too,
    nineteen twentieths of the queries, because the scores know as much.

    Args:
        demonstrations: Training demonstrations.
        scores: (n_queries, n_prompts) each query's scores by a model that has not seen its group, as
            `selection.held_out_scores` gives them.
        groups: (n_queries,) group numbers.
        n_folds: Number of folds that the scores were made with; None where the model learnt from other logs.
        keep: Share to be kept.
        head_start: Of the best single prompt of each subset, in units of the scores.
        n_seeds: Number of ways of dealing the groups to halves.
        level: Coverage of the intervals.
        seed: First of the seeds.

    Raises:
        ParameterError: The scores have another shape or a NaN, or `keep` or `n_seeds` is out of its range.
        DataError: The trials are too few: a half has none, or fewer than two groups have all that is to be compared.
    """
    check_scores(demonstrations, scores)
    _check(keep, n_seeds)
    halves = [deal_to_halves(demonstrations, groups, each) for each in range(seed, seed + n_seeds)]
    parts = [part for pair in halves for part in pair]
    search = SubsetSearch(
        demonstrations,
        np.asarray(scores, dtype=np.float64),
        [*parts, np.arange(demonstrations.n_queries)],
        head_start,
        rates_of_others(demonstrations, groups, seed),
    )
    draws = [Draw(search, (2 * i, 2 * i + 1)) for i in range(n_seeds)]
    return measured_portfolio(
        demonstrations, draws, groups=groups, keep=keep, level=level, widening=fold_widening(n_folds)
    )


def measured_portfolio(
    demonstrations: Demonstrations,
    draws: Sequence[Draw],
    *,
    groups: IntArray,
    keep: float,
    level: float,
    widening: float = 1.0,
) -> Portfolio:
    """Measure the portfolios of several draws of the halves, averaged; gains' intervals are so many times as wide."""
    outcomes = AveragedOutcomes(demonstrations, draws, np.asarray(groups), level, widening=widening)
    return Portfolio(
        sizes=_sizes(outcomes, draws),
        keep=keep,
        contributions=_contributions(outcomes),
        wins=_wins(outcomes, draws[0]),
        one_more=_one_more(outcomes),
        is_exhaustive=draws[0].search.is_exhaustive,
    )


def _sizes(outcomes: AveragedOutcomes, draws: Sequence[Draw]) -> tuple[PortfolioSize, ...]:
    of_halves = [draw.search.best_of_each_size(part) for draw in draws for part in draw.parts]
    of_all = draws[0].search.best_of_each_size(len(draws[0].search.parts) - 1)
    of_sizes = [outcomes.choices([of[size] for of in of_halves]) for size in range(1, len(of_all))]
    choices = [outcomes.baseline, *of_sizes]
    rewards = [outcomes.rewards(each) for each in choices]
    is_known = ~np.isnan(np.sum(rewards, axis=0))  # all sizes rest on the same outcomes
    means = [mean_over_known(np.where(is_known, each, np.nan)) for each in rewards]
    single, everything = (choices[0], means[0]), (choices[-1], means[-1])
    has_gain = outcomes.difference(everything, single).low > 0
    found = []
    for size, subset in enumerate(of_all):
        own = choices[size], means[size]
        of_gain = outcomes.share_kept(own, everything, of=means[-1] - means[0]) if has_gain else None
        if of_gain is not None and size == 0:
            of_gain = replace(of_gain, value=0.0, low=0.0, high=0.0)  # by definition, whatever was logged
        found.append(
            PortfolioSize(
                n_prompts=len(subset),
                prompt_ids=tuple(outcomes.demonstrations.prompt_ids[i] for i in subset),
                agreement=float(np.mean([of[size] == subset for of in of_halves])),
                value=outcomes.estimate(means[size], choices[size], bounds=(0.0, 1.0)),
                gain=outcomes.difference(own, single),
                share_of_value=outcomes.share_kept(own, everything, of=means[-1]),
                share_of_gain=of_gain,
            )
        )
    return tuple(found)


def _contributions(outcomes: AveragedOutcomes) -> tuple[Contribution, ...]:
    """Measure what leaving each prompt out loses."""
    of_all = outcomes.rewards(outcomes.all)
    found = []
    for id, without in zip(outcomes.demonstrations.prompt_ids, outcomes.without, strict=False):
        lost = mean_over_known(of_all - outcomes.rewards(without))
        can_vary = (outcomes.all != without).any(axis=0)
        loss = outcomes.estimate(lost, outcomes.all, without, bounds=(-1.0, 1.0), can_vary=can_vary)
        found.append(Contribution(id, loss))
    return tuple(found)


def _wins(outcomes: AveragedOutcomes, draw: Draw) -> tuple[PromptWins, ...]:
    """Return the win map of the choice among all prompts."""
    measured_by = draw.search.demonstrations
    return win_map(measured_by, outcomes.all[0], outcomes.baseline[0], groups=outcomes.groups, level=outcomes.level)


def _one_more(outcomes: AveragedOutcomes) -> OneMorePrompt:
    """Measure what one more prompt would have to do for one point."""
    of_all = mean_over_known(outcomes.rewards(outcomes.all))
    failures = outcomes.estimate(1 - of_all, outcomes.all, bounds=(0.0, 1.0))
    caught = _caught(outcomes)
    return OneMorePrompt(
        points=_POINT,
        failures=failures,
        success_if_known=needed(_POINT, failures.value, 1.0),
        caught=caught,
        success_as_caught=needed(_POINT, failures.value, caught.value) if caught and caught.low > 0 else None,
    )


def _caught(outcomes: AveragedOutcomes) -> Estimate | None:
    of_all, of_others = outcomes.rewards(outcomes.all), [outcomes.rewards(each) for each in outcomes.without]
    if not of_others:
        return None
    own = outcomes.own_rewards
    could = np.sum([mean_over_known((1 - other) * own[:, :, prompt]) for prompt, other in enumerate(of_others)], axis=0)
    added = np.sum([mean_over_known(of_all - other) for other in of_others], axis=0)
    added = np.where(np.isnan(could), np.nan, added)
    if not np.nansum(np.where(np.isnan(added), 0.0, could)) > 0:
        return None
    return outcomes.estimate(added, outcomes.all, *outcomes.without, per=could)


def _smallest(sizes: Sequence[PortfolioSize], shares: Sequence[Estimate | None], keep: float) -> PortfolioSize:
    enough = [size for size, share in zip(sizes, shares, strict=True) if share is not None and share.value >= keep]
    return next(iter(enough), sizes[-1])


def _between(shares: Sequence[Estimate | None], keep: float) -> tuple[int, int]:
    """Return the first size whose interval reaches what is to be kept, and the first that is above it altogether."""
    reaching = [size for size, share in enumerate(shares, start=1) if share is not None and share.high >= keep]
    above = [size for size, share in enumerate(shares, start=1) if share is not None and share.low >= keep]
    return next(iter(reaching), len(shares)), next(iter(above), len(shares))


def _named(size: PortfolioSize) -> str:
    return f"{size.n_prompts} prompt{'s' if size.n_prompts > 1 else ''} ({', '.join(size.prompt_ids)})"


def _check(keep: float, n_seeds: int) -> None:
    if not 0 < keep <= 1:
        raise ParameterError(f"keep={keep}: a share above 0 and up to 1 is needed, such as 0.95")
    if n_seeds < 1:
        raise ParameterError(f"n_seeds={n_seeds}: at least 1 is needed")
