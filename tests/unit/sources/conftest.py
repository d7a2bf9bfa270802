"""A release made for these tests: the layout of a clone, with the paper's row counts for MAWPS and texts of our own."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

ALIASES = ["plain", "steps", "sure", "panel", "tree", "parts", *(f"extra_{i}" for i in range(10))]
N_ROWS, N_TRAIN, N_TEST = 7685, 6000, 1685

STEP_1 = """
import re
from somewhere import nothing

PATTERN = "\\d+"  # an invalid escape, as in the release

def main(index: int = 0):
    PROMPT_LIST = [
{texts}
    ]
    ALIAS_LIST = [
{aliases}
    ]
    raise SystemExit("this script is never run")
"""

STEP_2 = """
save_dict = {{}}
save_dict["prompts"] = [
{texts}
]
save_dict["training_set"] = [f"{{name}}.npy" for name in ()]
raise SystemExit("this script is never run")
"""


def write_scripts(release: Path, *, aliases: list[str] | None = None) -> None:
    aliases = ALIASES if aliases is None else aliases
    texts = [f"Answer in the manner of {alias}: " for alias in aliases]
    recorded = [text if i != 3 else "Answer in another manner: " for i, text in enumerate(texts[:6])]

    def as_list(items: list[str]) -> str:
        return "\n".join(f"        {item!r}," for item in items)

    folder = release / "llama_exps"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "llama_step1_gen_offline.py").write_text(STEP_1.format(texts=as_list(texts), aliases=as_list(aliases)))
    (folder / "llama_step2_reorg_data.py").write_text(STEP_2.format(texts=as_list(recorded)))


def write_folds(question_folder: Path) -> None:
    """Five folds with 7685 rows in all, in which every question occurs five times."""
    for fold in range(5):
        path = question_folder / "data" / "cv_mawps" / f"fold{fold}" / "train.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [
            f'"Ann has number0 nuts, {row} of them old. How many, and number1?",{row} 3.0,"{row}"'
            for row in range(1537)
        ]
        path.write_text("\n".join(["Question,Numbers,Answer", *rows, ""]))


def label_of(row: int, prompt: int) -> bool:
    return (row * 7 + prompt * 13) % 5 < 2


def write_labels(release: Path) -> None:
    folder = release / "llama_exps" / "llama2_chat_logs" / "mawps"
    folder.mkdir(parents=True)
    for prompt, alias in enumerate(ALIASES):
        first = 0 if prompt < 6 else N_TRAIN
        lines = [f"({i}, {label_of(first + i, prompt)})\n" for i in range(N_ROWS - first)]
        (folder / f"llama_mawps_corr_{alias}.txt").write_text("".join(lines))


def write_answers(release: Path) -> None:
    folder = release / "llama_exps" / "llama2_chat_logs" / "mawps"
    for prompt, first in ((0, 0), (6, N_TRAIN)):
        records = [f"{(i, answer_of(first + i))}\n\n{'=' * 20}\n" for i in range(N_ROWS - first)]
        (folder / f"llama_mawps_answers_list_{ALIASES[prompt]}.txt").write_text("".join(records))


def answer_of(row: int) -> str:
    return f'It\'s row {row}.\n====================\n"So" {row}'


def subsets() -> list[tuple[int, ...]]:
    return [subset for size in range(1, 7) for subset in combinations(range(6), size)]


def selection_entries(name: str, n_test: int) -> dict[str, dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    entries = {}
    for subset in reversed(subsets()):
        arrays = {
            rule: rng.random(n_test) < 0.5
            for rule in ("combined_test", "only_combined", "smart_combined", "active_combined")
        }
        arrays["baseline_test"] = np.array([label_of(row, subset[0]) for row in range(n_test)])
        entries[f"{name}_xgboost_{'_'.join(map(str, subset))}.model_10"] = arrays
    return entries


def save_object(path: Path, found: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.empty((), dtype=object)
    array[()] = found
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=True)
    return path


@pytest.fixture(scope="session")
def mawps_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a clone's layout that holds the MAWPS logs; tests do not write to it."""
    folder = tmp_path_factory.mktemp("data")
    release = folder / "prompt-oirl"
    write_scripts(release)
    write_labels(release)
    write_answers(release)
    write_folds(folder / "SVAMP")
    failed = selection_entries("mawps", N_TEST)
    for prompt in (2, 4):
        failed[f"mawps_xgboost_{prompt}.model_10"]["baseline_test"][:] = False
    save_object(release / "active_results" / "ALL_mawps_10_tiger.npy", failed)
    save_object(release / "active_results" / "ALL_svamp_10.npy", selection_entries("svamp", N_TEST))
    return folder


@pytest.fixture(name="save_object", scope="session")
def save_object_fixture() -> Callable[[Path, object], Path]:
    """Pickle an object into a `.npy` file as `numpy.save` does."""
    return save_object


@pytest.fixture(name="selection_entries", scope="session")
def selection_entries_fixture() -> Callable[[str, int], dict[str, dict[str, np.ndarray]]]:
    """Make the dictionary of one selection file."""
    return selection_entries
