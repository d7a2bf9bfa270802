"""A run with answers, for the tests of what is made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from prompt_oirl.records import Prompt, Query, Question
from prompt_oirl.runs.cells import Cell, CellKeys
from prompt_oirl.runs.configuration import RunConfiguration, SamplingParameters
from prompt_oirl.runs.outcomes import Completion, Outcome
from prompt_oirl.runs.store import RunStore, StoredOutcome

PROMPTS = (Prompt.from_text("Think.", id="think"), Prompt.from_text("Answer: ", id="short"))
QUESTIONS = tuple(Question(Query(f"What is {n} plus {n}?"), str(2 * n)) for n in (4, 5, 6))
CONFIGURATION = RunConfiguration(
    "test-model", "http://localhost:1/v1", SamplingParameters(temperature=0.7, max_tokens=64)
)

Answers = Mapping[tuple[int, int, int], str | Outcome]
"""By query, prompt and sample; a text is an answer without anything special."""

MakeRun = Callable[..., RunStore]


@pytest.fixture
def make_run(tmp_path: Path) -> Iterator[MakeRun]:
    """A function that makes a run's store of answers, questions and prompts."""
    stores: list[RunStore] = []

    def make(
        answers: Answers, *, questions: tuple[Question, ...] = QUESTIONS, prompts: tuple[Prompt, ...] = PROMPTS
    ) -> RunStore:
        store = RunStore.open(f"sqlite:///{tmp_path / f'run-{len(stores)}.sqlite'}", configuration=CONFIGURATION)
        stores.append(store)
        store.register(questions, prompts)
        keys = CellKeys(CONFIGURATION)
        store.save(
            [
                StoredOutcome(
                    Cell(
                        keys.of(prompts[prompt].messages(questions[query].query), sample),
                        questions[query].query.id,
                        prompts[prompt].id,
                        sample,
                        propensity=0.5,
                    ),
                    _outcome(outcome),
                )
                for (query, prompt, sample), outcome in answers.items()
            ]
        )
        return store

    yield make
    for store in stores:
        store.close()


def _outcome(outcome: str | Outcome) -> Outcome:
    if not isinstance(outcome, str):
        return outcome
    return Completion(outcome, "test-model-1", "stop", prompt_tokens=10, completion_tokens=5, latency=0.5)
