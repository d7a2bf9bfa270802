"""Figures, drawn from rows that a test makes up."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prompt_oirl.errors import MissingDependencyError
from prompt_oirl.reproduction.figures import draw_figures
from prompt_oirl.reproduction.published import headline_rows
from prompt_oirl.reproduction.rows import ResultRow

DATASETS = ("mawps", "svamp", "gsm8k")
LLAMA = "llama-2-7b-chat"


def row(table: str, dataset: str, method: str, **others: Any) -> ResultRow:
    known = {"llm": LLAMA, "protocol": "paper", "n_queries": 100, "value": 0.5}
    return ResultRow(**{"table": table, "dataset": dataset, "method": method, **known, **others})


def subsets(size: int) -> list[str]:
    return [",".join(map(str, subset)) for subset in combinations(range(6), size)]


def gains() -> list[ResultRow]:
    return [
        row("leak_free", dataset, method, protocol=protocol, k=6, prompts="0,1,2,3,4,5", seeds="0,1", gain=gain,
            low=gain - 0.01, high=gain + 0.01)
        for dataset in DATASETS for protocol in ("by_template", "by_question")
        for method, gain in (("recommender", 0.01), ("published_recipe", -0.02), ("joint", 0.0))
    ]  # fmt: skip


def by_k() -> list[ResultRow]:
    return [
        row("leak_free", dataset, method, protocol="by_template", k=k, prompts=prompts, value=0.1 * k)
        for dataset in DATASETS for method in ("best_single", "recommender", "oracle")
        for k in range(1, 7) for prompts in subsets(k)
    ]  # fmt: skip


def published() -> list[ResultRow]:
    return [
        row("published", dataset, method, llm=llm, k=k, prompts=prompts, value=0.1 * k, n_trials=10)
        for llm in (LLAMA, "gpt-3.5-turbo") for dataset in DATASETS for method in ("botr", "irl0", "irl10")
        for k in (1, 6) for prompts in [*subsets(k), None]
    ]  # fmt: skip


def reward_model() -> list[ResultRow]:
    return [
        row("reward_model", dataset, method, k=k, prompts=subsets(k)[0], metric=f"{metric}_{part}", value=0.6)
        for dataset in DATASETS for method, ks in (("joint", (1, 6)), ("lmsc", (6,)))
        for k in ks for metric in ("accuracy", "precision", "recall", "f1") for part in ("training", "held_out")
    ]  # fmt: skip


def correlation() -> list[ResultRow]:
    return [
        row("correlation", dataset, "outcomes", prompts=f"{i},{j}", value=1.0 if i == j else 0.3, metric="pearson")
        for dataset in DATASETS for i in range(6) for j in range(6)
    ]  # fmt: skip


FIGURES = {
    "leak_free_gain.png": gains,
    "leak_free_success_rate.png": by_k,
    "published_success_rate.png": published,
    "reward_model_metrics.png": reward_model,
    "outcome_correlation.png": correlation,
}


def colours_of(path: Path) -> int:
    pixels = __import__("matplotlib.image").image.imread(path)
    return len(np.unique((pixels * 255).astype(int).reshape(-1, pixels.shape[-1]), axis=0))


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_drawn_where_its_rows_are(name: str, tmp_path: Path) -> None:
    written = draw_figures(FIGURES[name](), tmp_path)
    assert written == [tmp_path / name]
    assert list(tmp_path.iterdir()) == written
    assert written[0].read_bytes().startswith(b"\x89PNG\r\n")
    assert colours_of(written[0]) > 20


def test_all_of_them_at_once_and_again_the_same(tmp_path: Path) -> None:
    rows = [each for make in FIGURES.values() for each in make()]
    rows += headline_rows(rows)
    first = {path.name: path.read_bytes() for path in draw_figures(rows, tmp_path)}
    assert set(first) == set(FIGURES)
    assert {path.name: path.read_bytes() for path in draw_figures(rows, tmp_path)} == first


def test_nothing_is_drawn_without_rows(tmp_path: Path) -> None:
    assert draw_figures([], tmp_path) == []
    assert draw_figures([row("leakage", "mawps", "by_question")], tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_one_data_set_is_enough(tmp_path: Path) -> None:
    rows = [each for make in FIGURES.values() for each in make() if each.dataset == "svamp"]
    assert len(draw_figures(rows, tmp_path)) == len(FIGURES)


def test_without_matplotlib_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependencyError, match="plots"):
        draw_figures(gains(), tmp_path)
