"""The figures, drawn from result rows and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from prompt_oirl.files import atomic_path
from prompt_oirl.optional import import_optional
from prompt_oirl.reproduction.rows import ResultRow

__all__ = ["draw_figures"]

Rows = Sequence[ResultRow]

# Colour-blind safe (Okabe and Ito, https://jfly.uni-koeln.de/color/); one method has one colour in every figure.
_COLOURS = {
    "best_single": "#000000",
    "botr": "#000000",
    "recommender": "#0072B2",
    "advantage": "#56B4E9",
    "joint": "#CC79A7",
    "irl0": "#009E73",
    "irl10": "#D55E00",
    "irl100": "#E69F00",
    "published_recipe": "#D55E00",
    "lmsc": "#999999",
    "oracle": "#BBBBBB",
}
_DATASETS = ("mawps", "svamp", "gsm8k")
_DATASET_NAMES = {"mawps": "MAWPS", "svamp": "SVAMP", "gsm8k": "GSM8K"}


def draw_figures(rows: Rows, folder: Path) -> list[Path]:
    """Draw every figure that the rows hold the numbers of, and return the files written.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    drawings: dict[str, Callable[[Rows, Any], bool]] = {
        "leak_free_gain.png": _draw_leak_free_gain,
        "published_success_rate.png": _draw_published,
        "leak_free_success_rate.png": _draw_leak_free_by_k,
        "reward_model_metrics.png": _draw_reward_model,
        "outcome_correlation.png": _draw_correlation,
    }
    written = []
    for name, draw in drawings.items():
        figure = import_optional("matplotlib.figure", extra="plots").Figure(layout="constrained", dpi=140)
        if draw(rows, figure):
            with atomic_path(folder / name) as temporary:
                figure.savefig(temporary, metadata={"Software": None})
            written.append(folder / name)
    return written


def _of(rows: Rows, **wanted: Any) -> list[ResultRow]:
    return [row for row in rows if all(getattr(row, name) == value for name, value in wanted.items())]


def _draw_leak_free_gain(rows: Rows, figure: Any) -> bool:
    """Draw the gain of each method with its interval, all prompts: the figure that the README opens with."""
    shown = {
        "published_recipe": "the published recipe",
        "knn": "nearest neighbours",
        "logistic": "logistic regression",
        "joint": "joint model",
        "advantage": "advantage model",
        "recommender": "this recommender",
    }
    rows = [
        row for row in _of(rows, table="leak_free", llm="llama-2-7b-chat", k=6) if row.seeds and row.gain is not None
    ]
    if not rows:
        return False
    figure.set_size_inches(9, 3.4)
    axes = figure.subplots(1, 3, sharey=True)
    for axis, dataset in zip(axes, _DATASETS, strict=True):
        axis.axvline(0, color="black", linewidth=0.8)
        for offset, (protocol, marker) in enumerate((("by_template", "o"), ("by_question", "s"))):
            for height, method in enumerate(shown):
                for row in _of(rows, dataset=dataset, protocol=protocol, method=method):
                    gain, low, high = (100 * (end or 0.0) for end in (row.gain, row.low, row.high))
                    colour = _COLOURS["recommender"] if method == "recommender" else "#777777"
                    axis.errorbar(
                        gain,
                        height + 0.15 - 0.3 * offset,
                        fmt=marker,
                        color=colour,
                        capsize=2,
                        markersize=4,
                        xerr=[[gain - low], [high - gain]],
                        markerfacecolor="white" if offset else colour,
                    )
        axis.set_title(_DATASET_NAMES[dataset], fontsize=10)
        axis.set_yticks(range(len(shown)), list(shown.values()))
        axis.spines[["top", "right"]].set_visible(False)
    axes[1].set_xlabel("gain over the best single prompt, percentage points, 95 % interval\n"
                       "● near-duplicates kept out of training   □ identical texts kept out", fontsize=9)  # fmt: skip
    return True


def _draw_lines(axis: Any, rows: Rows, method: str, **style: Any) -> None:
    """Draw the mean over subsets against K, with the band from the worst to the best subset."""
    by_k: dict[int, list[float]] = {}
    for row in rows:
        if row.method == method and row.value is not None and row.k is not None and row.prompts is not None:
            by_k.setdefault(row.k, []).append(row.value)
    if not by_k:
        return
    ks = sorted(by_k)
    axis.plot(
        ks, [np.mean(by_k[k]) for k in ks], label=method, color=_COLOURS.get(method), marker="o", markersize=3, **style
    )
    axis.fill_between(
        ks, [min(by_k[k]) for k in ks], [max(by_k[k]) for k in ks], color=_COLOURS.get(method), alpha=0.08, linewidth=0
    )


def _finish(figure: Any, axes: Sequence[Any], y_label: str) -> None:
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    handles: dict[str, Any] = {}
    for axis in axes:
        handles |= dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    n_columns = 3 if len(handles) > 5 else 5
    figure.legend(
        handles.values(), handles.keys(), loc="outside upper center", ncols=n_columns, fontsize=8, frameon=False
    )
    figure.supylabel(y_label, fontsize=9)
    figure.supxlabel("number of training prompts K (line: mean over subsets, band: worst to best)", fontsize=9)


def _draw_published(rows: Rows, figure: Any) -> bool:
    """Draw the release's success rates against K, one panel a cell."""
    rows = [row for row in _of(rows, table="published") if row.prompts is not None]
    if not rows:
        return False
    llms = list(dict.fromkeys(row.llm for row in rows))
    figure.set_size_inches(9, 7.5)
    axes = figure.subplots(len(llms), 3, squeeze=False, sharex=True)
    for line, llm in zip(axes, llms, strict=True):
        for axis, dataset in zip(line, _DATASETS, strict=True):
            for method in ("botr", "lmsc", "irl0", "irl10", "irl100"):
                _draw_lines(axis, _of(rows, llm=llm, dataset=dataset), method)
            axis.set_title(f"{llm}, {_DATASET_NAMES[dataset]}", fontsize=9)
    _finish(figure, axes.ravel(), "success rate as published (MAWPS, SVAMP: test questions are training questions)")
    return True


def _draw_leak_free_by_k(rows: Rows, figure: Any) -> bool:
    """Draw success rates against K without leakage, near-duplicates together."""
    rows = _of(rows, table="leak_free", llm="llama-2-7b-chat", protocol="by_template")
    if not any(row.k and row.k < 6 for row in rows):
        return False
    figure.set_size_inches(9, 3.4)
    axes = figure.subplots(1, 3)
    for axis, dataset in zip(axes, _DATASETS, strict=True):
        for method in ("best_single", "recommender", "oracle"):
            _draw_lines(axis, _of(rows, dataset=dataset), method)
        axis.set_title(f"LLaMA-2, {_DATASET_NAMES[dataset]}", fontsize=9)
    _finish(figure, axes, "success rate, leak-free")
    return True


def _draw_reward_model(rows: Rows, figure: Any) -> bool:
    """Draw accuracy, precision, recall and F1 of the reward model against K, with the LLM's self-critique beside it."""
    rows = _of(rows, table="reward_model", llm="llama-2-7b-chat")
    if not rows:
        return False
    metrics = ("accuracy", "precision", "recall", "f1")
    figure.set_size_inches(10, 6.5)
    axes = figure.subplots(3, 4, sharex=True)
    for line, dataset in zip(axes, _DATASETS, strict=True):
        for axis, metric in zip(line, metrics, strict=True):
            for method in ("joint", "lmsc", "majority_class"):
                for prompts, style in (("training", "-"), ("held_out", ":")):
                    chosen = _of(rows, dataset=dataset, method=method, metric=f"{metric}_{prompts}")
                    ks = sorted({row.k for row in chosen if row.k})
                    means = [np.mean([row.value for row in chosen if row.k == k and row.value is not None]) for k in ks]
                    colour = _COLOURS.get(method, "#000000")
                    axis.plot(ks, means, style, color=colour, label=f"{method}, {prompts} prompts", marker=".")
            axis.set_title(f"{_DATASET_NAMES[dataset]}, {metric}", fontsize=9)
    _finish(figure, axes.ravel(), "reward model as a classifier")
    return True


def _draw_correlation(rows: Rows, figure: Any) -> bool:
    """Draw how the outcomes of the six prompts go together, one matrix a data set."""
    rows = _of(rows, table="correlation", llm="llama-2-7b-chat")
    if not rows:
        return False
    figure.set_size_inches(9, 3.4)
    axes = figure.subplots(1, 3)
    image = None
    for axis, dataset in zip(axes, _DATASETS, strict=True):
        cells = {
            tuple(map(int, row.prompts.split(","))): row.value for row in _of(rows, dataset=dataset) if row.prompts
        }
        size = 1 + max((max(cell) for cell in cells), default=0)
        matrix = np.array([[cells.get((i, j), np.nan) for j in range(size)] for i in range(size)], dtype=np.float64)
        image = axis.imshow(matrix, vmin=0, vmax=1, cmap="viridis")
        for (i, j), value in np.ndenumerate(matrix):
            axis.text(
                j, i, f"{value:.2f}", ha="center", va="center", fontsize=7, color="white" if value < 0.6 else "black"
            )
        axis.set_title(f"LLaMA-2, {_DATASET_NAMES[dataset]}", fontsize=9)
        axis.set_xlabel("prompt")
    figure.colorbar(image, ax=list(axes), shrink=0.8, label="correlation of outcomes")
    return True
