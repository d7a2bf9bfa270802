"""Which cells the leak-free table has."""

from __future__ import annotations

from collections import Counter

from prompt_oirl.reproduction import leak_free
from prompt_oirl.reproduction.cells import Settings
from prompt_oirl.sources.selection_arrays import LLMS


def places(settings: Settings) -> set[tuple[str, str, str]]:
    return {
        (cell.parameters["llm"], cell.parameters["dataset"], cell.parameters["by"])
        for cell in leak_free.cells(settings)
    }


def test_a_full_run_has_every_llm_data_set_and_grouping() -> None:
    assert places(Settings()) == {
        (llm, dataset, by) for llm in LLMS for dataset in ("gsm8k", "svamp", "mawps") for by in ("template", "question")
    }


def test_a_fast_run_keeps_near_duplicates_together_and_has_one_seed_and_no_subsets() -> None:
    made = leak_free.cells(Settings(fast=True, seed=7))
    assert {by for *_, by in places(Settings(fast=True))} == {"template"}
    assert all(cell.parameters["seeds"] == [7] for cell in made)
    assert not any(cell.parameters.get("subsets") for cell in made)
    assert "published_recipe" not in {cell.parameters.get("method") for cell in made}


def test_five_seeds_count_on_from_the_first() -> None:
    for cell in leak_free.cells(Settings(seed=10)):
        assert cell.parameters["seeds"] == [10, 11, 12, 13, 14]


def test_no_cell_is_there_twice() -> None:
    for settings in (Settings(), Settings(fast=True)):
        assert max(Counter(cell.id for cell in leak_free.cells(settings)).values()) == 1


def test_every_place_has_every_method_but_the_slow_one_is_for_llama_only() -> None:
    methods = Counter(cell.parameters.get("method", "shared") for cell in leak_free.cells(Settings()))
    assert set(methods) == {
        "shared", "best_single", "prompt_means", "knn", "lookup", "additive", "joint", "published_recipe",
    }  # fmt: skip
    assert methods.pop("published_recipe") == 6
    assert set(methods.values()) == {18}
