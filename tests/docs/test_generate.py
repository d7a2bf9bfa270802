"""The generated parts: fresh, made of result rows, and said to be missing where there are none."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from prompt_oirl.reproduction.methods import METHODS, SLOW_METHODS
from prompt_oirl.reproduction.published import headline_rows
from prompt_oirl.reproduction.rows import ResultRow, write_rows

LLAMA = "llama-2-7b-chat"
DOCUMENT = "# Title\n\n<!-- generated: headline_leak_free -->\nold\n<!-- end -->\n\nThe end.\n"


def generate(repository: Path, *arguments: str, checkout: Path) -> subprocess.CompletedProcess[str]:
    script = repository / "docs" / "generate.py"
    command = [sys.executable, str(script), "--repository", str(checkout), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def tables(repository: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(repository / "docs"))
    import result_tables

    module: ModuleType = result_tables
    return module


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with one document and no results."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text(DOCUMENT, encoding="utf-8")
    return tmp_path


def leak_free_row(method: str, gain: float, half: float, *, seeds: str = "0,1,2,3,4", **place: object) -> ResultRow:
    fields = {"llm": LLAMA, "dataset": "mawps", "protocol": "by_template", "k": 6, "prompts": "0,1,2,3,4,5"} | place
    return ResultRow(
        table="leak_free", method=method, value=0.6 + gain, gain=gain, low=gain - half, high=gain + half, seeds=seeds,
        n_queries=1744, n_trials=7685, n_groups=1499, **fields,  # type: ignore[arg-type]
    )  # fmt: skip


ROWS = [
    leak_free_row("best_single", 0.0, 0.0),
    leak_free_row("published_recipe", -0.0171, 0.01, seeds="0"),
    leak_free_row("advantage", 0.004, 0.006),
    leak_free_row("recommender", 0.0123, 0.0081),
    leak_free_row("recommender", -0.02, 0.01, k=2, prompts="0,1", seeds="0"),
]


def test_the_documents_are_fresh(repository: Path) -> None:
    checked = generate(repository, "--check", checkout=repository)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_stale_document_is_named_and_left_alone(repository: Path, checkout: Path) -> None:
    checked = generate(repository, "--check", checkout=checkout)
    assert checked.returncode == 1
    assert "README.md is stale" in checked.stdout
    assert "docs/cli.md is stale" in checked.stdout
    assert (checkout / "README.md").read_text(encoding="utf-8") == DOCUMENT


def test_writing_makes_the_documents_fresh(repository: Path, checkout: Path) -> None:
    assert generate(repository, checkout=checkout).returncode == 0
    assert "not computed yet" in (checkout / "README.md").read_text(encoding="utf-8")
    assert generate(repository, "--check", checkout=checkout).returncode == 0


def test_committed_rows_become_a_table(repository: Path, checkout: Path) -> None:
    write_rows(ROWS, checkout / "reproduction" / "results" / "results.jsonl")
    generate(repository, checkout=checkout)
    text = (checkout / "README.md").read_text(encoding="utf-8")
    assert text.startswith("# Title\n")
    assert text.endswith("The end.\n")
    row = "| MAWPS, by template | 1,744 | 1,499 | 60.0 % | **-1.7 ± 1.0** |  | +0.4 ± 0.6 | **+1.2 ± 0.8** |"
    assert row in text
    assert "Fold seeds averaged: 5 (published recipe 1)." in text


@pytest.mark.parametrize("body", ["<!-- generated: no_such_table -->\n<!-- end -->\n", "<!-- generated: leakage -->\n"])
def test_a_block_that_cannot_be_made_is_an_error(repository: Path, checkout: Path, body: str) -> None:
    (checkout / "README.md").write_text(body, encoding="utf-8")
    failed = generate(repository, checkout=checkout)
    assert failed.returncode == 1
    assert "README.md" in failed.stderr
    assert (checkout / "README.md").read_text(encoding="utf-8") == body


def results(tables: ModuleType, rows: list[ResultRow], **others: object) -> object:
    return tables.Results(rows=rows, manifest=others.get("manifest", {}), figures=Path("none"), benchmarks={})


def test_without_results_every_block_is_empty(tables: ModuleType) -> None:
    for name, block in tables.BLOCKS.items():
        assert block(results(tables, []), Path()) == "", name


def test_subsets_with_significant_gains_and_losses_are_counted(tables: ModuleType) -> None:
    made = tables.significant_subsets(results(tables, ROWS), Path())
    assert "| LLaMA-2-7B-chat, MAWPS by template | 2 | 1 | 1 | -0.4 | -2.0 |" in made


def test_every_leak_free_method_has_a_line(tables: ModuleType) -> None:
    made = tables.leak_free(results(tables, ROWS), Path())
    assert "| queries / groups / prompts | 1,744 / 1,499 / 6 |" in made
    assert "| kernel advantage | +0.4 ± 0.6 |" in made
    assert "nearest neighbours" not in made  # nothing was computed of it


def test_no_method_is_left_out_of_the_tables(tables: ModuleType) -> None:
    shared = {"advantage", "logistic", "recommender", "random", "oracle"}
    assert set(tables.METHODS) == {*METHODS, *SLOW_METHODS, *shared}


def test_the_headline_is_relative(tables: ModuleType) -> None:
    cells = [
        ResultRow(table="published", llm=LLAMA, dataset="gsm8k", protocol="published", method=method, k=k, value=value,
                  n_queries=1000, n_trials=1000)
        for k in (1, 6) for method, value in (("botr", 0.4), ("irl10", 0.5))
    ]  # fmt: skip
    made = tables.headline_published(results(tables, headline_rows(cells)), Path())
    assert "| GSM8K alone | 40.0 % | 50.0 % | +25.00 % | 40.0 % | 50.0 % | +25.00 % |" in made


def test_costs_come_from_the_manifest(tables: ModuleType) -> None:
    manifest = {
        "tables": {"leak_free": {"cells": 12, "seconds": 1234.5, "peak_mib": 716.0}},
        "cpu_seconds": 1234.5, "jobs": 2, "versions": {"python": "3.11.7", "xgboost-cpu": None},
    }  # fmt: skip
    made = tables.costs(results(tables, [], manifest=manifest), Path())
    assert "| `leak_free` | 12 | 1,234 | 716 |" in made
    assert made.endswith("Versions: python 3.11.7.")


def test_benchmarks_are_tables_of_their_files(repository: Path, checkout: Path) -> None:
    rows = [
        {"what": "score", "queries_per_second": 12345.6, "ms": {"p50": 0.25, "p99": None}},
        {"what": "load", "rounds": 2000},
        {"what": "score more", "queries_per_second": 9.5, "ms": {"p50": 1, "p99": 2}},
    ]
    content = {"benchmark": "speed", "machine": "x86_64", "cores": 2, "results": rows}
    (checkout / "benchmarks" / "results").mkdir(parents=True)
    (checkout / "benchmarks" / "results" / "speed.json").write_text(json.dumps(content), encoding="utf-8")
    (checkout / "README.md").write_text("<!-- generated: benchmarks -->\n<!-- end -->\n", encoding="utf-8")
    generate(repository, checkout=checkout)
    text = (checkout / "README.md").read_text(encoding="utf-8")
    assert "### speed\n\n| what | queries per second | ms p50 | ms p99 |\n" in text
    assert "\n| score | 12,346 | 0.25 |  |\n| score more | 9.5 | 1 | 2 |\n\n| what | rounds |\n" in text
    assert "\n| load | 2,000 |\n" in text
    assert "\nMeasured on: machine x86_64, cores 2.\n" in text


def test_the_picture_is_linked_from_where_the_document_is(repository: Path, checkout: Path) -> None:
    figures = checkout / "reproduction" / "results" / "figures"
    figures.mkdir(parents=True)
    (figures / "leak_free_gain.png").write_bytes(b"")
    shutil.copy(checkout / "README.md", checkout / "reproduction" / "README.md")
    for folder in (checkout, checkout / "reproduction"):
        (folder / "README.md").write_text("<!-- generated: picture -->\n<!-- end -->\n", encoding="utf-8")
    generate(repository, checkout=checkout)
    assert "](reproduction/results/figures/leak_free_gain.png)" in (checkout / "README.md").read_text(encoding="utf-8")
    text = (checkout / "reproduction" / "README.md").read_text(encoding="utf-8")
    assert "](results/figures/leak_free_gain.png)" in text
