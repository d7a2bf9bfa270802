"""Decisions as they were logged, one prompt for one query at a time, with the probability of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Literal, Self, get_args

import numpy as np

from prompt_oirl.arrays import BoolArray, FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError
from prompt_oirl.records import Prompt, Query
from prompt_oirl.splits import Grouping, query_groups

__all__ = ["LoggedDecisions", "PropensityOf"]

PropensityOf = Literal["choice", "cell"]
"""What a propensity is the probability of. `choice`: that this prompt was chosen for this decision, of all candidates;
the candidates' sum to one. `cell`: that this query × prompt was bought at all, as a run's strategy does; several
prompts of a query may be, and the probabilities have no fixed sum."""

_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class LoggedDecisions:
    """Logged trials with their propensities. Several decisions for one query are several trials.

    Raises:
        DataError: Lengths disagree, an index, a reward or a probability is out of its range, probabilities of a
            decision do not sum to one or disagree with its propensity, or queries or prompts are not distinct.
    """

    queries: tuple[Query, ...]
    """The distinct queries."""

    prompts: tuple[Prompt, ...]
    """The distinct prompts, chosen at least once or not."""

    rows: IntArray
    """(n_decisions,) index of each decision's query."""

    chosen: IntArray
    """(n_decisions,) index of the prompt that it got."""

    rewards: FloatArray
    """(n_decisions,) from 0 to 1, NaN where there is none."""

    propensities: FloatArray | None = None
    """(n_decisions,) in (0, 1]; None where they were not logged. Taken from `action_probabilities` where these are."""

    action_probabilities: FloatArray | None = None
    """(n_decisions, n_prompts) the probability of every prompt, 0 for one that was no candidate; None if not logged."""

    _: KW_ONLY

    propensity_of: PropensityOf = "choice"
    """What a propensity is the probability of; the two kinds are never mixed."""

    def __post_init__(self) -> None:
        if self.propensity_of not in get_args(PropensityOf):
            raise DataError(f"propensity_of={self.propensity_of!r}: 'choice' or 'cell' is expected")
        for name, type in (("rows", np.int64), ("chosen", np.int64), ("rewards", np.float64)):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=type))
        _check_indices("rows", self.rows, self.n_decisions, len(self.queries))
        _check_indices("chosen", self.chosen, self.n_decisions, len(self.prompts))
        if self.rewards.shape != (self.n_decisions,):
            raise DataError(f"rewards have shape {self.rewards.shape}, but there are {self.n_decisions} decisions")
        _check_each("reward", self.rewards, np.isnan(self.rewards) | _is_between(self.rewards), "from 0 to 1, or NaN")
        if self.action_probabilities is not None:
            self._take_action_probabilities(np.asarray(self.action_probabilities, dtype=np.float64))
        if self.propensities is not None:
            self._take_propensities(np.asarray(self.propensities, dtype=np.float64))
        for what, distinct in (("queries", set(self.queries)), ("prompts", {each.id for each in self.prompts})):
            if len(distinct) < len(getattr(self, what)):
                raise DataError(f"{len(getattr(self, what))} {what} are only {len(distinct)} different ones")

    def _take_propensities(self, propensities: FloatArray) -> None:
        if propensities.shape != (self.n_decisions,):
            raise DataError(f"propensities have shape {propensities.shape}, but there are {self.n_decisions} decisions")
        is_right = (propensities > 0) & _is_between(propensities)
        _check_each("propensity", propensities, is_right, "above 0 and at most 1")
        object.__setattr__(self, "propensities", propensities)

    def _take_action_probabilities(self, probabilities: FloatArray) -> None:
        shape = (self.n_decisions, len(self.prompts))
        if probabilities.shape != shape:
            raise DataError(f"action_probabilities have shape {probabilities.shape}; {shape} is expected")
        if self.propensity_of == "cell":
            raise DataError("action_probabilities are those of one choice among prompts; cells have propensities alone")
        lowest: FloatArray = probabilities.min(axis=1, initial=0.0)
        _check_each("action probability", lowest, lowest >= 0, "at least 0")
        sums: FloatArray = probabilities.sum(axis=1)
        is_one = np.abs(sums - 1) <= _TOLERANCE * max(len(self.prompts), 1)
        _check_each("sum of the action probabilities", sums, is_one, "1, over the prompts that were candidates")
        of_chosen = probabilities[np.arange(len(probabilities)), self.chosen]
        if self.propensities is None:
            object.__setattr__(self, "propensities", of_chosen)
        else:
            is_same = np.isclose(of_chosen, self.propensities, rtol=1e-4, atol=_TOLERANCE)
            _check_each("chosen prompt's action probability", of_chosen, is_same, "the decision's propensity")
        object.__setattr__(self, "action_probabilities", probabilities)

    @classmethod
    def of_grid(cls, demonstrations: Demonstrations) -> Self:
        """Return the trials of demonstrations that were all bought: cells with propensity 1."""
        counts = [demonstrations.successes, demonstrations.trials - demonstrations.successes, demonstrations.unscored]
        places = [np.repeat(np.arange(count.size), count.ravel()) for count in counts]
        rewards = [np.full(len(place), reward) for place, reward in zip(places, (1.0, 0.0, np.nan), strict=True)]
        rows, chosen = np.divmod(np.concatenate(places), max(demonstrations.n_prompts, 1))
        return cls(
            demonstrations.queries,
            demonstrations.prompts,
            rows,
            chosen,
            np.concatenate(rewards),
            np.ones(len(rows)),
            propensity_of="cell",
        )

    @property
    def n_decisions(self) -> int:
        """Number of decisions, with a reward or without."""
        return len(self.rows)

    @property
    def n_queries(self) -> int:
        """Number of distinct queries."""
        return len(self.queries)

    @property
    def n_prompts(self) -> int:
        """Number of distinct prompts."""
        return len(self.prompts)

    @property
    def prompt_ids(self) -> tuple[str, ...]:
        """The ids of the prompts, in order."""
        return tuple(prompt.id for prompt in self.prompts)

    def groups(self, by: Grouping = "template") -> IntArray:
        """Return the (n_queries,) group number of each query; see `prompt_oirl.splits.query_groups`."""
        return query_groups(self.queries, by)

    def select_queries(self, indices: IntArray) -> Self:
        """Return the decisions of some queries, which are in the order given."""
        place: IntArray = np.full(self.n_queries, -1)
        place[indices] = np.arange(len(indices))
        kept = place[self.rows] >= 0
        return type(self)(
            tuple(self.queries[i] for i in np.asarray(indices).tolist()),
            self.prompts,
            place[self.rows[kept]],
            self.chosen[kept],
            self.rewards[kept],
            None if self.propensities is None else self.propensities[kept],
            None if self.action_probabilities is None else self.action_probabilities[kept],
            propensity_of=self.propensity_of,
        )

    def with_prompts(self, prompts: Sequence[Prompt]) -> Self:
        """Return the same decisions with those of the prompts added that were never chosen.

        Raises:
            DataError: One of the prompts has the id of another wording here.
        """
        known = {prompt.id: prompt for prompt in self.prompts}
        for prompt in prompts:
            if known.setdefault(prompt.id, prompt) != prompt:
                raise DataError(
                    f"the prompt id {prompt.id!r} stands for {known[prompt.id].text[:60]!r} in the decisions and for "
                    f"{prompt.text[:60]!r} elsewhere; give each wording its own id, or, where the decisions have ids "
                    "alone, name their prompt set (--prompts)"
                )
        n_added = len(known) - self.n_prompts
        probabilities = self.action_probabilities
        if probabilities is not None:
            probabilities = np.pad(probabilities, ((0, 0), (0, n_added)))
        return type(self)(
            self.queries,
            tuple(known.values()),
            self.rows,
            self.chosen,
            self.rewards,
            self.propensities,
            probabilities,
            propensity_of=self.propensity_of,
        )


def _is_between(values: FloatArray) -> BoolArray:
    between: BoolArray = (values >= 0) & (values <= 1)
    return between


def _check_indices(name: str, indices: IntArray, n_decisions: int, n: int) -> None:
    if indices.shape != (n_decisions,):
        raise DataError(f"{name} have shape {indices.shape}, but there are {n_decisions} decisions")
    if indices.size and (indices.min() < 0 or indices.max() >= n):
        raise DataError(f"{name} run from {indices.min()} to {indices.max()}, but there are 0 to {n - 1}")


def _check_each(what: str, values: FloatArray, is_right: BoolArray, expected: str) -> None:
    if not is_right.all():
        place = int(np.argmin(is_right))
        raise DataError(
            f"decision {place}: the {what} is {values[place]:g}; {expected} is expected ({(~is_right).sum()} of "
            f"{len(values)} are wrong); correct the log"
        )
