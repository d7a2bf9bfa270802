"""The tables on prompts: made of result rows, and empty where there are none."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from prompt_oirl.reproduction.rows import ResultRow

PLACE = {"llm": "llama-2-7b-chat", "dataset": "mawps", "protocol": "by_template"}


@pytest.fixture
def tables(repository: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(repository / "docs"))
    import prompt_tables

    module: ModuleType = prompt_tables
    return module


@pytest.fixture
def make(tables: ModuleType, repository: Path) -> Any:
    """Makes a block of rows."""
    import result_tables  # type: ignore[import-not-found]

    def make(name: str, rows: list[ResultRow]) -> str:
        found = result_tables.Results(rows, {}, repository, {})
        text: str = tables.PROMPT_BLOCKS[name](found, repository)
        return text

    return make


def row(table: str, method: str, **fields: Any) -> ResultRow:
    return ResultRow(**{"table": table, "method": method, "n_queries": 1744, "n_groups": 1499, **PLACE, **fields})


def test_without_results_there_is_nothing(tables: ModuleType, make: Any) -> None:
    for name in tables.PROMPT_BLOCKS:
        assert make(name, []) == ""


def test_every_block_is_in_the_page(tables: ModuleType, repository: Path) -> None:
    page = (repository / "docs" / "prompts.md").read_text(encoding="utf-8")
    for name in tables.PROMPT_BLOCKS:
        assert f"<!-- generated: {name} -->" in page


def test_which_prompts_to_keep(make: Any) -> None:
    rows = [
        row("portfolio", "advantage", k=1, prompts="0", value=0.64, gain=0.0, low=0.0, high=0.0),
        row("portfolio", "advantage", k=6, prompts="0,1,2,3,4,5", value=0.65, gain=0.013, low=0.006, high=0.02),
        row("portfolio", "advantage", metric="smallest_by_value", value=1.0, low=1.0, high=1.0),
        row("portfolio", "advantage", metric="smallest_by_gain", note="no gain to keep"),
        row("portfolio", "by_trials", metric="smallest_by_value", value=2.0, low=1.0, high=3.0, n_groups=12),
        row("portfolio", "wins", prompts="3", metric="share_of_queries", value=0.0),
        row("portfolio", "wins", prompts="0", metric="share_of_queries", value=1.0),
    ]
    line = make("portfolio", rows).splitlines()[-1]
    assert line.startswith("| LLaMA-2-7B-chat, MAWPS | 1,744 / 1,499 / 6 | **+1.3 ± 0.7** |")
    assert line.endswith("| 1 (1-1) | no gain | 2 (1-3)* | no repeats | 3 |")
    sizes = make("portfolio_sizes", rows).splitlines()[-1]
    assert sizes == "| MAWPS, by kernel advantage | +0.0 ± 0.0 |  |  |  |  | **+1.3 ± 0.7** |"


def test_what_one_more_prompt_needs(make: Any) -> None:
    rows = [
        row("portfolio", "one_more", metric="failures", value=0.343, low=0.321, high=0.365),
        row("portfolio", "one_more", metric="caught", value=-0.01, low=-0.02, high=0.01),
        row("portfolio", "one_more", metric="success_if_known", value=0.029),
        row("portfolio", "one_more", metric="success_as_caught"),
    ]
    line = make("one_more", rows).splitlines()[-1]
    assert line.endswith("| 34.3 % [32.1, 36.5] | -1.0 % [-2.0, 1.0] | 2.9 % | none is enough |")


def test_what_is_known_of_unseen_prompts(make: Any) -> None:
    rows = [
        row("unseen_prompts", "both_left_out", metric="pairwise_accuracy", value=0.676, low=0.669, high=0.683),
        row("unseen_prompts", "both_left_out", metric="correlation_over_prompts", value=0.054, low=-0.6, high=0.71),
        row("unseen_prompts", "both_left_out", metric="pairwise_accuracy", prompts="0", value=0.9),
    ]
    over_queries, over_prompts = make("unseen_prompts", rows).splitlines()[-2:]
    assert over_queries.startswith("| MAWPS, queries left out too, over query groups | 67.6 % [66.9, 68.3] |")
    assert "| +0.05 [-0.60, +0.71] |" in over_prompts


def test_the_ways_of_dealing_with_held_out_prompts(make: Any) -> None:
    rows = [
        row("unseen_prompts", "irl10", value=0.62, gain=-0.018, low=-0.026, high=-0.01),
        row("unseen_prompts", "irl10", metric="share_held_out", value=0.2),
    ]
    assert "| **-1.8 ± 0.8** |" in make("unseen_irl10", rows)


def test_an_extrapolation_is_marked_and_a_flat_curve_says_so(make: Any) -> None:
    points = [
        row("data_size", "advantage", metric="fraction_of_groups", value=f, gain=g, low=g - 0.01, high=g + 0.01)
        for f, g in ((0.125, 0.001), (0.25, 0.01), (0.5, 0.02), (1.0, 0.03))
    ]
    slope = row("data_size", "advantage", metric="gain_per_doubling", value=0.011, low=0.005, high=0.016)
    there = {"metric": "fraction_of_groups", "value": 2.0}
    rising = row("data_size", "extrapolated", **there, gain=0.05, low=0.026, high=0.066)
    assert (
        make("data_size", [*points, slope, rising])
        .splitlines()[-1]
        .endswith("| **+3.0 ± 1.0** | +1.1 [+0.5, +1.6] | extrapolated +5.0 [+2.6, +6.6] |")
    )
    flat = row("data_size", "extrapolated", **there, note="flat within noise")
    assert make("data_size", [*points, slope, flat]).splitlines()[-1].endswith("| flat |")
