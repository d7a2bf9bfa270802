"""Logged decisions as what every estimator needs: scored trials with the probability that each came to be.

Two kinds of logs become one. Of choices, every decision is a unit: a query that was asked once. Of cells, as a run's
strategy buys them, a unit is a query asked once with several prompts, each of which was bought or not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prompt_oirl.arrays import BoolArray, FloatArray, IntArray
from prompt_oirl.errors import DataError
from prompt_oirl.sources.logged_decisions import LoggedDecisions

__all__ = ["Evidence"]


@dataclass(frozen=True, eq=False)
class Evidence:
    """Scored trials, and how often each query counts."""

    rows: IntArray
    """(n_trials,) index of each trial's query."""

    chosen: IntArray
    """(n_trials,) index of its prompt."""

    rewards: FloatArray
    """(n_trials,) from 0 to 1."""

    probabilities: FloatArray | None
    """(n_trials,) that the unit was tried with this prompt and scored; None where no propensities were logged."""

    logged: FloatArray | None
    """(n_trials, n_prompts) the probability that the decision had for each prompt; None where that is not known."""

    unit_weights: FloatArray
    """(n_trials,) what the trial's unit counts."""

    asked: FloatArray
    """(n_queries,) what each query counts: its units together, 0 where nothing can be learnt of it."""

    groups: IntArray
    """(n_queries,) group number of each query."""

    clip: float = 0.0
    """Lower probabilities count as this."""

    @classmethod
    def of(cls, decisions: LoggedDecisions, *, groups: IntArray, clip: float) -> Evidence:
        """Gather what is scored.

        Raises:
            DataError: No decision has a reward.
        """
        scored = ~np.isnan(decisions.rewards)
        if not scored.any():
            raise DataError(
                f"none of {decisions.n_decisions} decisions has a reward, so nothing can be said of any policy; give "
                "feedback on decisions, or grade the answers"
            )
        if decisions.propensity_of == "cell":
            return _of_cells(decisions, scored, groups=groups, clip=clip)
        propensities = decisions.propensities
        probabilities = None if propensities is None else propensities * _scored_shares(decisions, scored)
        return cls(
            rows=decisions.rows[scored],
            chosen=decisions.chosen[scored],
            rewards=decisions.rewards[scored],
            probabilities=None if probabilities is None else probabilities[scored],
            logged=_logged(decisions, scored),
            unit_weights=np.ones(int(scored.sum())),
            asked=np.bincount(decisions.rows, minlength=decisions.n_queries).astype(np.float64),
            groups=groups,
            clip=clip,
        )

    @property
    def is_clipped(self) -> BoolArray:
        """(n_trials,) whether the probability is lower than what it counts as."""
        none: BoolArray = np.zeros(len(self.rows), dtype=np.bool_)
        return none if self.probabilities is None else self.probabilities < self.clip

    @property
    def lowest_probability(self) -> float:
        """The lowest logged probability, 1 where there is none."""
        return 1.0 if self.probabilities is None else float(self.probabilities.min(initial=1.0))

    def weights(self, policy: FloatArray, *, clipped: bool = True) -> FloatArray:
        """Return the (n_trials,) importance weight of each trial: the policy's probability over the logged one's.

        Args:
            policy: (n_queries, n_prompts) probabilities.
            clipped: Whether low probabilities count as `clip`.
        """
        if self.probabilities is None:
            raise DataError("no propensities were logged, so trials cannot be weighted by their inverse")
        logged = np.maximum(self.probabilities, self.clip) if clipped else self.probabilities
        weights: FloatArray = policy[self.rows, self.chosen] / logged
        return weights

    def largest_weight(self, policy: FloatArray) -> float:
        """Return the largest weight of a trial."""
        return float((self.unit_weights * np.abs(self.weights(policy))).max(initial=0.0))

    def typical_weight(self, policy: FloatArray) -> float:
        """Return the mean weight of a trial, each counted by its weight: all trials' together over effective ones."""
        weights = self.unit_weights * np.abs(self.weights(policy))
        return float(weights @ weights / weights.sum()) if weights.any() else 0.0

    def sums(self, of_trials: FloatArray) -> FloatArray:
        """Return the (n_queries,) sums of what there is one of for each trial, each counted as its unit."""
        sums: FloatArray = np.bincount(
            self.rows, weights=self.unit_weights * of_trials, minlength=len(self.asked)
        ).astype(np.float64)
        return sums


def _logged(decisions: LoggedDecisions, scored: BoolArray) -> FloatArray | None:
    """Return the probabilities of all prompts: known where they were logged, and where all choices were certain."""
    if decisions.action_probabilities is not None:
        return decisions.action_probabilities[scored]
    if decisions.propensities is None or not (decisions.propensities == 1).all():
        return None
    certain: FloatArray = np.zeros((int(scored.sum()), decisions.n_prompts))
    certain[np.arange(len(certain)), decisions.chosen[scored]] = 1.0
    return certain


def _of_cells(decisions: LoggedDecisions, scored: BoolArray, *, groups: IntArray, clip: float) -> Evidence:
    """Weigh cells by the inverse of the probability that they were bought (Horvitz and Thompson).

    Logs hold only queries of which something was bought. So all is conditional on that: a cell counts by the inverse
    of its probability given that its query is there, and a query by the inverse of the probability that it is there.
    """
    unit = _units(decisions)
    query_of_unit: IntArray = np.zeros(int(unit.max()) + 1, dtype=np.int64)
    query_of_unit[unit] = decisions.rows
    propensities = decisions.propensities
    of_unit = np.ones(len(query_of_unit)) if propensities is None else _unit_probabilities(decisions, unit)
    given_unit = None if propensities is None else propensities / of_unit[unit] * _scored_shares(decisions, scored)
    return Evidence(
        rows=decisions.rows[scored],
        chosen=decisions.chosen[scored],
        rewards=decisions.rewards[scored],
        probabilities=None if given_unit is None else given_unit[scored],
        logged=None,
        unit_weights=1 / of_unit[unit[scored]],
        asked=np.bincount(query_of_unit, weights=1 / of_unit, minlength=decisions.n_queries).astype(np.float64),
        groups=groups,
        clip=clip,
    )


def _units(decisions: LoggedDecisions) -> IntArray:
    """Return the (n_decisions,) number of the unit of each trial: the first trials of a query's cells are its first."""
    cells = decisions.rows * decisions.n_prompts + decisions.chosen
    order = np.argsort(cells, kind="stable")
    _, starts, counts = np.unique(cells[order], return_index=True, return_counts=True)
    sample: IntArray = np.empty(len(cells), dtype=np.int64)
    sample[order] = np.arange(len(cells)) - np.repeat(starts, counts)
    _, found = np.unique(decisions.rows * (int(sample.max()) + 1) + sample, return_inverse=True)
    unit: IntArray = found.astype(np.int64)
    return unit


def _unit_probabilities(decisions: LoggedDecisions, unit: IntArray) -> FloatArray:
    """Return the (n_units,) probability that something of a unit was bought.

    Equal propensities are those of the strategy `random`: one coin a query where all prompts of each are there, else
    one a cell. Unequal ones are those of `uncertain`, whose prompts share their query's coin: what is most probable is
    bought whenever anything is.
    """
    propensities = decisions.propensities
    if propensities is None:
        raise DataError("no propensities were logged")
    counts = np.bincount(unit)
    if np.ptp(propensities) < 1e-9:
        n_prompts = len(np.unique(decisions.chosen))
        alone = float(propensities[0])
        is_whole = bool((counts == n_prompts).all())
        return np.full(len(counts), alone if is_whole else 1 - (1 - alone) ** n_prompts)
    highest: FloatArray = np.zeros(len(counts))
    np.maximum.at(highest, unit, propensities)
    return highest


def _scored_shares(decisions: LoggedDecisions, scored: BoolArray) -> FloatArray:
    """Return the (n_decisions,) share of its prompt's trials that have a reward.

    Rewards that are missing thin a prompt's trials, some prompts' more than others'. So the others count by so much
    more: right if what is missing depends on the prompt alone, and not on the query or on the reward.
    """
    tried = np.bincount(decisions.chosen, minlength=decisions.n_prompts)
    share = np.bincount(decisions.chosen[scored], minlength=decisions.n_prompts) / np.maximum(tried, 1)
    shares: FloatArray = share[decisions.chosen]
    return shares
