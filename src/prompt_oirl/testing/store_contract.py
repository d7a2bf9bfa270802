"""The contract of a run's store, checked on any database that `RunStore.open` takes.

```python
def test_my_database() -> None:
    check_run_store(make=address_of_an_empty_database)
```
"""

from __future__ import annotations

import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from prompt_oirl.errors import DataError, ParameterError, StoreError
from prompt_oirl.grading import Grade
from prompt_oirl.records import Message, Prompt, Query, Question
from prompt_oirl.runs.cells import Cell, CellKeys
from prompt_oirl.runs.configuration import RunConfiguration, SamplingParameters
from prompt_oirl.runs.outcomes import Completion, Failure, Outcome
from prompt_oirl.runs.spending import Spending
from prompt_oirl.runs.store import RunStore, StoredOutcome

__all__ = ["RUN_STORE_CHECKS", "check_run_store"]

_CONFIGURATION = RunConfiguration(
    "a-model", "http://127.0.0.1:1/v1", SamplingParameters(temperature=0.7, max_tokens=256, stop=("\n\n",))
)
_KEYS = CellKeys(_CONFIGURATION)
_QUERIES = tuple(Question(Query(f"What is {n} + {n}?"), str(2 * n)) for n in range(10))
_PROMPTS = (
    Prompt.from_text("Think step by step.", id="z-steps"),
    Prompt("a-system", "{{query}}", (Message("system", "You calculate."), Message("assistant", "Ask me."))),
)
_ANSWER = Completion("4", "a-model-0613", "stop", 20, 5, 0.5)
_FAILURE = Failure("rate_limit", "429: try again later", 429, attempts=6)


def check_run_store(make: Callable[[], str]) -> None:
    """Check that a database keeps everything that a run's store promises.

    Args:
        make: Returns the address of a database that holds no store yet, another one each time.

    Raises:
        AssertionError: With what is broken.
    """
    for check in RUN_STORE_CHECKS:
        check(make())


@dataclass
class _Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def _opened(url: str, **options: Any) -> Iterator[RunStore]:
    with RunStore.open(url, configuration=_CONFIGURATION, **options) as store:
        store.register(_QUERIES, _PROMPTS)
        yield store


def _cell(query: Question, prompt: Prompt, sample: int = 0, *, propensity: float = 1.0) -> Cell:
    key = _KEYS.of(prompt.messages(query.query), sample)
    return Cell(key, query.query.id, prompt.id, sample, propensity)


def _grid(n_samples: int = 1) -> list[Cell]:
    return [_cell(query, prompt, i) for query in _QUERIES for prompt in _PROMPTS for i in range(n_samples)]


def _critique(of: Cell) -> Cell:
    return replace(of, key=bytes(reversed(of.key)), purpose="critique", subject=of.key)


def _claim(store: RunStore, cells: Sequence[Cell], *, worker: str = "a", retry_failed: bool = False) -> list[Cell]:
    return store.claim(cells, worker=worker, seconds=60, retry_failed=retry_failed)


def _save(store: RunStore, cell: Cell, outcome: Outcome) -> None:
    store.save([StoredOutcome(cell, outcome)])


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(f"broken: {what}")


def _require_raises(error: type[Exception], call: Callable[[], object], *words: str) -> None:
    try:
        call()
    except error as raised:
        missing = [word for word in words if word not in str(raised)]
        _require(not missing, f"the message names {', '.join(missing)}: {raised}")
    else:
        raise AssertionError(f"broken: {error.__name__} is raised, with {', '.join(words)}")


def check_every_field_comes_back(url: str) -> None:
    """Outcomes come back as they were, whatever is in their texts, also from a store that is opened again."""
    odd = "a\0b \x1a \x1a0000 \ud800 \U0001f600 \u2028 \r\n 'quoted' %s :name"
    outcomes: list[Outcome] = [
        _ANSWER,
        Completion(odd, "model", None, None, None, 0.0, attempts=3),
        Completion("", "", "length", 2**40, 0, 1e-9),
        _FAILURE,
        Failure("connection", odd, None),
        Failure("no_content", "", 200),
        Failure("no_content", "filtered", None, prompt_tokens=2**40, completion_tokens=0),
    ]
    given = [
        StoredOutcome(replace(cell, propensity=(i + 1) / 10), outcome)
        for i, (cell, outcome) in enumerate(zip(_grid(3), outcomes, strict=False))
    ]
    critiques = [StoredOutcome(_critique(given[0].cell), Completion("correct, 90 %", "judge"))]
    with _opened(url) as store:
        store.save(given)
        store.save(critiques)
        _require(list(store.outcomes()) == given, "outcomes come back as they were")
    with RunStore.open(url) as store:
        _require(store.configuration == _CONFIGURATION, "a store that is opened again has its configuration")
        _require(list(store.outcomes()) == given, "outcomes come back from a store that is opened again")
        _require(list(store.outcomes("critique")) == critiques, "critiques are kept apart from answers")
        answered = [each for each in given if isinstance(each.outcome, Completion)]
        _require(list(store.outcomes(answered_only=True)) == answered, "failures can be left out")
        _require(
            store.failures() == {"connection": 1, "no_content": 2, "rate_limit": 1}, "failures are counted by kind"
        )
        states = {each.cell.key: "answered" if isinstance(each.outcome, Completion) else "failed" for each in given}
        _require(store.states() == states, "states are those of the outcomes")
        _require(store.states("critique") == {critiques[0].cell.key: "answered"}, "critiques have states of their own")


def check_another_configuration_is_refused(url: str) -> None:
    """A store is opened with its own configuration or with none; before it has asked anything, with any."""
    _require_raises(StoreError, lambda: RunStore.open(url), "--out")
    with RunStore.open(url, configuration=replace(_CONFIGURATION, model="mistyped")) as store:
        store.register(_QUERIES[:1], _PROMPTS[:1])
        store.note("strategy", "{}")
    with _opened(url) as store:
        _require(store.noted("strategy") is None, "what was noted with another configuration is gone")
        store.claim(_grid()[:1], worker="one", seconds=60)
        _require(repr(store) == f"RunStore({store.name!r})", "its repr is its name")
    hotter = replace(_CONFIGURATION, parameters=SamplingParameters(temperature=1.0, max_tokens=256, stop=("\n\n",)))
    _require_raises(
        StoreError, lambda: RunStore.open(url, configuration=hotter), "temperature: 1.0 here, 0.7 there", "--out"
    )


def check_registration_grows(url: str) -> None:
    """Queries and prompts stay in the order in which they came, golds are corrected, wordings are not."""
    with RunStore.open(url, configuration=_CONFIGURATION) as store:
        store.register(_QUERIES[:4], _PROMPTS[:1])
        store.register((*_QUERIES[5:], *_QUERIES[:4]), _PROMPTS)
        store.register((Question(_QUERIES[5].query), Question(_QUERIES[6].query, "corrected")), ())
        expected = (*_QUERIES[:4], _QUERIES[5], replace(_QUERIES[6], gold="corrected"), *_QUERIES[7:])
        _require(store.queries() == expected, "queries are in the order of their registration, golds corrected")
        _require(store.prompts() == _PROMPTS, "prompts come back in order, with their context")
        reworded = Prompt.from_text("Think twice.", id="z-steps")
        _require_raises(StoreError, lambda: store.register((), [reworded]), "z-steps", "Think step by step", "new id")
        renamed = replace(_PROMPTS[0], id="another")
        _require_raises(StoreError, lambda: store.register((), [renamed]), "another", "z-steps")
        two_golds = (_QUERIES[4], replace(_QUERIES[4], gold="0"))
        _require_raises(DataError, lambda: store.register(two_golds, ()), "two gold answers")
        _require(store.queries() == expected, "what is refused leaves nothing")
        _require(store.prompts() == _PROMPTS, "what is refused leaves nothing")


def check_corrected_golds_undo_grades(url: str) -> None:
    """No grade against a former gold answer is left."""
    first, second = _cell(_QUERIES[0], _PROMPTS[0]), _cell(_QUERIES[1], _PROMPTS[0])
    with _opened(url) as store:
        store.save([StoredOutcome(first, _ANSWER), StoredOutcome(second, _ANSWER)])
        store.save_grades("exact", [(first.key, Grade.WRONG), (second.key, Grade.WRONG)])
        store.register([replace(_QUERIES[0], gold="4"), _QUERIES[1]], ())
        _require(store.grades() == {second.key: Grade.WRONG}, "grades against a former gold are gone, others stay")


def check_claims_are_exclusive(url: str) -> None:
    """Of two workers one gets a cell; what is answered is not asked again, what failed only if told so."""
    cells = _grid()
    with _opened(url) as store, _opened(url) as other:
        _require(_claim(store, cells[3:0:-1]) == cells[3:0:-1], "free cells are claimed, in the order given")
        _require(_claim(other, cells[:5], worker="b") == [cells[0], cells[4]], "what is claimed is not claimed again")
        _require(_claim(store, cells[1:3]) == cells[1:3], "a worker that claims again holds what it held")
        _require(set(store.states().values()) == {"claimed"}, "claimed cells have that state")
        _save(store, cells[1], _ANSWER)
        _save(store, cells[2], _FAILURE)
        _require(_claim(store, cells[1:3]) == [], "neither answered nor failed cells are claimed")
        _require(_claim(other, cells[1:3], worker="b", retry_failed=True) == [cells[2]], "failed ones are, if told so")
        _require(_claim(store, cells[1:3], retry_failed=True) == [], "a failed cell that is asked again is held")
        _require(store.claim([], worker="a", seconds=1) == [], "nothing is claimed where nothing is asked for")
        twice = [cells[9], cells[9]]
        _require(_claim(store, twice) == [cells[9]], "a cell that is given twice is claimed once")
        _require_raises(ParameterError, lambda: store.claim(cells, worker="", seconds=1), "worker=''")
        _require_raises(ParameterError, lambda: store.claim(cells, worker="a", seconds=0), "seconds=0")


def check_leases_expire(url: str) -> None:
    """What a dead worker held is taken over, what a living one renews is not."""
    cells, clock = _grid()[:4], _Clock()
    with _opened(url, clock=clock) as store:
        _claim(store, cells[:2])
        _claim(store, cells[2:], worker="b")
        clock.now += 59
        _require(_claim(store, cells, worker="c") == [], "a lease holds until it runs out")
        store.renew("b", 60)
        clock.now += 2
        _require(_claim(store, cells, worker="c") == cells[:2], "what was not renewed is taken over")
        _save(store, cells[0], _ANSWER)
        _require(store.states()[cells[0].key] == "answered", "the answer of a worker that came late counts")
        clock.now += 1000
        store.renew("c", 60)
        _require(_claim(store, cells, worker="d") == cells[2:], "renewing keeps also what had run out")


def check_released_cells_are_as_before(url: str) -> None:
    """Cells that are given back are planned or failed, as they were."""
    new, planned, failed, others = (_cell(query, _PROMPTS[0]) for query in _QUERIES[:4])
    with _opened(url) as store:
        store.plan([planned])
        _save(store, failed, _FAILURE)
        _claim(store, [new, planned, failed], retry_failed=True)
        _claim(store, [others], worker="b")
        _require(store.release("a") == 3, "the number of cells given back is returned")
        states = {new.key: "planned", planned.key: "planned", failed.key: "failed", others.key: "claimed"}
        _require(store.states() == states, "what is given back is as it was before")
        _require(list(store.outcomes()) == [StoredOutcome(failed, _FAILURE)], "a failure survives a claim given back")
        _require(store.release() == 1, "claims of all workers can be dropped")
        _require(_claim(store, [others]) == [others], "what is given back can be claimed")


def check_first_answer_stays(url: str) -> None:
    """An answer is replaced by nothing, a failure by what came last; all that was spent is counted."""
    cell, failing, critique = _cell(_QUERIES[0], _PROMPTS[0]), _cell(_QUERIES[1], _PROMPTS[0]), None
    with _opened(url) as store:
        _require(store.spending() == Spending(), "nothing is spent at first")
        _save(store, failing, _FAILURE)
        filtered = Failure("no_content", "filtered", attempts=2, prompt_tokens=8, completion_tokens=1)
        _save(store, failing, filtered)
        _require([each.outcome for each in store.outcomes()] == [replace(filtered, attempts=8)], "failures add")
        _save(store, failing, _ANSWER)
        _save(store, cell, _ANSWER)
        _save(store, cell, _FAILURE)
        _save(store, cell, replace(_ANSWER, text="5", prompt_tokens=30, attempts=2))
        found = {each.cell.key: each.outcome for each in store.outcomes()}
        _require(found[cell.key] == replace(_ANSWER, attempts=9), "the first answer stays, attempts are summed")
        _require(found[failing.key] == replace(_ANSWER, attempts=9), "an answer replaces a failure")
        _require(store.failures() == {}, "a failure that was answered is none")
        critique = _critique(cell)
        _save(store, critique, Completion("right", "judge"))
        answers = Spending(18, 2, 0, 78, 16, 0)
        _require(store.spending("answer") == answers, f"all is counted, got {store.spending('answer')}")
        _require(store.spending("critique") == Spending(1, 1, uncounted=1), "critiques are counted apart")
        _require(store.spending() == Spending(19, 3, 0, 78, 16, 1), "and together")


def check_a_plan_is_kept(url: str) -> None:
    """Planned cells keep their propensity, are listed until they are bought, and survive being claimed meanwhile."""
    cells = [_cell(query, prompt, propensity=0.25) for query in _QUERIES for prompt in _PROMPTS]
    with _opened(url) as store:
        _save(store, cells[0], _ANSWER)
        store.plan(iter(cells))
        store.plan([replace(cell, propensity=0.5) for cell in cells])
        expected = sorted(cells[1:], key=lambda cell: cell.key)
        _require(list(store.planned()) == expected, "a plan keeps its propensities, and comes in the order of keys")
        _require(list(store.planned("critique")) == [], "plans of answers and critiques are apart")
        bought = []
        for cell in store.planned():
            bought += _claim(store, [cell])
            _save(store, cell, _ANSWER)
        _require(bought == expected, "cells can be claimed while they are listed")
        _require(list(store.planned()) == [], "what is bought is planned no more")
        propensities = {each.cell.propensity for each in store.outcomes()}
        _require(propensities == {0.25}, "an outcome has the propensity that was planned")


def check_a_plan_comes_with_its_note(url: str) -> None:
    """Of two workers that draw cells from the same state, one plans what it drew."""
    first, second = _grid()[:2]
    with _opened(url) as store, _opened(url) as other:
        _require(store.plan([first], note=("round", "1")), "the first plan is made")
        _require(not other.plan([second], note=("round", "1")), "a plan is not made where its note is there already")
        _require(other.plan([], note=("round", "2"), expected="1"), "a plan is made where the note is as expected")
        _require(not store.plan([second], note=("round", "2"), expected="1"), "and not where it has changed")
        _require(list(store.planned()) == [first] and store.noted("round") == "2", "what is not planned leaves nothing")


def check_outcomes_have_an_order(url: str) -> None:
    """Outcomes come by query, prompt and sample, in whatever order they were saved."""
    cells = _grid(3)
    shuffled = random.Random(0).sample(cells, len(cells))
    with _opened(url) as store:
        for cell in shuffled:
            _save(store, cell, _ANSWER)
        _require([each.cell for each in store.outcomes()] == cells, "outcomes are in the order of the grid")
        following = store.outcomes()
        next(following)
        _save(store, cells[0], _FAILURE)
        _require(len(list(following)) == len(cells) - 1, "a store may be written while its outcomes are read")


def check_grades_are_kept_by_grader(url: str) -> None:
    """Each grader has its grades, and the latest counts."""
    first, second = _cell(_QUERIES[0], _PROMPTS[0]), _cell(_QUERIES[1], _PROMPTS[0])
    with _opened(url) as store:
        _require(store.grader is None and store.grades() == {}, "a new store has no grader and no grades")
        store.save([StoredOutcome(first, _ANSWER), StoredOutcome(second, _ANSWER)])
        store.save_grades("numeric", iter([(first.key, Grade.CORRECT), (second.key, Grade.UNPARSED)]))
        store.save_grades("exact", [(first.key, Grade.WRONG)])
        _require(store.grader == "exact", "the latest grader is known")
        _require(store.grades() == {first.key: Grade.WRONG}, "its grades are those that count")
        former = {first.key: Grade.CORRECT, second.key: Grade.UNPARSED}
        _require(store.grades("numeric") == former, "those of others stay")
        store.save_grades("numeric", [(second.key, Grade.WRONG)])
        _require(store.grades() == former | {second.key: Grade.WRONG}, "a grader's later grade replaces its former")
        _require(store.grades("unknown") == {}, "an unknown grader has no grades")
        _require_raises(ParameterError, lambda: store.save_grades("numeric", [(b"0" * 16, Grade.WRONG)]), "not there")


def check_notes_are_kept(url: str) -> None:
    """A note replaces the former one of its name, and nothing else."""
    with _opened(url) as store:
        _require(store.noted("round") is None, "nothing is noted at first")
        store.note("round", "1")
        store.note("round", '{"n": 2, "text": "\0"}')
        store.note("schema_version", "nonsense")
        _require(store.noted("round") == '{"n": 2, "text": "\0"}', "a note replaces the former one")
    with _opened(url) as store:
        _require(store.noted("schema_version") == "nonsense", "notes stay, and are apart from the store's own")


def check_unknown_queries_are_refused(url: str) -> None:
    """No row refers to a query, prompt or cell that is not there, and a batch is saved whole or not at all."""
    known, unknown = _cell(_QUERIES[0], _PROMPTS[0]), replace(_cell(_QUERIES[1], _PROMPTS[0]), prompt_id="unknown")
    with _opened(url) as store:
        both = [StoredOutcome(known, _ANSWER), StoredOutcome(unknown, _ANSWER)]
        for call in (lambda: _claim(store, [known, unknown]), lambda: store.plan([known, unknown])):
            _require_raises(ParameterError, call, "register")
        _require_raises(ParameterError, lambda: store.save(both), "register")
        _require(store.states() == {}, "what is refused leaves nothing")
        store.save([])
        _save(store, known, _ANSWER)
        _require(store.states() == {known.key: "answered"}, "a store goes on after what it refused")


def check_many_cells_in_one_call(url: str) -> None:
    """Claims and outcomes of more cells than one statement takes are all there."""
    cells = _grid(n_samples=150)
    with _opened(url) as store:
        store.plan(cells[::2])
        _require(_claim(store, cells) == cells, "all are claimed, planned or not")
        store.save([StoredOutcome(cell, _ANSWER) for cell in cells])
        _require(sum(1 for _ in store.outcomes()) == len(cells) == store.spending().answered, "all are saved")


def check_threads_share_a_store(url: str) -> None:
    """Threads that claim, save and read at once get each cell once."""
    cells = _grid(n_samples=10)

    def buy(thread: int) -> int:
        order = random.Random(thread).sample(cells, len(cells))
        held = []
        for start in range(0, len(order), 7):
            mine = _claim(store, order[start : start + 7], worker=f"thread {thread}")
            store.save([StoredOutcome(cell, _ANSWER) for cell in mine])
            held += mine
            store.spending()
        return len(held)

    with _opened(url) as store, ThreadPoolExecutor(4) as pool:
        _require(sum(pool.map(buy, range(4))) == len(cells), "each cell is claimed once among threads")
        _require(store.spending().requests == len(cells), "and bought once")


def check_processes_share_a_run(url: str) -> None:
    """Worker processes that claim the same cells at once get each once."""
    n_workers, n_samples = 2, 20
    with _opened(url) as store:
        spawning = multiprocessing.get_context("spawn")
        workers = [f"process {i}" for i in range(n_workers)]
        with spawning.Pool(n_workers) as pool:
            held = pool.starmap(_buy, [(url, worker, workers, n_samples) for worker in workers], chunksize=1)
        times = Counter(key for keys in held for key in keys)
        everything = {cell.key for cell in _grid(n_samples)}
        _require(set(times) == everything and max(times.values()) == 1, "each cell is claimed once among processes")
        _require(store.spending().requests == len(everything), "and bought once")


def _buy(url: str, worker: str, workers: list[str], n_samples: int) -> list[bytes]:
    """Claim and save everything, in an order of its own: what a worker process does, once all are there."""
    cells = random.Random(worker).sample(_grid(n_samples), 20 * n_samples)
    held: list[bytes] = []
    with _opened(url) as store:
        store.note(worker, "ready")
        while any(store.noted(each) is None for each in workers):
            time.sleep(0.01)
        for start in range(0, len(cells), 8):
            mine = _claim(store, cells[start : start + 8], worker=worker)
            store.save([StoredOutcome(cell, _ANSWER) for cell in mine])
            held += [cell.key for cell in mine]
    return held


RUN_STORE_CHECKS: tuple[Callable[[str], None], ...] = (
    check_every_field_comes_back,
    check_another_configuration_is_refused,
    check_registration_grows,
    check_corrected_golds_undo_grades,
    check_claims_are_exclusive,
    check_leases_expire,
    check_released_cells_are_as_before,
    check_first_answer_stays,
    check_a_plan_is_kept,
    check_a_plan_comes_with_its_note,
    check_outcomes_have_an_order,
    check_grades_are_kept_by_grader,
    check_notes_are_kept,
    check_unknown_queries_are_refused,
    check_many_cells_in_one_call,
    check_threads_share_a_store,
    check_processes_share_a_run,
)
"""Each takes the address of an empty database, to be run one by one."""
