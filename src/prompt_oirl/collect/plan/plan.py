"""The plan of a run: what of its grid is wanted, what is there already, what is to come and what that may cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from prompt_oirl.arrays import BoolArray, FloatArray, IntArray
from prompt_oirl.collect.call import Call
from prompt_oirl.collect.plan.estimate import Estimate, estimate
from prompt_oirl.collect.plan.grid import Grid
from prompt_oirl.collect.plan.prices import Price
from prompt_oirl.collect.plan.tokens import TokenCounter, answer_estimate
from prompt_oirl.errors import ParameterError
from prompt_oirl.randomness import generator
from prompt_oirl.records import Message, Prompt, Question
from prompt_oirl.runs.outcomes import Completion
from prompt_oirl.runs.spending import Spending
from prompt_oirl.runs.store import State, StoredOutcome

__all__ = ["Plan", "PlanCounts", "requests_answered", "uncounted_tokens"]

_STATES: tuple[State, ...] = ("planned", "claimed", "answered", "failed")
_NOT_STORED = 0
_CODES: dict[State | None, int] = {state: code for code, state in enumerate(_STATES, start=1)}
_CHUNK = 65_536
_MOST_COUNTED = 10_000
"""Requests whose tokens are counted one by one; of more, so many are drawn. The mean of a sample of that size is within
1 % if the lengths of requests vary by half their mean."""


@dataclass(frozen=True, slots=True)
class PlanCounts:
    """How many cells there are of each kind. Those that are answered, failed or to come are chosen ones."""

    queries: int
    prompts: int
    samples: int
    cells: int
    """In the grid."""

    chosen: int
    """Of the grid, that are wanted: all of them, unless a strategy chose."""

    answered: int
    """Bought already."""

    failed: int
    """Asked without an answer; asked again only on demand."""

    planned: int
    """In the store since they were drawn, and not asked yet."""

    claimed: int
    """Under way, or left so by a process that died."""

    to_come: int
    """Calls to make: those neither answered nor failed, and on demand the failed."""

    elsewhere: int
    """Cells in the store that are not in this grid: their query, prompt or sample was not asked for this time."""


@dataclass(frozen=True, eq=False)
class Plan:
    """A grid, which of its cells are wanted, and how far each of them is."""

    grid: Grid
    chosen: BoolArray
    """(n_cells,) Whether a cell is wanted."""

    propensities: FloatArray | None
    """(n_cells,) Probability with which each chosen cell was chosen; None where the whole grid is."""

    stored: NDArray[np.uint8] = field(repr=False)
    """(n_cells,) 0 where the store has nothing, else 1 + the index of the cell's state."""

    elsewhere: int = 0
    retry_failed: bool = False

    @classmethod
    def of(
        cls,
        grid: Grid,
        states: Mapping[bytes, State],
        *,
        chosen: BoolArray | None = None,
        propensities: FloatArray | None = None,
        retry_failed: bool = False,
    ) -> Self:
        """Compare a grid with what is stored.

        Args:
            grid: All cells.
            states: State of each stored cell by its key.
            chosen: (n_cells,) Which are wanted; all if not given.
            propensities: (n_cells,) Probability with which each chosen cell was chosen; 1 if not given.
            retry_failed: Whether failed cells are to come again.

        Raises:
            ParameterError: An array has another shape, or a chosen cell no propensity in (0, 1].
        """
        chosen = np.ones(len(grid), dtype=bool) if chosen is None else chosen
        _check(grid, chosen, propensities)
        stored = _stored(grid, states)
        return cls(grid, chosen, propensities, stored, len(states) - int(np.count_nonzero(stored)), retry_failed)

    @property
    def is_to_come(self) -> BoolArray:
        """(n_cells,) Which cells are to be bought."""
        closed = [_CODES["answered"]] if self.retry_failed else [_CODES["answered"], _CODES["failed"]]
        is_to_come: BoolArray = self.chosen & ~np.isin(self.stored, closed)
        return is_to_come

    @property
    def counts(self) -> PlanCounts:
        """How many cells there are of each kind."""
        of_code = np.bincount(self.stored[self.chosen], minlength=len(_STATES) + 1).tolist()
        return PlanCounts(
            queries=len(self.grid.queries),
            prompts=len(self.grid.prompts),
            samples=self.grid.n_samples,
            cells=len(self.grid),
            chosen=int(np.count_nonzero(self.chosen)),
            **{state: of_code[_CODES[state]] for state in _STATES},
            to_come=int(np.count_nonzero(self.is_to_come)),
            elsewhere=self.elsewhere,
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user may not have meant."""
        temperature = self.grid.configuration.parameters.temperature
        if self.grid.n_samples > 1 and temperature == 0:
            return (
                f"{self.grid.n_samples} samples at temperature 0 buy the same answer {self.grid.n_samples} times; ask "
                "for one sample, or for a higher temperature",
            )
        return ()

    def calls(self) -> Iterator[Call]:
        """Yield the calls to come in the grid's order, each made when it is asked for."""
        for number in np.flatnonzero(self.is_to_come):
            propensity = 1.0 if self.propensities is None else float(self.propensities[number])
            yield Call(self.grid.cell(int(number), propensity=propensity), self.grid.messages(int(number)))

    def estimate(self, counter: TokenCounter, *, spent: Spending, price: Price | None, seed: int = 0) -> Estimate:
        """Estimate what the calls to come cost.

        Args:
            counter: Counts the tokens of a request; of more than 10,000 calls a random 10,000 are counted.
            spent: What the run has cost so far, for answers.
            price: Of the model; None where it is not known.
            seed: Of which calls are counted.
        """
        numbers = np.flatnonzero(self.is_to_come)
        return estimate(
            len(numbers),
            [self.grid.messages(int(number)) for number in _drawn(numbers, seed)],
            counter=counter,
            spent=spent,
            price=price,
            max_answer_tokens=self.grid.configuration.parameters.max_tokens,
        )

    def to_dict(self, estimate: Estimate | None = None) -> dict[str, Any]:
        """Return counts, warnings and, where given, the estimate as plain values."""
        counts = {name: getattr(self.counts, name) for name in PlanCounts.__slots__}
        return counts | {"warnings": list(self.warnings), "estimate": estimate and estimate.to_dict()}


def requests_answered(
    queries: Sequence[Question], prompts: Sequence[Prompt], stored: Iterable[StoredOutcome]
) -> Iterator[tuple[tuple[Message, ...], Completion]]:
    """Yield the messages and the completion of each stored answer whose query and prompt are given."""
    query_of = {each.query.id: each.query for each in queries}
    prompt_of = {prompt.id: prompt for prompt in prompts}
    for each in stored:
        query, prompt = query_of.get(each.cell.query_id), prompt_of.get(each.cell.prompt_id)
        if query and prompt and isinstance(each.outcome, Completion):
            yield prompt.messages(query), each.outcome


def uncounted_tokens(
    requests: Iterable[tuple[Sequence[Message], Completion]], counter: TokenCounter
) -> tuple[int, int]:
    """Estimate the tokens of requests and of answers for those calls that the server did not count.

    Args:
        requests: Messages and completions, counted or not.
        counter: Counts the tokens of a request.
    """
    prompt_tokens = completion_tokens = 0
    for messages, completion in requests:
        prompt_tokens += counter.count(messages) if completion.prompt_tokens is None else 0
        completion_tokens += answer_estimate(counter, completion.text) if completion.completion_tokens is None else 0
    return prompt_tokens, completion_tokens


def _stored(grid: Grid, states: Mapping[bytes, State]) -> NDArray[np.uint8]:
    stored = np.zeros(len(grid), dtype=np.uint8)
    for start in range(0, len(grid), _CHUNK):
        keys = grid.keys[start : start + _CHUNK].tolist()
        stored[start : start + _CHUNK] = [_CODES.get(states.get(key), _NOT_STORED) for key in keys]
    return stored


def _drawn(numbers: IntArray, seed: int) -> IntArray:
    if len(numbers) <= _MOST_COUNTED:
        return numbers
    return generator(seed).choice(numbers, _MOST_COUNTED, replace=False)


def _check(grid: Grid, chosen: BoolArray, propensities: FloatArray | None) -> None:
    for name, array in (("chosen", chosen), ("propensities", propensities)):
        if array is not None and array.shape != (len(grid),):
            raise ParameterError(f"{name} has the shape {array.shape}; ({len(grid)},), one for each cell, is needed")
    if chosen.dtype != np.bool_:
        raise ParameterError(f"chosen has the type {chosen.dtype}; true or false for each cell is needed")
    if propensities is not None:
        of_chosen = propensities[chosen]
        is_wrong = ~((of_chosen > 0) & (of_chosen <= 1))
        if is_wrong.any():
            raise ParameterError(
                f"a chosen cell has the propensity {of_chosen[is_wrong][0]}; a probability in (0, 1] is needed"
            )
