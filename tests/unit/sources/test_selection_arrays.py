from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from prompt_oirl.errors import DataNotFoundError, FileFormatError, ParameterError
from prompt_oirl.sources.selection_arrays import LLMS, find_cell, read_selection_arrays

Save = Callable[[Path, object], Path]
Entries = dict[str, dict[str, np.ndarray]]
MakeEntries = Callable[[str, int], Entries]


def save_tiger_mawps(save_object: Save, release: Path, entries: object) -> Path:
    return save_object(release / "active_results" / "ALL_mawps_10_tiger.npy", entries)


def test_subsets_and_rules_are_named(tmp_path: Path, save_object: Save, selection_entries: MakeEntries) -> None:
    entries = selection_entries("mawps", 1685)
    save_tiger_mawps(save_object, tmp_path, entries)
    arrays = read_selection_arrays(tmp_path, "tigerbot-13b-chat", "mawps")
    assert len(arrays.selections) == 63
    assert list(arrays.selections)[:7] == [(0,), (1,), (2,), (3,), (4,), (5,), (0, 1)]
    selection, entry = arrays.selections[0, 2], entries["mawps_xgboost_0_2.model_10"]
    assert selection.prompts == (0, 2)
    for name, published in (
        ("irl0", "baseline_test"),
        ("all_mixed", "combined_test"),
        ("held_out_only", "only_combined"),
        ("irl10", "smart_combined"),
        ("irl100", "active_combined"),
    ):
        np.testing.assert_array_equal(getattr(selection, name), entry[published])


def test_labels_are_the_single_prompt_selections(mawps_folder: Path) -> None:
    arrays = read_selection_arrays(mawps_folder / "prompt-oirl", "tigerbot-13b-chat", "mawps")
    assert arrays.test_labels.shape == (arrays.n_test, 6) == (1685, 6)
    for prompt in (0, 1, 3, 5):
        expected = [(row * 7 + prompt * 13) % 5 < 2 for row in range(1685)]
        assert arrays.test_labels[:, prompt].tolist() == expected
    assert arrays.failed_prompts == (2, 4)


def test_the_name_svamp_is_mawps_for_gpt(mawps_folder: Path) -> None:
    arrays = read_selection_arrays(mawps_folder / "prompt-oirl", "gpt-3.5-turbo", "mawps")
    assert (arrays.n_test, arrays.failed_prompts) == (1685, ())
    assert find_cell("gpt-3.5-turbo", "svamp").file_name == "ALL_aug_svamp_10.npy"


def without(entries: Entries, key: str) -> Entries:
    return {other: entry for other, entry in entries.items() if other != key}


KEY = "mawps_xgboost_0_2.model_10"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda e: without(e, KEY), "62 entries"),
        (lambda e: e | {"mawps_xgboost_2_0.model_10": e[KEY]}, "64 entries"),
        (lambda e: e | {"mawps_xgboost_00_2.model_10": e[KEY]}, "64 entries for 63"),
        (lambda e: e | {"mawps_xgboost_0_2.model": e[KEY]}, "not of the form"),
        (lambda e: e | {"svamp_xgboost_0_2.model_10": e[KEY]}, "not of the form"),
        (lambda e: e | {3: e[KEY]}, "the key 3"),
        (lambda e: e | {KEY: without(e[KEY], "smart_combined")}, r"subset \(0, 2\): smart_combined"),
        (lambda e: e | {KEY: e[KEY] | {"smart_combined": np.ones(1684, bool)}}, r"bool \(1684,\)"),
        (lambda e: e | {KEY: e[KEY] | {"smart_combined": np.ones(1685)}}, "float64"),
        (lambda e: e | {KEY: [1]}, r"subset \(0, 2\)"),
        (lambda e: [e], "a dictionary"),
    ],
)
def test_other_content_names_the_file(
    tmp_path: Path, save_object: Save, selection_entries: MakeEntries, change, problem: str
) -> None:
    path = save_tiger_mawps(save_object, tmp_path, change(selection_entries("mawps", 1685)))
    with pytest.raises(FileFormatError, match=problem) as caught:
        read_selection_arrays(tmp_path, "tigerbot-13b-chat", "mawps")
    assert caught.value.path == path


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="ALL_mawps_10_llama"):
        read_selection_arrays(tmp_path, "llama-2-7b-chat", "mawps")


def test_an_unknown_llm_is_a_parameter_error(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"gpt-3\.5-turbo, llama-2-7b-chat"):
        read_selection_arrays(tmp_path, "gpt-4", "mawps")  # type: ignore[arg-type]


PUBLISHED = {  # K = 6: BoTr, IRL 0, IRL 10, IRL 100, oracle
    ("gpt-3.5-turbo", "gsm8k"): (0.672, 0.683, 0.683, 0.684, 0.873),
    ("gpt-3.5-turbo", "svamp"): (0.855, 0.936, 0.932, 0.932, 0.941),
    ("gpt-3.5-turbo", "mawps"): (0.718, 0.855, 0.856, 0.894, 0.869),
    ("llama-2-7b-chat", "gsm8k"): (0.248, 0.258, 0.205, 0.201, 0.501),
    ("llama-2-7b-chat", "svamp"): (0.637, 0.672, 0.660, 0.661, 0.837),
    ("llama-2-7b-chat", "mawps"): (0.646, 0.686, 0.677, 0.681, 0.855),
    ("tigerbot-13b-chat", "gsm8k"): (0.394, 0.376, 0.391, 0.367, 0.700),
    ("tigerbot-13b-chat", "svamp"): (0.645, 0.665, 0.664, 0.663, 0.913),
    ("tigerbot-13b-chat", "mawps"): (0.536, 0.622, 0.726, 0.731, 0.642),
}


@pytest.mark.real_logs
@pytest.mark.parametrize("cell", PUBLISHED, ids="-".join)
def test_the_published_success_rates(data_folder: Path, cell) -> None:
    arrays = read_selection_arrays(data_folder / "prompt-oirl", *cell)
    labels, best = arrays.test_labels, arrays.selections[0, 1, 2, 3, 4, 5]
    found = (labels.mean(0).max(), best.irl0.mean(), best.irl10.mean(), best.irl100.mean(), labels.any(1).mean())
    assert found == pytest.approx(PUBLISHED[cell], abs=0.001)


@pytest.mark.real_logs
@pytest.mark.parametrize("cell", PUBLISHED, ids="-".join)
def test_a_selection_is_right_only_where_one_of_its_prompts_is(data_folder: Path, cell) -> None:
    arrays = read_selection_arrays(data_folder / "prompt-oirl", *cell)
    for subset, selection in arrays.selections.items():
        labels = arrays.test_labels[:, subset]
        assert (selection.irl0 <= labels.any(axis=1)).all()
        assert (selection.irl0 >= labels.all(axis=1)).all()


@pytest.mark.real_logs
def test_the_headline(data_folder: Path) -> None:
    baseline, chosen = [], []
    for llm in LLMS:
        for dataset in ("gsm8k", "svamp", "mawps"):
            arrays = read_selection_arrays(data_folder / "prompt-oirl", llm, dataset)  # type: ignore[arg-type]
            baseline.append(arrays.test_labels.mean())
            chosen.append(np.mean([arrays.selections[prompt,].irl10.mean() for prompt in range(6)]))
    assert np.mean(chosen) / np.mean(baseline) - 1 == pytest.approx(0.2426, abs=0.00005)
