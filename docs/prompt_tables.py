"""Markdown tables on prompts: which to keep, what is known of unseen ones, and what more logs would buy."""

from __future__ import annotations

from pathlib import Path

from result_tables import DATASETS, LLAMA, LLMS, Block, Results, gain_cell, percent, table

from prompt_oirl.reproduction.rows import ResultRow

__all__ = ["PROMPT_BLOCKS"]

_METRICS = {
    "pairwise_accuracy": ("pairs in order", 100.0, "%"),
    "accuracy_from_knowledge": ("by knowing it", 100.0, "points"),
    "correlation": ("correlation", 1.0, ""),
    "correlation_within_prompts": ("within prompts", 1.0, ""),
    "gain": ("gain of the offer", 100.0, "points"),
}
_IRL10 = {
    "best_single": "best single prompt, success rate",
    "irl0": "training prompts only (IRL 0)",
    "all_mixed": "all prompts (all mixed)",
    "irl10": "held-out ones under a threshold of 0.5 (IRL 10)",
    "admitted_always": "all prompts, with a head start",
    "admitted": "held-out ones on evidence only, with a head start",
    "admitted_less_irl10": "the last less IRL 10",
}


def portfolio(results: Results, _: Path) -> str:
    """For each LLM and data set: how many prompts to keep, and which never win."""
    rows = []
    for llm, llm_name in LLMS.items():
        for dataset, name in DATASETS.items():
            place = {"llm": llm, "dataset": dataset}
            sizes = [row for row in results.of("portfolio", **place, method="advantage") if row.metric is None]
            if not sizes:
                continue
            of_all = max(sizes, key=lambda row: row.k or 0)
            cells = [f"{of_all.n_queries:,} / {of_all.n_groups:,} / {of_all.k}", gain_cell(of_all)]
            cells += [
                _kept(results.one("portfolio", **place, method=method, metric=metric))
                for method in ("advantage", "by_trials")
                for metric in ("smallest_by_value", "smallest_by_gain")
            ]
            unused = [row.prompts or "" for row in results.of("portfolio", **place, method="wins") if not row.value]
            rows.append([f"{llm_name}, {name}", *cells, ", ".join(unused) or "none"])
    columns = ("queries / groups / prompts", "gain of all", "for the value", "for the gain")
    return table(["", *columns, "by trials: value", "by trials: gain", "never chosen"], rows)


def _kept(row: ResultRow | None) -> str:
    if row is None:
        return "no repeats"
    if row.value is None or row.low is None or row.high is None:
        return "no gain"
    few = "*" if (row.n_groups or 0) < 30 else ""
    return f"{row.value:.0f} ({row.low:.0f}-{row.high:.0f}){few}"


def portfolio_sizes(results: Results, _: Path) -> str:
    """LLaMA-2: the gain with each number of prompts, chosen by the model and by trials."""
    rows = []
    for dataset, name in DATASETS.items():
        for method, words in (("advantage", "kernel advantage"), ("by_trials", "the query's other trials")):
            found = [
                row for row in results.of("portfolio", llm=LLAMA, dataset=dataset, method=method) if row.metric is None
            ]
            by_size = {row.k: row for row in found}
            rows.append([f"{name}, by {words}", *(gain_cell(by_size.get(size)) for size in range(1, 7))])
    columns = [f"{size} prompt{'s' if size > 1 else ''}" for size in range(1, 7)]
    return table(["LLaMA-2, gain over the best single prompt", *columns], rows)


def one_more(results: Results, _: Path) -> str:
    """What one more prompt would have to do for one point."""
    rows = []
    for llm, llm_name in LLMS.items():
        for dataset, name in DATASETS.items():
            place = {"llm": llm, "dataset": dataset, "method": "one_more"}
            failures = results.one("portfolio", **place, metric="failures")
            caught = results.one("portfolio", **place, metric="caught")
            needed = [
                results.one("portfolio", **place, metric=metric) for metric in ("success_if_known", "success_as_caught")
            ]
            cells = [_interval(failures, 100, "%"), _interval(caught, 100, "%")]
            cells += ["" if row is None else percent(row.value) or "none is enough" for row in needed]
            rows.append([f"{llm_name}, {name}", *cells])
    columns = (
        "present choice fails",
        "of successes there caught",
        "needed if known where",
        "needed as caught",
    )
    return table(["to add one point", *columns], rows)


def unseen_prompts(results: Results, _: Path) -> str:
    """What the joint model knows of prompts that it was not trained on."""
    rows = []
    for dataset, name in DATASETS.items():
        for method, words in (("prompts_left_out", "queries seen"), ("both_left_out", "queries left out too")):
            place = {"dataset": dataset, "method": method, "prompts": None}
            for suffix, over in (("", "over query groups"), ("_over_prompts", "over prompts")):
                found = [
                    (results.one("unseen_prompts", **place, metric=f"{metric}{suffix}"), scale, unit)
                    for metric, (_, scale, unit) in _METRICS.items()
                ]
                rows.append([f"{name}, {words}, {over}", *(_interval(*each) for each in found)])
    return table(["LLaMA-2, each training prompt left out", *(words for words, *_ in _METRICS.values())], rows)


def unseen_irl10(results: Results, _: Path) -> str:
    """What ways of dealing with ten held-out prompts gain."""
    rows = []
    for method, words in _IRL10.items():
        found = [results.one("unseen_prompts", dataset=each, method=method, metric=None) for each in DATASETS]
        values = [percent(row.value) if row else "" for row in found]
        rows.append([words, *(values if method == "best_single" else map(gain_cell, found))])
    return table(["LLaMA-2, six training prompts and ten held-out ones", *DATASETS.values()], rows)


def data_size(results: Results, _: Path) -> str:
    """Gain with parts of the queries, and what twice as many would buy."""
    rows = []
    for llm, llm_name in LLMS.items():
        for dataset, name in DATASETS.items():
            found = results.of("data_size", llm=llm, dataset=dataset)
            points = [row for row in found if row.method == "advantage" and row.metric == "fraction_of_groups"]
            slope = next((row for row in found if row.metric == "gain_per_doubling"), None)
            twice = next((row for row in found if row.method == "extrapolated"), None)
            if points and slope and twice:
                guess = "flat" if twice.gain is None else f"extrapolated {_points(twice)}"
                cells = [f"{points[-1].n_queries:,}", *map(gain_cell, points), _interval(slope, 100, "points"), guess]
                rows.append([f"{llm_name}, {name}", *cells])
    columns = ("queries", "an eighth", "a quarter", "half", "all", "a doubling added", "twice")
    return table(["kernel advantage, gain with", *columns], rows)


def _points(row: ResultRow) -> str:
    gain, low, high = (100 * (each or 0.0) for each in (row.gain, row.low, row.high))
    return f"{gain:+.1f} [{low:+.1f}, {high:+.1f}]"


def _interval(row: ResultRow | None, scale: float, unit: str) -> str:
    if row is None or row.value is None or row.low is None or row.high is None:
        return ""
    digits = 1 if scale > 1 else 2
    value, low, high = (f"{scale * each:+.{digits}f}" for each in (row.value, row.low, row.high))
    if unit == "%":
        value, low, high = (each.lstrip("+") for each in (value, low, high))
    return f"{value}{' %' if unit == '%' else ''} [{low}, {high}]"


PROMPT_BLOCKS: dict[str, Block] = {
    "data_size": data_size,
    "one_more": one_more,
    "portfolio": portfolio,
    "portfolio_sizes": portfolio_sizes,
    "unseen_irl10": unseen_irl10,
    "unseen_prompts": unseen_prompts,
}
