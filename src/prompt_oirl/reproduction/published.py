"""Table `published`: what the paper reports, recomputed from the selection results in the release.

Nine cells (three LLMs × three data sets), every subset of the six training prompts, and the rules as published. BoTr is
the prompt that is best on the test questions themselves, as the release computes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.evaluation.estimate import Outcomes, estimate
from prompt_oirl.reproduction.cells import Cell, Settings
from prompt_oirl.reproduction.rows import ResultRow
from prompt_oirl.sources.questions import DATASETS
from prompt_oirl.sources.release import Release
from prompt_oirl.sources.selection_arrays import LLMS, SelectionArrays
from prompt_oirl.splits import query_groups

__all__ = ["cells", "headline_rows"]

METHODS = ("botr", "lmsc", "irl0", "all_mixed", "irl10", "irl100")


def cells(_: Settings) -> list[Cell]:
    """Return one cell for each LLM and data set."""
    return [Cell("published", compute, {"llm": llm, "dataset": dataset}) for llm in LLMS for dataset in DATASETS]


def compute(data: Path, parameters: Mapping[str, Any]) -> list[ResultRow]:
    """Compute the rows of one LLM on one data set: each subset, and the mean over the subsets of each size."""
    release = Release(data)
    llm, dataset = parameters["llm"], parameters["dataset"]
    arrays = release.selection_arrays(llm, dataset)
    confidences = release.critics(llm, dataset).confidences
    trials = release.trials(llm, dataset, count_failed_logs_as_wrong=True)
    questions = trials.questions[-arrays.n_test :]
    groups = query_groups([question.query for question in questions])
    n_queries = len({question.query for question in questions})
    note = "prompts 2-5 have 0 of 1685 correct: failed logs" if arrays.failed_prompts else None
    rows: list[ResultRow] = []
    for k in range(1, 7):
        outcomes = [
            (subset, method_outcomes(arrays, confidences, subset)) for subset in arrays.selections if len(subset) == k
        ]
        for method in METHODS:
            common = {"llm": llm, "dataset": dataset, "method": method, "k": k, "n_queries": n_queries, "note": note}
            pairs = [(of[method], of["botr"]) for _, of in outcomes]
            rows += [
                _row(common | {"prompts": ",".join(map(str, subset))}, groups, [pair])
                for (subset, _), pair in zip(outcomes, pairs, strict=True)
            ]
            rows.append(_row(common, groups, pairs))
    return rows


def method_outcomes(arrays: SelectionArrays, confidences: FloatArray, subset: tuple[int, ...]) -> dict[str, FloatArray]:
    """Return, for each rule, (n_test,) whether the prompt that it chose from the subset was answered correctly."""
    labels = arrays.test_labels[:, subset].astype(np.float64)
    selection = arrays.selections[subset]
    most_confident = confidences[:, subset].argmax(axis=1)
    return {
        "botr": labels[:, labels.mean(axis=0).argmax()],
        "lmsc": labels[np.arange(len(labels)), most_confident],
        "irl0": selection.irl0.astype(np.float64),
        "all_mixed": selection.all_mixed.astype(np.float64),
        "irl10": selection.irl10.astype(np.float64),
        "irl100": selection.irl100.astype(np.float64),
    }


def _row(common: Mapping[str, Any], groups: IntArray, pairs: Sequence[tuple[FloatArray, FloatArray]]) -> ResultRow:
    """Average over subsets first, per question: subsets share their questions, so they are no further evidence."""
    value = np.mean([of_method for of_method, _ in pairs], axis=0)
    difference = value - np.mean([of_baseline for _, of_baseline in pairs], axis=0)
    outcomes = Outcomes(values=difference, weights=np.ones(len(groups)), groups=groups, n_trials=len(groups))
    gain = estimate(outcomes, bounds=(-1, 1))
    same = common["method"] == "botr"
    return ResultRow(
        table="published",
        protocol="published",
        value=float(value.mean()),
        gain=None if same else gain.value,
        low=None if same else gain.low,
        high=None if same else gain.high,
        n_trials=len(groups),
        n_groups=gain.n_groups,
        **common,
    )


def headline_rows(rows: Sequence[ResultRow]) -> list[ResultRow]:
    """Return the means over the nine cells, and the relative gain that the paper's abstract reports.

    The headline compares means over the cells at K = 1. It is given with and without TigerBot on MAWPS, where four of
    six prompts are failed logs, and on GSM8K alone, where no test question occurs in training.
    """
    cells = [row for row in rows if row.table == "published" and row.prompts is None]
    scopes = {
        "all nine cells": cells,
        "without TigerBot on MAWPS": [row for row in cells if (row.llm, row.dataset) != ("tigerbot-13b-chat", "mawps")],
        "GSM8K alone": [row for row in cells if row.dataset == "gsm8k"],
    }
    return [
        row
        for scope, of_scope in scopes.items()
        for k in range(1, 7)
        for method in METHODS
        for row in _scope_rows(scope, k, method, [each for each in of_scope if each.k == k])
    ]


def _scope_rows(scope: str, k: int, method: str, cells: Sequence[ResultRow]) -> list[ResultRow]:
    def mean(of: str) -> float:
        return float(np.mean([row.value for row in cells if row.method == of and row.value is not None]))

    n_trials = sum(row.n_trials or 0 for row in cells if row.method == method)
    common: dict[str, Any] = {
        "table": "published", "llm": "all", "dataset": scope, "protocol": "published", "method": method, "k": k,
        "n_queries": sum(row.n_queries for row in cells if row.method == method), "n_trials": n_trials,
    }  # fmt: skip
    if not n_trials:
        return []
    relative = mean(method) / mean("botr") - 1
    return [
        ResultRow(**common, metric="mean_of_cells", value=mean(method), gain=mean(method) - mean("botr")),
        ResultRow(**common, metric="relative_gain", value=relative),
    ]
