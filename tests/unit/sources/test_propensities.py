"""Trials bought with unequal probabilities are warned of, wherever they are read."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest

from prompt_oirl.errors import FileFormatError, UnequalPropensityWarning
from prompt_oirl.sources.tabular import read_demonstrations


def write(path: Path, propensities: list[object]) -> Path:
    rows = [
        {"query": f"Question {number}?", "prompt": "Think.", "correct": 1, "propensity": propensity}
        for number, propensity in enumerate(propensities)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_unequal_propensities_are_warned_of(tmp_path: Path) -> None:
    logs = write(tmp_path / "logs.jsonl", [0.25, 1.0, 0.25])
    with pytest.warns(UnequalPropensityWarning, match=r"logs\.jsonl: .* from 0\.25 to 1, .* biased"):
        demonstrations = read_demonstrations(logs)
    assert demonstrations.n_queries == 3


def test_equal_propensities_are_not(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_demonstrations(write(tmp_path / "logs.jsonl", [0.3, 0.3])).n_queries == 2


@pytest.mark.parametrize("wrong", [0, -0.5, 1.5, "often"])
def test_what_is_no_probability_is_refused(tmp_path: Path, wrong: object) -> None:
    with pytest.raises(FileFormatError, match=r"row 2: 'propensity' is .* probability"):
        read_demonstrations(write(tmp_path / "logs.jsonl", [0.3, wrong]))
