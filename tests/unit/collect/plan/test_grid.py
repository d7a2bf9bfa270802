from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_oirl.collect.plan.grid import Grid
from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.records import SLOT, Message, Prompt, Query, Question
from prompt_oirl.runs.cells import CellKeys
from prompt_oirl.runs.configuration import RunConfiguration

CONFIGURATION = RunConfiguration("some-model", "http://localhost/v1")
PROMPTS = (
    Prompt.from_text("Think step by step.", id="steps"),
    Prompt("twice", f"{SLOT}\nAgain: {SLOT}", (Message("system", 'Be "brief".\\'), Message("user", f"Hear: {SLOT}"))),
    Prompt("late", "Now answer.", (Message("user", SLOT), Message("assistant", "Yes?"))),
)
PARTS = ('"', "\\", "\n", "{", "}", SLOT, "query", "多", "\x00", "\u2028", "😀", "a", "n")
TEXTS = st.lists(st.sampled_from(PARTS), min_size=1).map("".join).filter(str.strip)


def questions(*texts: str) -> tuple[Question, ...]:
    return tuple(Question(Query(text)) for text in texts)


def grid(n_queries: int = 4, *, n_samples: int = 1, seed: int = 0) -> Grid:
    return Grid(questions(*(f"How much is {i}?" for i in range(n_queries))), PROMPTS, n_samples, CONFIGURATION, seed)


@given(st.lists(TEXTS, min_size=1, max_size=3, unique=True))
def test_every_key_is_that_of_the_messages_and_the_sample(texts: list[str]) -> None:
    made = Grid(questions(*texts), PROMPTS[:2], 2, CONFIGURATION)
    keys = CellKeys(CONFIGURATION)
    assert made.keys.tolist() == [
        keys.of(made.messages(number), made.cell(number).sample) for number in range(len(made))
    ]


def test_cells_are_every_query_with_every_prompt_and_sample() -> None:
    made = grid(3, n_samples=2)
    cells = [made.cell(number) for number in range(len(made))]
    wanted = product((each.query.id for each in made.queries), ("steps", "twice", "late"), (0, 1))
    assert {(cell.query_id, cell.prompt_id, cell.sample) for cell in cells} == set(wanted)
    assert len({cell.key for cell in cells}) == len(made) == 18
    assert made.cell(0, propensity=0.5).propensity == 0.5


def test_a_query_is_asked_with_all_prompts_before_the_next_one_and_samples_come_last() -> None:
    made = grid(4, n_samples=2)
    cells = [made.cell(number) for number in range(len(made))]
    assert [cell.sample for cell in cells] == [0] * 12 + [1] * 12
    assert [cell.prompt_id for cell in cells[:6]] == ["steps", "twice", "late"] * 2
    by_query = [cells[start].query_id for start in range(0, 24, 3)]
    assert by_query[:4] == by_query[4:] == [made.queries[index].query.id for index in made.order]


def test_the_order_is_random_and_stays_when_queries_are_added_or_moved() -> None:
    few, many = grid(20), grid(40)
    order = [few.queries[index] for index in few.order]
    assert order != list(few.queries)
    assert [each for each in (many.queries[index] for index in many.order) if each in few.queries] == order
    moved = Grid(few.queries[::-1], PROMPTS, 1, CONFIGURATION)
    assert [moved.queries[index] for index in moved.order] == order
    assert grid(20, seed=1).order.tolist() != few.order.tolist()


def test_positions_lead_from_query_prompt_and_sample_to_the_cell() -> None:
    made = grid(5, n_samples=2)
    positions = made.positions
    assert positions.shape == (5, 3, 2)
    assert np.array_equal(np.sort(positions, axis=None), np.arange(30))
    for (query, prompt, sample), number in np.ndenumerate(positions):
        cell = made.cell(int(number))
        assert (cell.query_id, cell.prompt_id) == (made.queries[query].query.id, made.prompts[prompt].id)
        assert cell.sample == sample


def test_a_number_outside_the_grid_is_an_index_error() -> None:
    with pytest.raises(IndexError):
        grid(2).cell(6)


@pytest.mark.parametrize(
    ("texts", "prompts", "message"),
    [
        ((), PROMPTS, "0 queries × 3 prompts"),
        (("a",), (), "1 queries × 0 prompts"),
        (("a", "b", "a"), PROMPTS, "query 3 has the text of query 1, 'a'"),
        (("a",), (PROMPTS[0], Prompt("steps", SLOT)), "the id 'steps' is also that of prompt 1"),
        (
            ("now", "more now"),
            (Prompt("plain", SLOT), Prompt("more", f"more {SLOT}")),
            "prompt 'plain' with query 'more now' and prompt 'more' with query 'now' send the LLM the same messages|"
            "prompt 'more' with query 'now' and prompt 'plain' with query 'more now' send the LLM the same messages",
        ),
        (
            ("now",),
            (Prompt("plain", f"now {SLOT}"), Prompt("other", f"{SLOT} now")),
            "prompt 'plain' with query 'now' and prompt 'other' with query 'now' send",
        ),
    ],
)
def test_what_cannot_be_told_apart_is_refused(
    texts: tuple[str, ...], prompts: tuple[Prompt, ...], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        Grid(questions(*texts), prompts, 1, CONFIGURATION)


@pytest.mark.parametrize("n_samples", [0, -1, True, 1.5])
def test_a_grid_has_at_least_one_sample(n_samples: int) -> None:
    with pytest.raises(ParameterError, match="n_samples="):
        Grid(questions("a"), PROMPTS, n_samples, CONFIGURATION)
