"""Where the variance of rewards comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from prompt_oirl.arrays import FloatArray
from prompt_oirl.evaluation.estimate import Estimate
from prompt_oirl.evaluation.headroom.blocked_logs import BlockedLogs
from prompt_oirl.evaluation.headroom.moments import Moments

__all__ = ["VarianceComponents", "components", "jackknife", "variance_of_parts"]


@dataclass(frozen=True)
class VarianceComponents:
    """The variance of one trial's reward, of a random query and a random prompt, by what it is due to.

    The four add up to the whole. They are estimated as differences, so one that is truly 0 may come out below it. With
    few queries the prompt's part takes some of the interaction's: the noise of a mean, over their number.
    """

    query: Estimate
    """Some queries are easier for all prompts: moves no choice."""

    prompt: Estimate
    """Some prompts are better on all queries: the best single prompt has it already."""

    interaction: Estimate
    """Some prompts suit some queries more. Without it there is no headroom; with it there may still be none, where the
    best single prompt stays the best on every query."""

    noise: Estimate
    """The same query and prompt do not always succeed or fail."""

    @property
    def total(self) -> float:
        """Variance of a trial."""
        return self.query.value + self.prompt.value + self.interaction.value + self.noise.value

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self)


def variance_of_parts(moments: Moments) -> FloatArray:
    """Return (4,) the variances due to query, prompt, interaction and noise."""
    within = np.diagonal(moments.covariance)
    query = np.nanmean(moments.covariance)
    parts: FloatArray = np.array(
        [query, np.nanvar(moments.means), np.nanmean(within) - query, np.nanmean(moments.noise)], dtype=np.float64
    )
    return parts


def jackknife(
    values: FloatArray, n_blocks: int, level: float, of: Callable[[int], FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Return both ends of intervals, from what becomes of the values when one block of groups at a time is left out.

    Student's t with as many degrees of freedom as there are blocks, less one.

    Args:
        values: (n,) estimates from all blocks.
        n_blocks: Number of blocks, at least 2.
        level: Coverage aimed at.
        of: Returns the (n,) estimates without a block.
    """
    without = np.array([of(block) for block in range(n_blocks)])
    error = np.sqrt((n_blocks - 1) ** 2 / n_blocks * without.var(axis=0, ddof=1))
    half = float(stdtrit(n_blocks - 1, 0.5 + level / 2)) * error
    return values - half, values + half


def components(logs: BlockedLogs, level: float) -> VarianceComponents:
    """Estimate the components, with intervals by the jackknife over blocks of groups.

    Args:
        logs: With repeated trials in all blocks but any one of them.
        level: Coverage aimed at.
    """
    sums, counts = logs.sums, logs.demonstrations
    values = variance_of_parts(Moments.of(sums))
    ends = jackknife(values, sums.n_blocks, level, lambda block: variance_of_parts(Moments.of(sums.without(block))))
    estimates = [
        Estimate(
            float(value), float(low), float(high), level, n_queries=counts.n_queries, n_groups=logs.n_groups,
            n_trials=int(counts.trials.sum()), n_left_out=0,
        )
        for value, low, high in zip(values, *ends, strict=True)
    ]  # fmt: skip
    return VarianceComponents(*estimates)
