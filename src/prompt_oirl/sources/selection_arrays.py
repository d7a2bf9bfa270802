"""The selection results of the release: which test questions each published rule got right, for 63 sets of prompts.

File names in the release: no suffix is GPT-3.5, and for GPT-3.5 `svamp` is MAWPS and `aug_svamp` is SVAMP. For
TigerBot, SVAMP has 2000 questions, and they are rows 6000 to 7999 of the question set, not rows of the paper's test
part: only there do its labels go with those of the other LLMs (correlation .42 with the questions' LLaMA-2 success
rates; under .1 among the test rows).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np

from prompt_oirl.arrays import BoolArray
from prompt_oirl.errors import FileFormatError, ParameterError
from prompt_oirl.sources.questions import Dataset
from prompt_oirl.sources.release_prompts import TRAINING_PROMPTS
from prompt_oirl.sources.restricted_npy import read_object

__all__ = ["LLM", "LLMS", "Cell", "Selection", "SelectionArrays", "Subset", "find_cell", "read_selection_arrays"]

LLM = Literal["gpt-3.5-turbo", "llama-2-7b-chat", "tigerbot-13b-chat"]
LLMS: tuple[LLM, ...] = get_args(LLM)

Subset = tuple[int, ...]
"""Indices, ascending, of the training prompts that a reward model was trained on."""

SUBSETS: tuple[Subset, ...] = tuple(
    subset for size in range(1, len(TRAINING_PROMPTS) + 1) for subset in combinations(TRAINING_PROMPTS, size)
)

_KEY = re.compile(r"(?P<name>\w+)_xgboost_(?P<subset>\d+(?:_\d+)*)\.model_10")
_ARRAY_NAMES = {
    "irl0": "baseline_test",
    "all_mixed": "combined_test",
    "held_out_only": "only_combined",
    "irl10": "smart_combined",
    "irl100": "active_combined",
}


class Cell(NamedTuple):
    """Where the release keeps the test results of one LLM on one data set."""

    name: str
    """The release's name of the data set in the file's name and keys."""

    suffix: str
    """The release's mark of the LLM in the file's name."""

    first_row: int
    """Row of the question set that the first test question is."""

    n_test: int
    """Number of test questions."""

    @property
    def file_name(self) -> str:
        """Name of the file under `active_results/`."""
        return f"ALL_{self.name}_10{self.suffix}.npy"


_CELLS: Mapping[tuple[LLM, Dataset], Cell] = {
    ("gpt-3.5-turbo", "gsm8k"): Cell("gsm8k", "", 7473, 1000),
    ("gpt-3.5-turbo", "mawps"): Cell("svamp", "", 6000, 1685),
    ("gpt-3.5-turbo", "svamp"): Cell("aug_svamp", "", 15000, 4690),
    ("llama-2-7b-chat", "gsm8k"): Cell("gsm8k", "_llama", 7473, 1000),
    ("llama-2-7b-chat", "mawps"): Cell("mawps", "_llama", 6000, 1685),
    ("llama-2-7b-chat", "svamp"): Cell("svamp", "_llama", 15000, 4690),
    ("tigerbot-13b-chat", "gsm8k"): Cell("gsm8k", "_tiger", 7473, 1000),
    ("tigerbot-13b-chat", "mawps"): Cell("mawps", "_tiger", 6000, 1685),
    ("tigerbot-13b-chat", "svamp"): Cell("svamp", "_tiger", 6000, 2000),
}


def find_cell(llm: LLM, dataset: Dataset) -> Cell:
    """Return where the release keeps the test results of an LLM on a data set.

    Raises:
        ParameterError: The release has no such LLM or data set.
    """
    try:
        return _CELLS[llm, dataset]
    except KeyError:
        raise ParameterError(
            f"the release has no {llm!r} on {dataset!r}; it has {', '.join(LLMS)} on gsm8k, mawps and svamp"
        ) from None


@dataclass(frozen=True, eq=False)
class Selection:
    """Whether the prompt that each rule chose was answered correctly: (n_test,) booleans."""

    prompts: Subset
    """The training prompts that were available."""

    irl0: BoolArray
    """IRL 0: the best-scored of the available training prompts."""

    all_mixed: BoolArray
    """All mixed: the best-scored of the available training prompts and the ten held-out ones."""

    held_out_only: BoolArray
    """The best-scored of the ten held-out prompts."""

    irl10: BoolArray
    """IRL 10: IRL 0, but the best-scored of the held-out prompts where the best score is under 0.5."""

    irl100: BoolArray
    """IRL 100: the same with a hundred candidates."""


@dataclass(frozen=True, eq=False)
class SelectionArrays:
    """The published selection results of one LLM on one data set."""

    llm: LLM
    dataset: Dataset

    selections: Mapping[Subset, Selection]
    """One entry for each of the 63 non-empty subsets of the training prompts, smaller subsets first."""

    @property
    def n_test(self) -> int:
        """Number of test questions."""
        return len(self.selections[0,].irl0)

    @cached_property
    def test_labels(self) -> BoolArray:
        """(n_test, 6) whether each training prompt was answered correctly.

        With one prompt to choose from, IRL 0 is that prompt: the release's labels, for LLMs whose logs it lacks.
        """
        return np.stack([self.selections[prompt,].irl0 for prompt in TRAINING_PROMPTS], axis=1)

    @property
    def failed_prompts(self) -> tuple[int, ...]:
        """Training prompts without a single correct answer: failed logs that the release stored as wrong answers.

        TigerBot on MAWPS has four, prompts 2 to 5 with 0 of 1685, while the same prompts reach .47 to .63 on SVAMP.
        """
        return tuple(int(prompt) for prompt in np.flatnonzero(~self.test_labels.any(axis=0)))


def read_selection_arrays(release: Path | str, llm: LLM, dataset: Dataset) -> SelectionArrays:
    """Read the published selection results of one LLM on one data set.

    Args:
        release: The root of the release.
        llm: Which LLM.
        dataset: Which data set.

    Raises:
        DataNotFoundError: The file is missing.
        FileFormatError: It holds anything but arrays, or not the 63 subsets with their five arrays of booleans.
        ParameterError: The release has no such LLM or data set.
    """
    cell = find_cell(llm, dataset)
    path = Path(release) / "active_results" / cell.file_name
    entries = read_object(path)
    if not isinstance(entries, dict):
        raise FileFormatError(path, f"a dictionary of subsets is expected, got {type(entries).__name__}")
    by_subset = {_parse_key(path, key, cell.name): entry for key, entry in entries.items()}
    if len(by_subset) != len(entries) or set(by_subset) != set(SUBSETS):
        raise FileFormatError(
            path, f"{len(entries)} entries for {len(by_subset)} subsets, not the {len(SUBSETS)} expected"
        )
    return SelectionArrays(
        llm, dataset, {subset: _make_selection(path, subset, by_subset[subset], cell.n_test) for subset in SUBSETS}
    )


def _parse_key(path: Path, key: object, name: str) -> Subset:
    match = _KEY.fullmatch(key) if isinstance(key, str) else None
    if match is None or match["name"] != name:
        raise FileFormatError(path, f"the key {key!r} is not of the form '{name}_xgboost_0_2.model_10'")
    return tuple(int(prompt) for prompt in match["subset"].split("_"))


def _make_selection(path: Path, subset: Subset, entry: object, n_test: int) -> Selection:
    arrays = {}
    for field in fields(Selection)[1:]:
        name = _ARRAY_NAMES[field.name]
        array = entry.get(name) if isinstance(entry, dict) else None
        if not isinstance(array, np.ndarray) or array.dtype != np.bool_ or array.shape != (n_test,):
            found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else repr(array)[:60]
            raise FileFormatError(path, f"subset {subset}: {name} must be {n_test} booleans, got {found}")
        arrays[field.name] = array
    return Selection(subset, **arrays)
