"""Markdown tables of measured numbers: from result rows, the manifest of their run, and benchmark results."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prompt_oirl.reproduction.rows import ResultRow, read_rows

__all__ = ["BLOCKS", "NOT_COMPUTED", "Results", "read_results"]

NOT_COMPUTED = "*not computed yet*"

LLAMA = "llama-2-7b-chat"
LLMS = {LLAMA: "LLaMA-2-7B-chat", "gpt-3.5-turbo": "GPT-3.5-turbo", "tigerbot-13b-chat": "TigerBot-13B-chat"}
DATASETS = {"mawps": "MAWPS", "svamp": "SVAMP", "gsm8k": "GSM8K"}
PROTOCOLS = {"by_template": "by template", "by_question": "by question"}
METHODS = {
    "best_single": "best single prompt",
    "random": "random prompt",
    "prompt_means": "prompt means",
    "additive": "additive model",
    "lookup": "look-up of training labels",
    "knn": "nearest neighbours",
    "joint": "joint model",
    "published_recipe": "published recipe",
    "logistic": "logistic regression",
    "advantage": "kernel advantage",
    "recommender": "recommender",
    "oracle": "oracle (one sample, inflated)",
}
FIGURES = {
    "leak_free_gain.png": "Gain over the best single prompt with 95 % intervals, for each method, on MAWPS, SVAMP and "
    "GSM8K, with near-duplicates kept out of training and with identical texts kept out",
    "leak_free_success_rate.png": "Success rate against the number of training prompts, leak-free: best single prompt, "
    "recommender and oracle",
    "published_success_rate.png": "Success rates as published against the number of training prompts, for three LLMs "
    "and three data sets",
    "reward_model_metrics.png": "Accuracy, precision, recall and F1 of the joint model, the LLM's self-critique and "
    "the majority class against the number of training prompts",
    "outcome_correlation.png": "Correlation of the outcomes of the six training prompts on the three data sets",
}


@dataclass(frozen=True)
class Results:
    """All that measured numbers are taken from."""

    rows: Sequence[ResultRow]
    manifest: dict[str, Any]
    figures: Path
    benchmarks: dict[str, Any]
    """Content of each file of benchmark results, by its name."""

    def of(self, table: str, **wanted: Any) -> list[ResultRow]:
        """Return the rows of a table whose fields have the wanted values."""
        return [
            row
            for row in self.rows
            if row.table == table and all(getattr(row, name) == value for name, value in wanted.items())
        ]

    def one(self, table: str, **wanted: Any) -> ResultRow | None:
        """Return the first such row, if there is one."""
        return next(iter(self.of(table, **wanted)), None)

    def with_all_prompts(self, llm: str, dataset: str, protocol: str, method: str) -> ResultRow | None:
        """Return the leak-free row of a method that rests on all prompts that have logs."""
        most = max((row.k or 0 for row in self.of("leak_free", llm=llm, dataset=dataset)), default=0)
        return self.one("leak_free", llm=llm, dataset=dataset, protocol=protocol, method=method, k=most)


def read_results(repository: Path) -> Results:
    """Read the committed results; what is not there is empty."""
    folder = repository / "reproduction" / "results"
    rows, manifest = folder / "results.jsonl", folder / "manifest.json"
    benchmarks = sorted((repository / "benchmarks" / "results").glob("*.json"))
    return Results(
        rows=tuple(read_rows(rows)) if rows.is_file() else (),
        manifest=json.loads(manifest.read_text(encoding="utf-8")) if manifest.is_file() else {},
        figures=folder / "figures",
        benchmarks={path.stem: json.loads(path.read_text(encoding="utf-8")) for path in benchmarks},
    )


def percent(value: float | None) -> str:
    """Return a fraction in per cent with one decimal."""
    return "" if value is None else f"{100 * value:.1f} %"


def gain_cell(row: ResultRow | None) -> str:
    """Return a gain in points ± half its interval, bold where the interval excludes 0."""
    if row is None or row.gain is None or row.low is None or row.high is None:
        return "" if row is None else percent(row.value)
    text = f"{round(100 * row.gain, 1) + 0.0:+.1f} ± {50 * (row.high - row.low):.1f}"
    return f"**{text}**" if row.low > 0 or row.high < 0 else text


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table: the first column is text, the others are figures."""
    head = ["| " + " | ".join(columns) + " |", "|---|" + "---:|" * (len(columns) - 1)]
    lines = ["| " + " | ".join(row) + " |" for row in rows if any(cell for cell in row[1:])]
    return "\n".join([*head, *lines]) if lines else ""


def headline_leak_free(results: Results, _: Path) -> str:
    """LLaMA-2, all prompts: the best single prompt, and what each of four methods gains over it."""
    methods = ("published_recipe", "joint", "advantage", "recommender")
    rows = []
    for dataset, name in DATASETS.items():
        for protocol, words in PROTOCOLS.items():
            of = {each: results.with_all_prompts(LLAMA, dataset, protocol, each) for each in ("best_single", *methods)}
            single = of["best_single"]
            if single is not None:
                n = [f"{single.n_queries:,}", f"{single.n_groups or 0:,}"]
                rows.append([f"{name}, {words}", *n, percent(single.value), *(gain_cell(of[each]) for each in methods)])
    columns = ["data set, questions kept apart", "queries", "groups", "best single prompt"]
    made = table([*columns, *(METHODS[each] for each in methods)], rows)
    return made and f"{made}\n\n{_seeds_note(results, methods)}"


def _seeds_note(results: Results, methods: Sequence[str]) -> str:
    counts = {each: _n_seeds(results, each) for each in methods}
    most = max(counts.values())
    fewer = [f"{METHODS[method]} {count}" for method, count in counts.items() if 0 < count < most]
    return (
        "Gains in percentage points of success rate over the best single prompt, ± half the 95 % interval; bold where "
        f"the interval excludes 0. Fold seeds averaged: {most}" + (f" ({', '.join(fewer)})" if fewer else "") + "."
    )


def _n_seeds(results: Results, method: str) -> int:
    row = results.with_all_prompts(LLAMA, "mawps", "by_template", method)
    return len(row.seeds.split(",")) if row is not None and row.seeds else 0


def headline_published(results: Results, _: Path) -> str:
    """The published headline, and what it becomes."""
    rows = []
    for scope in dict.fromkeys(row.dataset for row in results.of("published", llm="all")):
        cells: list[str] = []
        for k in (1, 6):
            place = {"llm": "all", "dataset": scope, "k": k}
            means = [
                results.one("published", **place, method=method, metric="mean_of_cells") for method in ("botr", "irl10")
            ]
            gain = results.one("published", **place, method="irl10", metric="relative_gain")
            cells += [percent(mean.value) if mean else "" for mean in means]
            cells.append(f"{100 * gain.value:+.2f} %" if gain is not None and gain.value is not None else "")
        rows.append([scope, *cells])
    columns = [f"K = {k}: {what}" for k in (1, 6) for what in ("BoTr", "IRL 10", "relative gain")]
    return table(["mean success rate over", *columns], rows)


def leak_free(results: Results, _: Path) -> str:
    """Every method of the leak-free table: one table an LLM."""
    places = [(dataset, protocol) for dataset in DATASETS for protocol in PROTOCOLS]
    parts = []
    for llm, name in LLMS.items():
        of = {
            method: [results.with_all_prompts(llm, *place, method) for place in places]
            for method in METHODS
            if method != "best_single"
        }
        singles = [results.with_all_prompts(llm, *place, "best_single") for place in places]
        sizes = [f"{row.n_queries:,} / {row.n_groups:,} / {row.k}" if row else "" for row in singles]
        rows = [["queries / groups / prompts", *sizes]]
        rows.append(
            [f"{METHODS['best_single']}, success rate", *(percent(row.value) if row else "" for row in singles)]
        )
        rows += [[_method_name(method), *map(gain_cell, found)] for method, found in of.items()]
        columns = [f"{DATASETS[dataset]} {PROTOCOLS[protocol]}" for dataset, protocol in places]
        made = table([name, *columns], rows) if any(singles) else ""
        notes = dict.fromkeys(f"{DATASETS[row.dataset]}: {row.note}." for row in singles if row and row.note)
        parts += [made + "".join(f"\n\n{note}" for note in notes)] if made else []
    return "\n\n".join([*parts, _seeds_note(results, [each for each in METHODS if each != "random"])]) if parts else ""


def _method_name(method: str) -> str:
    return f"{METHODS[method]}, success rate" if method == "random" else METHODS[method]


def significant_subsets(results: Results, _: Path) -> str:
    """For how many subsets of the prompts the recommender gains or loses significantly."""
    rows = []
    for llm, name in LLMS.items():
        for dataset, protocol in ((dataset, protocol) for dataset in DATASETS for protocol in PROTOCOLS):
            found = results.of("leak_free", llm=llm, dataset=dataset, protocol=protocol, method="recommender")
            gains = [row for row in found if row.gain is not None and row.low is not None and row.high is not None]
            if gains:
                counts = (
                    len(gains),
                    sum((row.low or 0) > 0 for row in gains),
                    sum((row.high or 0) < 0 for row in gains),
                )
                mean = sum(row.gain or 0 for row in gains) / len(gains)
                lowest = min(row.gain or 0 for row in gains)
                points = [f"{round(100 * each, 1) + 0.0:+.1f}" for each in (mean, lowest)]
                rows.append([f"{name}, {DATASETS[dataset]} {PROTOCOLS[protocol]}", *map(str, counts), *points])
    columns = ("subsets", "significant gains", "significant losses", "mean gain", "lowest gain")
    return table(["recommender", *columns], rows)


def published(results: Results, _: Path) -> str:
    """The nine published cells for one prompt and for all six."""
    methods = {
        "botr": "BoTr",
        "lmsc": "LMSC",
        "irl0": "IRL 0",
        "all_mixed": "all mixed",
        "irl10": "IRL 10",
        "irl100": "IRL 100",
    }
    rows = []
    for k in (1, 6):
        for llm, name in LLMS.items():
            for dataset in DATASETS:
                place = {"llm": llm, "dataset": dataset, "k": k, "prompts": None}
                found = [results.one("published", **place, method=method) for method in methods]
                cells = [percent(row.value) if row else "" for row in found]
                rows.append([f"K = {k}, {name}, {DATASETS[dataset]}", *cells])
    return table(["success rate, as published", *methods.values()], rows)


def paper_protocol(results: Results, _: Path) -> str:
    """All six prompts under the paper's own split, beside the published rules."""
    place = {"llm": LLAMA, "k": 6}
    methods = {
        "best single prompt": ("paper_protocol", "best_single"),
        "BoTr (chosen on test)": ("published", "botr"),
        "published IRL 0": ("published", "irl0"),
        "published IRL 10": ("published", "irl10"),
        METHODS["lookup"]: ("paper_protocol", "lookup"),
        "joint model, as IRL 0": ("paper_protocol", "joint"),
        "joint model, all mixed": ("paper_protocol", "all_mixed"),
        "joint model, as IRL 10": ("paper_protocol", "irl10"),
        METHODS["logistic"]: ("paper_protocol", "logistic"),
        METHODS["advantage"]: ("paper_protocol", "advantage"),
        METHODS["recommender"]: ("paper_protocol", "recommender"),
        METHODS["oracle"]: ("paper_protocol", "oracle"),
    }
    rows = []
    for name, (table_name, method) in methods.items():
        found = [results.one(table_name, **place, method=method, dataset=dataset) for dataset in DATASETS]
        rows.append([name, *(percent(row.value) if row else "" for row in found)])
    return (
        table(["LLaMA-2, K = 6, the paper's split", *DATASETS.values()], rows) if results.of("paper_protocol") else ""
    )


def reward_model(results: Results, _: Path) -> str:
    """The reward model as a classifier, all six prompts."""
    metrics = {
        "accuracy": "accuracy",
        "precision": "precision",
        "recall": "recall",
        "f1": "F1",
        "auc": "AUC",
        "brier": "Brier",
    }
    methods = {"joint": METHODS["joint"], "lmsc": "the LLM's self-critique", "majority_class": "majority class"}
    rows = []
    for llm, llm_name in LLMS.items():
        for dataset, dataset_name in DATASETS.items():
            for part, words in (("training", "training prompts"), ("held_out", "held-out prompts")):
                for method, name in methods.items():
                    place = {"llm": llm, "dataset": dataset, "method": method, "k": 6}
                    found = [results.one("reward_model", **place, metric=f"{metric}_{part}") for metric in metrics]
                    cells = ["" if row is None or row.value is None else f"{row.value:.3f}" for row in found]
                    rows.append([f"{llm_name}, {dataset_name}, {words}: {name}", *cells])
    return table(["test queries", *metrics.values()], rows)


def leakage(results: Results, _: Path) -> str:
    """How many test rows are training rows."""
    rows = []
    for dataset, name in DATASETS.items():
        found = [results.one("leakage", dataset=dataset, method=protocol) for protocol in PROTOCOLS]
        n = [f"{row.n_trials:,}" if row else "" for row in found[:1]]
        rows.append([name, *n, *(percent(row.value) if row else "" for row in found)])
    return table(["data set", "test rows", "in training by template", "in training by question"], rows)


def label_audit(results: Results, _: Path) -> str:
    """What a correct grader makes of the published labels."""
    names = {
        "equals_published": "our `published` grader gives the published label",
        "wrong_to_right": "wrong as published, right by `numeric`",
        "right_to_wrong": "right as published, wrong by `numeric`",
        "to_unparsed": "no number found by `numeric`",
    }
    found = [(words, results.one("label_audit", method=method)) for method, words in names.items()]
    rows = [
        [words, f"{row.value or 0:,.0f}" if row else "", f"{row.n_trials:,}" if row else ""] for words, row in found
    ]
    return table(["LLaMA-2, recorded GSM8K test answers", "answers", "of"], rows)


def costs(results: Results, _: Path) -> str:
    """What each table cost."""
    manifest = results.manifest
    rows = [
        [f"`{name}`", f"{cost['cells']}", f"{cost['seconds']:,.0f}", f"{cost['peak_mib']:,.0f}"]
        for name, cost in manifest.get("tables", {}).items()
    ]
    made = table(["table", "cells", "CPU seconds", "peak memory of a worker, MiB"], rows)
    if not made:
        return ""
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items() if version)
    totals = f"{manifest['cpu_seconds']:,.0f} CPU seconds in all, {manifest['jobs']} worker processes"
    return f"{made}\n\n{totals}. Versions: {versions}."


def picture(results: Results, folder: Path) -> str:
    """The figure that the README opens with."""
    return _image(results, folder, "leak_free_gain.png")


def figures(results: Results, folder: Path) -> str:
    """All figures."""
    return "\n\n".join(filter(None, (_image(results, folder, name) for name in FIGURES)))


def _image(results: Results, folder: Path, name: str) -> str:
    path = results.figures / name
    return f"![{FIGURES[name]}]({Path(os.path.relpath(path, folder)).as_posix()})" if path.is_file() else ""


def benchmarks(results: Results, _: Path) -> str:
    """Each file of benchmark results, a table for each kind of row, and under them where it was measured."""
    parts = []
    for name, content in results.benchmarks.items():
        kinds: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for row in map(_flat, content["results"]):
            kinds.setdefault(tuple(row), []).append(row)
        tables = [
            table([column.replace("_", " ") for column in columns], [list(map(_cell, row.values())) for row in rows])
            for columns, rows in kinds.items()
        ]
        facts = {key: value for key, value in content.items() if key not in ("benchmark", "results")}
        measured = ", ".join(f"{key} {_cell(value)}" for key, value in facts.items())
        parts.append("\n\n".join([f"### {name}", *tables, f"Measured on: {measured}."]))
    return "\n\n".join(parts)


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with the members of its objects as columns of their own."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        members = {f"{name} {member}": each for member, each in value.items()} if isinstance(value, dict) else {}
        flat |= members or {name: value}
    return flat


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")


Block = Callable[[Results, Path], str]
"""Makes a block of Markdown of the results, for a document in a folder; empty where the numbers are not there."""

BLOCKS: dict[str, Block] = {
    "benchmarks": benchmarks,
    "costs": costs,
    "figures": figures,
    "headline_leak_free": headline_leak_free,
    "headline_published": headline_published,
    "label_audit": label_audit,
    "leak_free": leak_free,
    "leakage": leakage,
    "paper_protocol": paper_protocol,
    "picture": picture,
    "published": published,
    "reward_model": reward_model,
    "significant_subsets": significant_subsets,
}
