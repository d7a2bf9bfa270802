"""Have an LLM judge its own stored answers: the calls of `critique`, made like those of `collect`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prompt_oirl.collect.call import Call
from prompt_oirl.collect.client.concurrency import AdaptiveConcurrency
from prompt_oirl.collect.client.protocol import LLMClient
from prompt_oirl.collect.collected import Collected
from prompt_oirl.collect.critique.critic import Critic, critique_calls
from prompt_oirl.collect.engine import Collection
from prompt_oirl.collect.interrupts import attended
from prompt_oirl.collect.plan.budget import Ledger
from prompt_oirl.collect.progress import Progress, ProgressMeter, no_progress
from prompt_oirl.runs.store import RunStore

__all__ = ["judge_answers"]


async def judge_answers(
    store: RunStore,
    critic: Critic,
    client: LLMClient,
    ledger: Ledger,
    *,
    concurrency: AdaptiveConcurrency,
    retry_failed: bool = False,
    on_progress: Callable[[Progress], None] = no_progress,
    on_drain: Callable[[], None] = lambda: None,
) -> Collected:
    """Have every stored answer judged that was not judged yet; the run remembers by which critic.

    Args:
        store: Of the run, which no other process of this machine collects into.
        critic: How to ask.
        client: Asks the run's LLM. It is closed in the end.
        ledger: Of the run's budget, for answers as long as the critic allows.
        concurrency: How many calls may be in flight; the client's.
        retry_failed: Whether critiques that have failed are asked for again.
        on_progress: Called after every outcome that was stored.
        on_drain: Called at the first Ctrl-C.

    Raises:
        LLMError: No call can succeed. What was answered before is stored.
        StoreError: An outcome could not be stored. What was stored before is kept.
    """
    async with attended(client, on_drain=on_drain) as stop:
        critic.note(store)
        n_before, n_to_come = ledger.n_settled, _count(_to_come(store, critic, retry_failed))
        meter = ProgressMeter(ledger=ledger, limit=lambda: concurrency.limit, on_progress=on_progress)
        meter.expect(n_to_come)
        if n_to_come:
            await client.check()
        parameters = critic.parameters(store.configuration.parameters)
        collection = Collection(
            store,
            client,
            parameters,
            ledger,
            concurrency,
            retry_failed=retry_failed,
            on_outcome=meter.count,
            stop=stop,
        )
        ending = await collection.buy(_to_come(store, critic, retry_failed))
    to_come = _count(_to_come(store, critic, retry_failed and ending != "done"))
    return Collected(ending, ledger.refusal, ledger.n_settled - n_before, store.spending(), ledger.usd, to_come)


def _to_come(store: RunStore, critic: Critic, retry_failed: bool) -> Iterator[Call]:
    """Yield the calls whose cells have no outcome yet."""
    states = store.states("critique")
    closed = ("answered",) if retry_failed else ("answered", "failed")
    return (call for call in critique_calls(store, critic) if states.get(call.cell.key) not in closed)


def _count(calls: Iterator[Call]) -> int:
    return sum(1 for _ in calls)
