"""Trials bought with unequal probabilities are warned of, wherever they are read."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest

from prompt_oirl.errors import FileFormatError, UnequalPropensityWarning
from prompt_oirl.sources.tabular import read_demonstrations


def write(path: Path, propensities: list[object], **more: object) -> Path:
    rows = [
        {"query": f"Question {number}?", "prompt": "Think.", "correct": 1, "propensity": propensity} | more
        for number, propensity in enumerate(propensities)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_decisions_of_unequal_propensities_are_warned_of_with_the_way_to_weigh_them(tmp_path: Path) -> None:
    logs = write(tmp_path / "logs.jsonl", [0.25, 1.0, 0.25])
    with pytest.warns(UnequalPropensityWarning, match=r"logs\.jsonl: .* from 0\.25 to 1, .* biased") as warned:
        demonstrations = read_demonstrations(logs)
    assert demonstrations.n_queries == 3
    said = str(warned[0].message)
    assert "the rows are decisions, whose prompts were chosen" in said
    assert "prompt-oirl evaluate RECOMMENDER LOGS --off-policy" in said
    assert "bought" not in said


def test_trials_of_a_run_are_said_to_have_been_bought(tmp_path: Path) -> None:
    logs = write(tmp_path / "logs.jsonl", [0.25, 1.0], attempts=1)
    with pytest.warns(UnequalPropensityWarning, match=r"trials were bought with .*strategy random.*--off-policy"):
        read_demonstrations(logs)


@pytest.mark.parametrize("column", ["propensity", "action_probabilities"])
@pytest.mark.parametrize("as_text", [True, False])
def test_the_probabilities_of_candidates_are_known_and_passed_over(tmp_path: Path, column: str, as_text: bool) -> None:
    """Also where they are all that is there: where candidates differ, propensities do."""
    probabilities: object = {"steps": 0.75, "short": 0.25}
    logs = write(
        tmp_path / "logs.jsonl",
        [0.25, 0.75] if column == "propensity" else [None, None],
        action_probabilities=json.dumps(probabilities) if as_text else probabilities,
    )
    with pytest.warns(UnequalPropensityWarning, match=r"are decisions, .* from 0\.25 to 0\.75"):
        assert read_demonstrations(logs).n_queries == 2


def test_equal_probabilities_of_candidates_are_not_warned_of(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_demonstrations(write(tmp_path / "logs.jsonl", [None], action_probabilities={"a": 0.5, "b": 0.5, "c": 0}))


def test_probabilities_of_candidates_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"row 1: 'action_probabilities' is '\[0\.5\]'; a JSON object") as refused:
        read_demonstrations(write(tmp_path / "logs.jsonl", [None], action_probabilities="[0.5]"))
    assert refused.value.row == 1


def test_a_long_value_is_cut_in_the_message(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError) as refused:
        read_demonstrations(write(tmp_path / "logs.jsonl", ["x" * 5000]))
    assert len(str(refused.value)) < 400


def test_equal_propensities_are_not(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_demonstrations(write(tmp_path / "logs.jsonl", [0.3, 0.3])).n_queries == 2


@pytest.mark.parametrize("wrong", [0, -0.5, 1.5, "often"])
def test_what_is_no_probability_is_refused(tmp_path: Path, wrong: object) -> None:
    with pytest.raises(FileFormatError, match=r"row 2: 'propensity' is .* probability"):
        read_demonstrations(write(tmp_path / "logs.jsonl", [0.3, wrong]))
