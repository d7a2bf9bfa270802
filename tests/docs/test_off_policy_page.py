"""The code on the page about off-policy evaluation runs as it is written, and its file is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from prompt_oirl.recommender import Recommender
from prompt_oirl.reward.logistic import LogisticModel
from prompt_oirl.selection import Candidate
from prompt_oirl.sources.decision_rows import read_logged_decisions
from prompt_oirl.testing import SyntheticWorld


@pytest.fixture
def blocks(repository: Path, code_of: Callable[[str], list[Any]]) -> dict[str, str]:
    found = code_of((repository / "docs" / "off_policy.md").read_text("utf-8"))
    return {block.language: block.text for block in found if block.language in ("python", "json")}


def test_the_example_of_a_row_is_read(blocks: dict[str, str], empty_folder: Path) -> None:
    row = blocks["json"]
    (empty_folder / "one.jsonl").write_text(
        row.strip() + "\n" + row.strip().replace('"steps", "prompt": "Think step by step."', '"short", "prompt": "X."')
        .replace('"propensity": 0.85', '"propensity": 0.15') + "\n", "utf-8"
    )  # fmt: skip
    found = read_logged_decisions("one.jsonl")
    assert found.action_probabilities is not None
    assert found.action_probabilities.tolist() == [[0.85, 0.15]] * 2


def test_the_code_runs(blocks: dict[str, str], empty_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world, rng = SyntheticWorld(n_queries=240, interaction=3.0), np.random.default_rng(0)
    groups = world.demonstrations.groups()
    training = world.demonstrations.select_queries(np.flatnonzero(groups % 2 == 0))
    Recommender([Candidate("logistic", LogisticModel())], n_folds=3).fit(training).save("recommender")
    held_out = np.flatnonzero(groups % 2 == 1)
    rows = [
        {
            "query": world.queries[row].text,
            "prompt_id": world.prompts[chosen].id,
            "prompt": world.prompts[chosen].template,
            "correct": int(rng.random() < world.success_probabilities[row, chosen]),
            "propensity": 1 / 6,
        }
        for row, chosen in zip(rng.choice(held_out, 900).tolist(), rng.integers(6, size=900).tolist(), strict=True)
    ]
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), "decisions.parquet")
    exec(compile(blocks["python"], "off_policy.md", "exec", dont_inherit=True), {})
    printed = capsys.readouterr().out
    assert "snips" in printed
    assert "Read dr" in printed
