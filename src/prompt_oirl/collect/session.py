"""A session: one process's work on a run, from what is stored to what its strategy still wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np

from prompt_oirl.arrays import BoolArray, IntArray
from prompt_oirl.collect.client.concurrency import AdaptiveConcurrency
from prompt_oirl.collect.client.protocol import LLMClient
from prompt_oirl.collect.collected import Collected
from prompt_oirl.collect.engine import Collection, Ending
from prompt_oirl.collect.plan.budget import Budget, Ledger
from prompt_oirl.collect.plan.grid import Grid
from prompt_oirl.collect.plan.plan import Plan, requests_answered, uncounted_tokens
from prompt_oirl.collect.plan.prices import Price
from prompt_oirl.collect.plan.tokens import TokenCounter
from prompt_oirl.collect.progress import Progress, ProgressMeter, no_progress
from prompt_oirl.collect.strategies.protocol import FullGrid, Round, Strategy, read_state
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.grading import Grader
from prompt_oirl.records import Prompt, Query, Question
from prompt_oirl.runs.cells import Cell
from prompt_oirl.runs.export import demonstrations_of
from prompt_oirl.runs.store import RunStore

__all__ = ["Session", "check_strategy", "foreseen", "ledger_of", "next_round", "planned"]

_STRATEGY_NOTE = "strategy"
_FULL = '{"strategy": "full"}'
_POLL_SECONDS = 2.0


@dataclass(eq=False)
class Session:
    """Buys what a strategy wants of a run's grid, round by round, and what is left of it when it is called again.

    With a strategy that draws, the grid is that of everything registered with the run, in the order of registration.
    """

    store: RunStore
    questions: tuple[Question, ...]
    prompts: tuple[Prompt, ...]
    n_samples: int = 1
    strategy: Strategy = field(default_factory=FullGrid)
    grader: Grader | None = None
    """Grades what is bought, for strategies that learn from it."""

    retry_failed: bool = False

    def __post_init__(self) -> None:
        check_strategy(self.strategy, self.store)
        self.store.register(self.questions, self.prompts)
        if self.strategy.is_drawn:
            self.questions, self.prompts = self.store.queries(), self.store.prompts()
        else:
            self.store.plan([], note=(_STRATEGY_NOTE, _FULL), expected=None)
            check_strategy(self.strategy, self.store)  # another worker may have begun to draw
        self.grid = Grid(self.questions, self.prompts, self.n_samples, self.store.configuration)

    def plan(self) -> Plan:
        """Return what is wanted so far, and how far that is."""
        return planned(self.grid, self.strategy, self.store, retry_failed=self.retry_failed)

    def next_plan(self) -> Plan | None:
        """Return what is to come, drawing the next round where the last one is bought; None where nothing is wanted."""
        while True:
            state = self.store.noted(_STRATEGY_NOTE)  # first: what others draw from now on is in the plan, or refused
            plan = self.plan()
            if plan.counts.to_come:
                return plan
            if not self._draw(plan, state):
                return None

    async def buy(
        self,
        client: LLMClient,
        ledger: Ledger,
        *,
        concurrency: AdaptiveConcurrency,
        stop: asyncio.Event,
        on_progress: Callable[[Progress], None] = no_progress,
    ) -> Ending:
        """Make all calls that are to come, until nothing is wanted any more.

        Args:
            client: Asks the LLM; it shares `concurrency`.
            ledger: Of the run's budget.
            concurrency: How many calls may be in flight.
            stop: Ends it early when set.
            on_progress: Called after every outcome that was stored.

        Raises:
            LLMError: No call can succeed any more.
            StoreError: An outcome could not be stored.
        """
        meter = ProgressMeter(ledger=ledger, limit=lambda: concurrency.limit, on_progress=on_progress)
        collection = Collection(
            self.store,
            client,
            self.store.configuration.parameters,
            ledger,
            concurrency,
            on_outcome=meter.count,
            stop=stop,
        )
        ending: Ending = "done"
        async for plan in self.rounds(meter, stop):
            if not meter.now().done:
                await client.check()
            collection.retry_failed = self.retry_failed
            ending = await collection.buy(plan.calls())
            if ending != "done":
                break
        return "interrupted" if stop.is_set() else ending

    def collected(self, ledger: Ledger, ending: Ending) -> Collected:
        """Return how it ended, and what the run holds now."""
        to_come = 0 if ending == "done" else self.plan().counts.to_come
        return Collected(ending, ledger.refusal, ledger.n_settled, self.store.spending(), ledger.usd, to_come)

    async def rounds(self, meter: ProgressMeter, stop: asyncio.Event) -> AsyncIterator[Plan]:
        """Yield what is to come until nothing is wanted any more; where others hold all of it, wait for them a while.

        Args:
            meter: Counts what is bought; it is told what to expect.
            stop: Ends it when set.
        """
        while not stop.is_set() and (plan := await asyncio.to_thread(self.next_plan)):
            done = meter.now().done
            meter.expect(plan.counts.to_come)
            yield plan
            if stop.is_set():
                return
            self.retry_failed = False  # what has failed in this session is not asked a second time in it
            if meter.now().done == done:
                await _wait(stop, _POLL_SECONDS)

    def _draw(self, plan: Plan, state: str | None) -> bool:
        """Store what is wanted next, now that all of the plan is bought; return whether there was anything.

        Where another worker has noted another state meanwhile, its round counts and this one is dropped.
        """
        if not self.strategy.is_drawn:
            return False
        samples = _further_samples(plan, self.store)
        if samples:
            return self.store.plan(samples)
        drawn = next_round(self.grid, self.strategy, self.store, state=state, grader=self.grader)
        if drawn is not None:
            self.store.plan(_cells_of(self.grid, drawn), note=(_STRATEGY_NOTE, drawn.state), expected=state)
        return drawn is not None


def next_round(
    grid: Grid, strategy: Strategy, store: RunStore | None, *, state: str | None, grader: Grader | None = None
) -> Round | None:
    """Return what a strategy draws after a state, and store nothing; None where it wants no more."""
    queries = [question.query for question in grid.queries]

    def demonstrations() -> Demonstrations:
        if store is None or not store.spending("answer").answered:
            return _nothing_bought(queries, grid.prompts)
        return demonstrations_of(store, grader=grader, may_be_unequal=True)

    return strategy.next_round(queries, grid.prompts, state=state, demonstrations=demonstrations)


def check_strategy(strategy: Strategy, store: RunStore) -> None:
    """Raise if a run's cells were chosen in another way: together, their propensities would be wrong.

    Raises:
        StoreError: They were.
    """
    state = store.noted(_STRATEGY_NOTE)
    if not strategy.is_drawn:
        read_state(state, strategy="full", settings={})
    elif state is not None:
        queries, prompts = [question.query for question in store.queries()], store.prompts()
        strategy.next_round(
            queries, prompts, state=state, demonstrations=lambda: _nothing_bought(queries, prompts)
        )  # for its errors alone


def planned(grid: Grid, strategy: Strategy, store: RunStore | None, *, retry_failed: bool = False) -> Plan:
    """Compare a grid with a store, or with none: what a strategy wants of it, as far as that is stored.

    Args:
        grid: All cells.
        strategy: One that draws wants what it has drawn, all of which is stored.
        store: Of the run.
        retry_failed: Whether failed cells are to come again.
    """
    plan = Plan.of(grid, {} if store is None else store.states(), retry_failed=retry_failed)
    return replace(plan, chosen=plan.stored != 0) if strategy.is_drawn else plan


def foreseen(
    grid: Grid, strategy: Strategy, store: RunStore | None, *, grader: Grader | None = None, retry_failed: bool = False
) -> Plan:
    """Return what is planned, and what a strategy draws next; nothing is stored. See `planned`."""
    plan = planned(grid, strategy, store, retry_failed=retry_failed)
    if not strategy.is_drawn:
        return plan
    chosen = _with_all_samples(plan)
    state = None if store is None else store.noted(_STRATEGY_NOTE)
    drawn = next_round(grid, strategy, store, state=state, grader=grader)
    if drawn is not None:
        chosen[grid.positions[drawn.rows, drawn.columns]] = True
    return replace(plan, chosen=chosen)


def _nothing_bought(queries: Sequence[Query], prompts: Sequence[Prompt]) -> Demonstrations:
    none: IntArray = np.zeros(0, dtype=np.int64)
    return Demonstrations.from_cells(queries, prompts, rows=none, columns=none, rewards=none)


def _with_all_samples(plan: Plan) -> BoolArray:
    """Return (n_cells,) the chosen cells, and the other samples of their pairs."""
    positions, chosen = plan.grid.positions, plan.chosen.copy()
    chosen[positions[chosen[positions].any(axis=2)]] = True
    return chosen


def _further_samples(plan: Plan, store: RunStore) -> list[Cell]:
    """Return the cells that a larger number of samples adds to pairs that were drawn, with the pairs' propensities."""
    numbers = np.flatnonzero(_with_all_samples(plan) & ~plan.chosen)
    if not len(numbers):
        return []
    propensities = {(each.cell.query_id, each.cell.prompt_id): each.cell.propensity for each in store.outcomes()}
    cells = map(plan.grid.cell, numbers.tolist())
    return [replace(cell, propensity=propensities[cell.query_id, cell.prompt_id]) for cell in cells]


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    """Return when it is set, or after so many seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


def _cells_of(grid: Grid, drawn: Round) -> list[Cell]:
    """Return all samples of the pairs of a round."""
    numbers = grid.positions[drawn.rows, drawn.columns]
    return [
        grid.cell(number, propensity=propensity)
        for of_pair, propensity in zip(numbers.tolist(), drawn.propensities.tolist(), strict=True)
        for number in of_pair
    ]


def ledger_of(
    store: RunStore, *, budget: Budget, price: Price | None, counter: TokenCounter, max_answer_tokens: int | None
) -> Ledger:
    """Return the ledger of a run: what it has spent on answers and critiques counts against its budget.

    Answers without the server's token counts are read once more to estimate theirs.
    """
    spent = store.spending()
    uncounted = (0, 0)
    if spent.uncounted:
        answered = requests_answered(store.queries(), store.prompts(), store.outcomes(answered_only=True))
        uncounted = uncounted_tokens(answered, counter)
    return Ledger(
        budget, spent=spent, price=price, counter=counter, max_answer_tokens=max_answer_tokens, uncounted=uncounted
    )
