"""The published rules and the headline, from arrays and rows that a test makes up."""

from __future__ import annotations

import numpy as np
import pytest

from prompt_oirl.reproduction.cells import Settings
from prompt_oirl.reproduction.published import METHODS, cells, headline_rows, method_outcomes
from prompt_oirl.reproduction.rows import ResultRow
from prompt_oirl.sources.selection_arrays import Selection, SelectionArrays

T, F = True, False


def selection(*prompts: int, irl0: list[bool], irl10: list[bool] | None = None) -> Selection:
    mixed, held_out, irl100 = [T, F, F], [F, F, F], [T, T, T]
    arrays = [np.array(each) for each in (irl0, mixed, held_out, irl10 or irl0, irl100)]
    return Selection(prompts, *arrays)


ARRAYS = SelectionArrays(
    "gpt-3.5-turbo",
    "gsm8k",
    {
        **{(prompt,): selection(prompt, irl0=[T, F, F] if prompt else [T, T, F]) for prompt in range(6)},
        (0, 3): selection(0, 3, irl0=[F, T, T], irl10=[F, F, T]),
    },
)


def test_each_rule_reads_its_own_array() -> None:
    confidences = np.zeros((3, 16))
    confidences[[0, 1], 3] = 0.9
    outcomes = method_outcomes(ARRAYS, confidences, (0, 3))
    assert tuple(outcomes) == METHODS
    assert {name: outcome.tolist() for name, outcome in outcomes.items()} == {
        "botr": [1, 1, 0],  # prompt 0, the better on the test questions
        "lmsc": [1, 0, 0],  # prompt 3 where it is more confident, else the first
        "irl0": [0, 1, 1],
        "all_mixed": [1, 0, 0],
        "irl10": [0, 0, 1],
        "irl100": [1, 1, 1],
    }


def test_there_is_a_cell_for_each_llm_and_data_set() -> None:
    made = cells(Settings())
    assert len({cell.id for cell in made}) == len(made) == 9
    assert made == cells(Settings(fast=True, seed=3))


def cell_row(llm: str, dataset: str, method: str, value: float, k: int = 1, prompts: str | None = None) -> ResultRow:
    return ResultRow(
        table="published", llm=llm, dataset=dataset, protocol="published", method=method, k=k, prompts=prompts,
        n_queries=10, n_trials=12, value=value,
    )  # fmt: skip


def test_the_headline_is_the_ratio_of_means_over_cells() -> None:
    rows = [
        cell_row("gpt-3.5-turbo", "gsm8k", "botr", 0.4),
        cell_row("gpt-3.5-turbo", "gsm8k", "irl10", 0.5),
        cell_row("tigerbot-13b-chat", "mawps", "botr", 0.1),
        cell_row("tigerbot-13b-chat", "mawps", "irl10", 0.7),
        cell_row("gpt-3.5-turbo", "gsm8k", "irl10", 0.9, prompts="0"),  # of one subset: no cell
    ]
    found = {(row.dataset, row.method, row.metric): row for row in headline_rows(rows)}
    assert found["all nine cells", "irl10", "relative_gain"].value == pytest.approx(0.6 / 0.25 - 1)
    assert found["all nine cells", "irl10", "mean_of_cells"].gain == pytest.approx(0.35)
    assert found["without TigerBot on MAWPS", "irl10", "relative_gain"].value == pytest.approx(0.25)
    assert found["GSM8K alone", "irl10", "relative_gain"].value == pytest.approx(0.25)
    assert found["all nine cells", "irl10", "relative_gain"].n_trials == 24
    assert found["GSM8K alone", "botr", "relative_gain"].value == 0
    assert ("all nine cells", "irl0", "relative_gain") not in found


def test_no_rows_give_no_headline() -> None:
    assert headline_rows([]) == []
