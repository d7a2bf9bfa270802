from __future__ import annotations

import numpy as np
import pytest

from prompt_oirl.grading import Grade, get_grader
from prompt_oirl.records import Message
from prompt_oirl.testing import ChatRequest, SyntheticWorld, WorldAnswerer
from prompt_oirl.testing.world_answerer import UNKNOWN

WORLD = SyntheticWorld(n_queries=40, unparsable=0.05, seed=4)


def request_of(row: int, column: int, **fields: object) -> ChatRequest:
    return ChatRequest("m", WORLD.prompts[column].messages(WORLD.queries[row]), **fields)  # type: ignore[arg-type]


def grade(answer: str, row: int) -> Grade:
    return get_grader("numeric").grade(answer, WORLD.golds[WORLD.queries[row]])


@pytest.mark.parametrize("way", ["seeds", "occurrences"])
def test_success_rates_are_the_worlds(way: str) -> None:
    answerer, n = WorldAnswerer(WORLD, is_deterministic=way == "seeds"), 40
    grades = np.array(
        [
            [
                grade(
                    answerer.answer(request_of(row, column, seed=sample), 0)
                    if way == "seeds"
                    else answerer.answer(request_of(row, column, temperature=1.0), sample),
                    row,
                ).value
                for sample in range(n)
            ]
            for row in range(len(WORLD.queries))
            for column in range(len(WORLD.prompts))
        ]
    )
    is_parsed = grades != Grade.UNPARSED.value
    assert 1 - is_parsed.mean() == pytest.approx(WORLD.unparsable, abs=4 * (0.05 * 0.95 / grades.size) ** 0.5)
    truth = WORLD.success_probabilities.ravel()
    deviations = (grades == Grade.CORRECT.value).sum(axis=1) - is_parsed.sum(axis=1) * truth
    chi_squared = float((deviations**2 / (is_parsed.sum(axis=1) * truth * (1 - truth))).sum())
    assert chi_squared == pytest.approx(len(truth), abs=4 * (2 * len(truth)) ** 0.5)


def test_by_default_the_same_messages_have_the_same_answer() -> None:
    answerer = WorldAnswerer(WORLD)
    assert len({answerer.answer(request_of(0, 1, temperature=0.7), occurrence) for occurrence in range(30)}) == 1
    assert answerer.answer(request_of(0, 1), 0) == WorldAnswerer(SyntheticWorld(40, unparsable=0.05, seed=4)).answer(
        request_of(0, 1), 5
    )


def test_seeds_make_samples_that_can_be_repeated() -> None:
    for answerer in (WorldAnswerer(WORLD), WorldAnswerer(WORLD, is_deterministic=False)):
        answers = [answerer.answer(request_of(0, 1, seed=seed), 0) for seed in range(30)]
        assert len(set(answers)) > 5
        assert answers == [answerer.answer(request_of(0, 1, seed=seed), 1) for seed in range(30)]


def test_at_temperature_zero_nothing_but_the_messages_counts() -> None:
    answerer = WorldAnswerer(WORLD, is_deterministic=False)
    answers = {answerer.answer(request_of(0, 1, temperature=0, seed=seed), seed) for seed in range(30)}
    assert len(answers) == 1


def test_independent_samples_differ() -> None:
    answerer = WorldAnswerer(WORLD, is_deterministic=False)
    assert len({answerer.answer(request_of(0, 1), occurrence) for occurrence in range(30)}) > 5


def test_every_message_is_found_and_others_are_not() -> None:
    answerer = WorldAnswerer(WORLD)
    for row, query in enumerate(WORLD.queries):
        for column, prompt in enumerate(WORLD.prompts):
            assert answerer._find(prompt.render(query)) == (row, column)
    for text in (WORLD.queries[0].text, WORLD.prompts[0].text, "Hello?", WORLD.prompts[0].template):
        answer = answerer.answer(ChatRequest("m", (Message("user", text),)), 0)
        assert answer == UNKNOWN
        assert grade(answer, 0) is Grade.UNPARSED


def test_earlier_messages_change_the_draw_and_not_the_question() -> None:
    answerer = WorldAnswerer(WORLD)
    plain = request_of(0, 1)
    answers = {
        answerer.answer(ChatRequest("m", (Message("system", f"Be {number}."), *plain.messages)), 0)
        for number in range(30)
    }
    assert len(answers) > 5
    assert UNKNOWN not in answers
