"""The rows of the headroom table."""

from __future__ import annotations

import pytest

from prompt_oirl.evaluation import headroom
from prompt_oirl.reproduction.cells import Settings
from prompt_oirl.reproduction.headroom import cells, compute_headroom, headroom_rows
from prompt_oirl.sources.selection_arrays import LLMS
from prompt_oirl.testing import SyntheticWorld

PLACE = {"table": "headroom", "llm": "none", "dataset": "synthetic", "protocol": "by_template", "note": "of a test"}


def test_every_llm_and_data_set_has_a_cell() -> None:
    places = [(cell.parameters["llm"], cell.parameters["dataset"]) for cell in cells(Settings(seed=3))]
    assert set(places) == {(llm, dataset) for llm in LLMS for dataset in ("mawps", "svamp", "gsm8k")}
    assert len(places) == 9
    assert {cell.parameters["seed"] for cell in cells(Settings(seed=3))} == {3}


def test_rows_say_what_was_found_and_on_what_it_rests() -> None:
    found = headroom(SyntheticWorld(n_queries=150, repeats=3, interaction=2).demonstrations)
    rows = {(row.method, row.metric): row for row in headroom_rows(found, PLACE)}
    assert found.by_trials is not None
    assert rows["by_trials", None].gain == found.by_trials.value
    assert rows["by_trials", None].n_left_out == found.by_trials.n_left_out
    assert rows["verdict", "p_value"].note == found.verdict
    assert rows["ceiling", None].note == "of a test"
    assert rows["interaction", "variance"].low < rows["interaction", "variance"].value
    assert rows["power", "detectable_gain"].value == found.power.detectable_gain
    assert ("by_policy", None) not in rows


def test_single_trials_have_no_rows_of_what_needs_repeats() -> None:
    world = SyntheticWorld(n_queries=150)
    logs = world.demonstrations
    single = type(logs)(logs.queries, logs.prompts, logs.trials.clip(0, 1), logs.successes.clip(0, 1), logs.unscored)
    methods = {row.method for row in headroom_rows(headroom(single), PLACE)}
    assert methods == {"ceiling", "verdict", "power"}


@pytest.mark.slow
@pytest.mark.real_logs
def test_the_released_logs(data_folder) -> None:
    parameters = {"llm": "llama-2-7b-chat", "dataset": "mawps", "seed": 0}
    rows = {(row.method, row.metric): row for row in compute_headroom(data_folder, parameters)}
    assert rows["verdict", "p_value"].note == "found"
    assert rows["by_trials", None].low > 0
    assert rows["by_policy", None].gain > 0
