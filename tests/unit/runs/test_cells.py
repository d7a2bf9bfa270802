from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_oirl.errors import ParameterError
from prompt_oirl.records import SLOT, Message, Prompt, Query
from prompt_oirl.runs.cells import Cell, CellKeys
from prompt_oirl.runs.configuration import RunConfiguration, SamplingParameters

CONFIGURATION = RunConfiguration("a-model", "http://127.0.0.1:1/v1", SamplingParameters(temperature=0.5))
KEYS = CellKeys(CONFIGURATION)
MESSAGES = (Message("system", "Calculate."), Message("user", "What is 2 + 2?"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": b"short"},
        {"sample": -1},
        {"propensity": 0.0},
        {"propensity": 1.1},
        {"propensity": float("nan")},
        {"purpose": "critique"},
        {"subject": bytes(16)},
    ],
)
def test_a_cell_is_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        Cell(**{"key": bytes(16), "query_id": "q", "prompt_id": "p"} | wrong)


def test_a_critique_names_what_it_judges() -> None:
    critique = Cell(bytes(16), "q", "p", purpose="critique", subject=b"1" * 16)
    assert critique.subject == b"1" * 16


def test_a_key_is_the_same_in_every_process() -> None:
    assert KEYS.of(MESSAGES).hex() == "700a00a9d19c4a2dff5b6f1a232baa72"
    assert KEYS.of(MESSAGES) == CellKeys(CONFIGURATION).of(list(MESSAGES), 0)


def test_a_key_differs_with_everything_that_an_answer_depends_on() -> None:
    parameters = CONFIGURATION.parameters
    configurations = [
        CONFIGURATION,
        replace(CONFIGURATION, model="another"),
        replace(CONFIGURATION, base_url="http://127.0.0.1:2/v1"),
        *(
            replace(CONFIGURATION, parameters=replace(parameters, **changed))
            for changed in (
                {"temperature": 0.6},
                {"top_p": 0.5},
                {"max_tokens": 10},
                {"seed": 1},
                {"stop": ("a", "b")},
                {"stop": ("a", "b", "c")},
                {"extra": '{"top_k": 20}'},
            )
        ),
    ]
    conversations = [
        MESSAGES,
        MESSAGES[1:],
        MESSAGES[::-1],
        (Message("user", "Calculate."), MESSAGES[1]),
        (MESSAGES[0], Message("user", "What is 2 + 3?")),
        (Message("user", 'What is 2 + 2?"],["user","x'),),
    ]
    keys = [CellKeys(each).of(messages, i) for each in configurations for messages in conversations for i in range(3)]
    assert len(set(keys)) == len(keys) == len(configurations) * len(conversations) * 3
    assert {len(key) for key in keys} == {16}


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)


@given(
    queries=st.lists(TEXTS.map(Query), max_size=3),
    parts=st.lists(TEXTS, min_size=2, max_size=4),
    context=st.lists(TEXTS, max_size=2),
    n_samples=st.integers(1, 3),
)
def test_the_keys_of_a_grid_are_those_of_its_cells(
    queries: list[Query], parts: list[str], context: list[str], n_samples: int
) -> None:
    prompts = [
        Prompt("one", SLOT.join(parts), tuple(Message("system", text) for text in context)),
        Prompt.from_text(parts[0]) if SLOT not in parts[0] else Prompt("other", parts[0]),
    ]
    expected = [KEYS.of(p.messages(q), i) for q in queries for p in prompts for i in range(n_samples)]
    assert list(KEYS.of_grid(queries, prompts, n_samples=n_samples)) == expected
