"""The contract of a decision log, checked on any implementation of `prompt_oirl.serve.protocols.DecisionLog`.

```python
def test_my_log() -> None:
    check_decision_log(make=empty_log)
```
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

from prompt_oirl.serve.decision import Decision, Feedback, new_decision_id
from prompt_oirl.serve.protocols import DecisionLog

__all__ = ["DECISION_LOG_CHECKS", "OpenLog", "check_decision_log"]

OpenLog: TypeAlias = Callable[[], AbstractAsyncContextManager[DecisionLog]]
"""Opens one and the same log each time that it is called, as several replicas of a service do."""

_ODD = "a\0b \x1a \x1a0000 \ud83d \U0001f600 \u2028 \r\n 'quoted' %s :name {{query}} <b>"


def check_decision_log(make: Callable[[], OpenLog]) -> None:
    """Check that a log keeps everything that a decision log promises.

    Args:
        make: Returns what opens a log that is empty at first, another one each time.

    Raises:
        AssertionError: With what is broken.
    """
    for check in DECISION_LOG_CHECKS:
        asyncio.run(check(make()))


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(f"broken: {what}")


def _decision(number: int = 0, *, query: str | None = None) -> Decision:
    return Decision(
        query_id="0123456789abcdef",
        query=query,
        prompt_id="steps",
        score=0.25,
        propensity=0.9,
        choice="recommended",
        source="recommend",
        recommender="0123456789ab",
        seconds=0.0001,
        created=1_800_000_000.0 + number,
    )


async def _logged(log: DecisionLog) -> dict[str, float | None]:
    return {decision.id: reward for decision, reward in await log.recent(100_000)}


async def check_every_field_comes_back(open_log: OpenLog) -> None:
    """Decisions come back as they were, whatever is in their texts, newest first, also from a log opened again."""
    given = [
        _decision(1),
        Decision(
            query_id="",
            query=None,
            prompt_id="p",
            score=None,
            propensity=1.0,
            candidates=("p",),
            choice="fallback",
            source="gateway",
            recommender="",
            seconds=0.0,
            created=1_800_000_002.0,
        ),
        Decision(
            query_id=_ODD,
            query=_ODD,
            prompt_id=_ODD,
            score=-1e-300,
            propensity=5e-324,
            candidates=(_ODD, "", "\ud83d", "\ude00", "\ud83d\ude00"),
            choice="explored",
            source="playground",
            recommender=_ODD,
            seconds=1 / 3,
            created=1_800_000_003.1 + 1e-6,
        ),
    ]
    async with open_log() as log:
        _require(list(await log.recent()) == [], "a new log is empty")
        for decision in given:
            log.record(decision)
        found = await log.recent()
        _require([decision for decision, _ in found] == given[::-1], "decisions come back as they were, newest first")
        _require([reward for _, reward in found] == [None] * 3, "without feedback there is no reward")
    async with open_log() as log:
        _require([each for each, _ in await log.recent()] == given[::-1], "decisions stay when the log is closed")
        _require([each for each, _ in await log.recent(2)] == given[:0:-1], "no more than asked for are returned")


async def check_the_last_feedback_counts(open_log: OpenLog) -> None:
    """Feedback is durable when it returns, and the last one counts, whatever its clock says."""
    first, second = _decision(1), _decision(2)
    async with open_log() as log:
        log.record(first)
        log.record(second)
        for reward, created in ((1, 2e9), (0.0, 1e9), (0.125, 0.0)):
            _require(await log.give_feedback(Feedback(first.id, reward, created)), "the decision is known")
        async with open_log() as other:
            expected = {first.id: 0.125, second.id: None}
            _require(await _logged(other) == expected, "the last feedback counts, and for its decision alone")
    async with open_log() as log:
        _require(await log.give_feedback(Feedback(second.id, 1)), "feedback may come after a restart")
        _require(await _logged(log) == {first.id: 0.125, second.id: 1.0}, "and is kept as that before")


async def check_a_decision_is_known_at_once(open_log: OpenLog) -> None:
    """Feedback may be given right after the decision, to this replica or to another one."""
    here, there = _decision(1), _decision(2)
    async with open_log() as log, open_log() as other:
        log.record(here)
        _require(await log.give_feedback(Feedback(here.id, 1)), "a decision that was just recorded is known")
        log.record(there)
        _require(await other.give_feedback(Feedback(there.id, 0)), "and known to another replica")
        found = await _logged(other)
        _require(found == {here.id: 1.0, there.id: 0.0}, f"replicas share a log: {found}")


async def check_unknown_decisions_are_said(open_log: OpenLog) -> None:
    """Feedback to an unknown decision is not stored, even if that decision comes later."""
    decision = _decision()
    async with open_log() as log:
        _require(not await log.give_feedback(Feedback(new_decision_id(), 1)), "an unknown decision is said")
        _require(not await log.give_feedback(Feedback(decision.id, 1)), "one that is not there yet, too")
        log.record(decision)
        _require(await _logged(log) == {decision.id: None}, "such feedback leaves nothing")


async def check_many_decisions(open_log: OpenLog) -> None:
    """Recording takes no time, and leaving the log stores everything."""
    decisions = [_decision(number, query="How many?") for number in range(5_000)]
    async with open_log() as log:
        started = time.thread_time()
        for decision in decisions:
            log.record(decision)
        seconds = time.thread_time() - started
        _require(log.n_waiting + log.n_dropped > 0, "recording waits for no store")
        _require(seconds / len(decisions) < 50e-6, f"recording took {seconds / len(decisions) * 1e6:.0f} µs a decision")
    _require(log.n_dropped == 0 and log.n_waiting == 0, "nothing is dropped, and nothing waits in the end")
    async with open_log() as log:
        _require([each for each, _ in await log.recent(5_000)] == decisions[::-1], "all are stored")


async def check_feedback_at_once(open_log: OpenLog) -> None:
    """Feedback may be given to many decisions at once, and the one or other of them may be given up."""
    decisions = [_decision(number) for number in range(100)]
    async with open_log() as log:
        for decision in decisions:
            log.record(decision)
        given = [asyncio.ensure_future(log.give_feedback(Feedback(each.id, 1))) for each in decisions]
        await asyncio.sleep(0)
        for task in given[::10]:
            task.cancel()
        known: Sequence[bool | BaseException] = await asyncio.gather(*given, return_exceptions=True)
        others = [each for number, each in enumerate(known) if number % 10]
        _require(others == [True] * 90, "all are known")
        rewards = await _logged(log)
        _require(all(rewards[each.id] == 1.0 for n, each in enumerate(decisions) if n % 10), "and stored")


DECISION_LOG_CHECKS: tuple[Callable[[OpenLog], Coroutine[Any, Any, None]], ...] = (
    check_every_field_comes_back,
    check_the_last_feedback_counts,
    check_a_decision_is_known_at_once,
    check_unknown_decisions_are_said,
    check_many_decisions,
    check_feedback_at_once,
)
"""Each takes what opens a log that is empty at first, to be run one by one."""
