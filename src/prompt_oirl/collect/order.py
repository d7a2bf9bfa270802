"""An order: what a user wants of a run, what it may cost, and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from prompt_oirl.collect.client.concurrency import AdaptiveConcurrency
from prompt_oirl.collect.client.protocol import LLMClient
from prompt_oirl.collect.collected import Collected
from prompt_oirl.collect.interrupts import attended
from prompt_oirl.collect.plan.budget import Budget, Ledger
from prompt_oirl.collect.plan.estimate import Estimate
from prompt_oirl.collect.plan.grid import Grid
from prompt_oirl.collect.plan.plan import Plan, requests_answered
from prompt_oirl.collect.plan.prices import Price
from prompt_oirl.collect.plan.tokens import TokenCounter, counter_for
from prompt_oirl.collect.progress import Progress, no_progress
from prompt_oirl.collect.session import Session, check_strategy, foreseen, ledger_of
from prompt_oirl.collect.strategies.protocol import FullGrid, Strategy
from prompt_oirl.grading import Grader
from prompt_oirl.records import Prompt, Question
from prompt_oirl.runs.configuration import RunConfiguration
from prompt_oirl.runs.spending import Spending
from prompt_oirl.runs.store import RunStore

__all__ = ["Order"]


@dataclass(frozen=True, kw_only=True)
class Order:
    """Which answers are wanted of which LLM, and what they may cost."""

    configuration: RunConfiguration
    questions: tuple[Question, ...]
    prompts: tuple[Prompt, ...]
    n_samples: int = 1
    strategy: Strategy = field(default_factory=FullGrid)
    grader: Grader | None = None
    """Of what is bought, for strategies that learn from it."""

    budget: Budget = field(default_factory=Budget)
    price: Price | None = None
    tokenizer: Path | None = None
    """A `tokenizer.json` to count tokens with."""

    retry_failed: bool = False

    def plan(self, store: RunStore | None) -> tuple[Plan, Estimate]:
        """Return what would be bought and what it may cost; nothing is stored.

        Args:
            store: Of the run; None where there is none yet.
        """
        counter = self.counter(store)
        if store is not None:
            check_strategy(self.strategy, store)
        grid = self._grid(store)
        plan = foreseen(grid, self.strategy, store, grader=self.grader, retry_failed=self.retry_failed)
        return plan, plan.estimate(
            counter, spent=Spending() if store is None else store.spending("answer"), price=self.price
        )

    def _grid(self, store: RunStore | None) -> Grid:
        """Return the grid: for a strategy that draws, of what is registered and then of what is new."""
        questions, prompts = self.questions, self.prompts
        if store is not None and self.strategy.is_drawn:
            registered = {question.query.id for question in store.queries()}
            questions = (*store.queries(), *(each for each in questions if each.query.id not in registered))
            known = {prompt.id for prompt in store.prompts()}
            prompts = (*store.prompts(), *(each for each in prompts if each.id not in known))
        return Grid(questions, prompts, self.n_samples, self.configuration)

    def counter(self, store: RunStore | None) -> TokenCounter:
        """Return what tokens are counted with: the tokenizer, what the store's answers show, or an estimate."""
        if store is None:
            return counter_for(self.tokenizer)
        answered = requests_answered(store.queries(), store.prompts(), store.outcomes(answered_only=True))
        return counter_for(self.tokenizer, answered)

    def ledger(self, store: RunStore, counter: TokenCounter) -> Ledger:
        """Return the ledger that keeps the budget."""
        return ledger_of(
            store,
            budget=self.budget,
            price=self.price,
            counter=counter,
            max_answer_tokens=self.configuration.parameters.max_tokens,
        )

    def session(self, store: RunStore) -> Session:
        """Return a session of this order, with its queries and prompts registered."""
        return Session(
            store, self.questions, self.prompts, self.n_samples, self.strategy, self.grader, self.retry_failed
        )

    async def collect(
        self,
        store: RunStore,
        client: LLMClient,
        *,
        concurrency: AdaptiveConcurrency,
        counter: TokenCounter | None = None,
        on_progress: Callable[[Progress], None] = no_progress,
        on_drain: Callable[[], None] = lambda: None,
    ) -> Collected:
        """Buy what is wanted and not there; Ctrl-C once finishes what is under way, twice stops.

        Args:
            store: Of the run, which no other process of this machine collects into.
            client: Asks the LLM. It is closed in the end.
            concurrency: How many calls may be in flight; the client's.
            counter: What `counter` returned, where the client needed it before; made here if None.
            on_progress: Called after every outcome that was stored.
            on_drain: Called at the first Ctrl-C.

        Raises:
            LLMError: No call can succeed. What was answered before is stored.
            StoreError: An outcome could not be stored. What was stored before is kept.
        """
        async with attended(client, on_drain=on_drain) as stop:
            session = self.session(store)
            ledger = self.ledger(store, self.counter(store) if counter is None else counter)
            ending = await session.buy(client, ledger, concurrency=concurrency, stop=stop, on_progress=on_progress)
        return session.collected(ledger, ending)
