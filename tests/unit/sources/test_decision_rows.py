from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from prompt_oirl.errors import DataNotFoundError, FileFormatError
from prompt_oirl.grading import get_grader
from prompt_oirl.records import Prompt
from prompt_oirl.sources.decision_rows import read_logged_decisions

ROWS = [
    {"query": "How many?", "prompt_id": "steps", "prompt": "Think.", "correct": 1, "propensity": 0.9},
    {"query": "How far?", "prompt_id": "short", "prompt": "Answer.", "correct": None, "propensity": 0.1},
    {"query": "How many?", "prompt_id": "short", "prompt": "Answer.", "correct": 0, "propensity": 0.1},
]
BOTH = '{"steps": 0.9, "short": 0.1}'


def write(path: Path, rows) -> Path:
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def changed(row: int, **columns):
    return [each | columns if place == row else each for place, each in enumerate(ROWS)]


def everywhere(**columns):
    return [each | columns for each in ROWS]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_every_row_is_a_decision(tmp_path, suffix) -> None:
    found = read_logged_decisions(write(tmp_path / f"decisions.{suffix}", ROWS))
    assert [query.text for query in found.queries] == ["How many?", "How far?"]
    assert found.prompt_ids == ("steps", "short")
    assert (found.rows.tolist(), found.chosen.tolist()) == ([0, 1, 0], [0, 1, 1])
    assert np.array_equal(found.rewards, [1, np.nan, 0], equal_nan=True)
    assert found.propensities.tolist() == [0.9, 0.1, 0.1]
    assert (found.propensity_of, found.action_probabilities) == ("choice", None)


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_rewards_are_any_number_from_0_to_1(tmp_path, suffix) -> None:
    rows = [{"query": f"q{i}", "prompt": "Think.", "reward": value} for i, value in enumerate([0.25, 1.0, None, 0.0])]
    found = read_logged_decisions(write(tmp_path / f"decisions.{suffix}", rows))
    assert np.array_equal(found.rewards, [0.25, 1, np.nan, 0], equal_nan=True)
    assert found.propensities is None


def test_words_are_rewards_too(tmp_path) -> None:
    rows = [row | {"correct": word} for row, word in zip(ROWS, ["true", "", "False"], strict=True)]
    found = read_logged_decisions(write(tmp_path / "decisions.csv", rows))
    assert np.array_equal(found.rewards, [1, np.nan, 0], equal_nan=True)


def test_answers_are_graded(tmp_path) -> None:
    rows = [
        {"query": "1 + 1?", "prompt": "Think.", "answer": "2", "gold": "2", "propensity": 1},
        {"query": "1 + 2?", "prompt": "Think.", "answer": "2", "gold": "3", "propensity": 1},
        {"query": "1 + 3?", "prompt": "Think.", "answer": "", "gold": "4", "propensity": 1},
    ]
    found = read_logged_decisions(write(tmp_path / "decisions.jsonl", rows), grader=get_grader("numeric"))
    assert np.array_equal(found.rewards, [1, 0, np.nan], equal_nan=True)


def test_probabilities_of_all_candidates(tmp_path) -> None:
    more = [*everywhere(action_probabilities=BOTH), {"query": "x", "prompt_id": "steps", "prompt": "Think.",
            "correct": 1, "propensity": 1.0, "action_probabilities": '{"steps": 1}'}]  # fmt: skip
    found = read_logged_decisions(write(tmp_path / "decisions.jsonl", more))
    assert found.action_probabilities.tolist() == [[0.9, 0.1]] * 3 + [[1, 0]]
    without = [{name: value for name, value in row.items() if name != "propensity"} for row in more]
    alone = read_logged_decisions(write(tmp_path / "alone.jsonl", without))
    assert alone.propensities.tolist() == [0.9, 0.1, 0.1, 1.0]


def test_probabilities_may_be_objects_in_jsonl(tmp_path) -> None:
    found = read_logged_decisions(write(tmp_path / "d.jsonl", everywhere(action_probabilities=json.loads(BOTH))))
    assert found.action_probabilities.tolist() == [[0.9, 0.1]] * 3
    mixed = [ROWS[0] | {"action_probabilities": BOTH}, *everywhere(action_probabilities=json.loads(BOTH))[1:]]
    found = read_logged_decisions(write(tmp_path / "mixed.jsonl", mixed))
    assert found.action_probabilities.tolist() == [[0.9, 0.1]] * 3


def test_probabilities_may_be_structs_or_maps_in_parquet(tmp_path) -> None:
    """In a struct every row has every key: null where the row has no such candidate."""
    some = [ROWS[0] | {"propensity": 1.0, "action_probabilities": {"steps": 1.0}}]
    some += everywhere(action_probabilities=json.loads(BOTH))[1:]
    found = read_logged_decisions(write(tmp_path / "struct.parquet", some))
    assert found.action_probabilities.tolist() == [[1, 0], [0.9, 0.1], [0.9, 0.1]]
    table = pa.Table.from_pylist([{**row, "action_probabilities": None} for row in some])
    maps = pa.array([list(row["action_probabilities"].items()) for row in some], pa.map_(pa.string(), pa.float64()))
    place = table.schema.names.index("action_probabilities")
    pyarrow.parquet.write_table(table.set_column(place, "action_probabilities", maps), tmp_path / "map.parquet")
    found = read_logged_decisions(tmp_path / "map.parquet")
    assert found.action_probabilities.tolist() == [[1, 0], [0.9, 0.1], [0.9, 0.1]]


def test_a_prompt_that_was_no_candidate_need_not_be_known(tmp_path) -> None:
    found = read_logged_decisions(
        write(tmp_path / "d.jsonl", everywhere(action_probabilities='{"steps": 0.9, "short": 0.1, "other": 0}'))
    )
    assert found.prompt_ids == ("steps", "short")
    assert found.action_probabilities.tolist() == [[0.9, 0.1]] * 3


def test_a_list_of_probabilities_is_refused(tmp_path) -> None:
    with pytest.raises(FileFormatError, match="action_probabilities"):
        read_logged_decisions(write(tmp_path / "list.parquet", everywhere(action_probabilities=[0.9, 0.1])))


def test_an_object_elsewhere_is_refused(tmp_path) -> None:
    with pytest.raises(FileFormatError, match=r"row 1: .*'propensity' holds .* where a text or a number"):
        read_logged_decisions(write(tmp_path / "d.jsonl", everywhere(propensity={"steps": 0.9})))


def test_a_prompt_set_has_prompts_that_were_never_chosen(tmp_path) -> None:
    prompts = [Prompt.from_text(text, id=id) for id, text in (("a", "X."), ("steps", "Think."), ("short", "Answer."))]
    rows = everywhere(action_probabilities='{"steps": 0.8, "short": 0.1, "a": 0.1}')
    rows[0]["propensity"] = 0.8
    found = read_logged_decisions(write(tmp_path / "decisions.jsonl", rows), prompts=prompts)
    assert found.prompt_ids == ("a", "steps", "short")
    assert found.action_probabilities[0].tolist() == [0.1, 0.8, 0.1]


def test_the_export_of_a_run_has_the_propensities_of_cells(tmp_path) -> None:
    rows = everywhere(attempts=1, sample=0, latency=0.1, finish_reason="stop", answer="2", gold="2")
    path = write(tmp_path / "trials.parquet", rows)
    assert read_logged_decisions(path).propensity_of == "cell"
    assert read_logged_decisions(path, propensity_of="choice").propensity_of == "choice"
    assert read_logged_decisions(write(tmp_path / "d.jsonl", ROWS), propensity_of="cell").propensity_of == "cell"


@pytest.mark.parametrize("named", [None, "choice", "cell"])
def test_cells_and_decisions_are_not_mixed(tmp_path, named) -> None:
    rows = [ROWS[0] | {"attempts": 1}, *ROWS[1:]]
    with pytest.raises(FileFormatError, match=r"row 2: .*cannot be weighted together") as refused:
        read_logged_decisions(write(tmp_path / "both.jsonl", rows), propensity_of=named)
    assert refused.value.row == 2


@pytest.mark.parametrize(
    ("rows", "row", "message"),
    [
        (changed(1, propensity=0), 2, "'propensity' is '0'; above 0 and at most 1"),
        (changed(1, propensity=1.5), 2, r"'propensity' is '1\.5'"),
        (changed(1, propensity=-0.1), 2, "'propensity' is"),
        (changed(1, propensity=None), 2, "'propensity' is empty"),
        (changed(2, correct=1.5), 3, r"'correct' is '1\.5'; a number from 0 to 1"),
        (changed(2, correct=-1), 3, "'correct' is '-1'"),
        (changed(1, query=" "), 2, "'query' is empty"),
        (changed(1, query="How many?", correct=0, action_probabilities=BOTH), 1, "'action_probabilities' is empty"),
        (everywhere(action_probabilities='{"steps": 0.9, "short": 0.2}'), 1, "they sum to 1.1"),
        (everywhere(action_probabilities='{"steps": 1.9, "short": -0.9}'), 1, "no probability"),
        (everywhere(action_probabilities='{"steps": true, "short": 0}'), 1, "no probability"),
        (everywhere(action_probabilities='{"steps": 0.9, "other": 0.1}'), 1, "'other' is in no row.*--prompts"),
        (everywhere(action_probabilities={"steps": 0.9, "short": 0.2}), 1, "they sum to 1.1"),
        (changed(1, correct="x" * 9999), 2, r"'correct' is 'x{50,80}; a number"),
        (everywhere(action_probabilities="0.9, 0.1"), 1, "a JSON object"),
        (everywhere(action_probabilities="[0.9, 0.1]"), 1, "a JSON object"),
        (everywhere(action_probabilities='{"steps": 0.8, "short": 0.2}'), 1, "give the row's prompt 'steps' 0.8"),
    ],
)
def test_what_is_wrong_is_an_error_that_names_the_row(tmp_path, rows, row, message) -> None:
    with pytest.raises(FileFormatError, match=message) as refused:
        read_logged_decisions(write(tmp_path / "decisions.jsonl", rows))
    assert refused.value.row == row


def test_a_candidate_of_no_probability_cannot_have_been_chosen(tmp_path) -> None:
    rows = [{name: value for name, value in row.items() if name != "propensity"} for row in ROWS]
    rows = [row | {"action_probabilities": '{"steps": 1, "short": 0}'} for row in rows]
    with pytest.raises(FileFormatError, match=r"row 2: .*'short' 0.*more than 0"):
        read_logged_decisions(write(tmp_path / "decisions.jsonl", rows))


def test_words_are_no_propensities(tmp_path) -> None:
    with pytest.raises(FileFormatError, match=r"row 3: 'propensity' is 'true'"):
        read_logged_decisions(write(tmp_path / "d.csv", changed(1, propensity="true")))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (everywhere(trials=1, successes=1), "are counts"),
        (everywhere(reward=1), "say the same thing twice"),
        ([{"query": "x", "prompt": "Think.", "propensity": 1.0}], "a column 'correct'"),
        (everywhere(corect=1), "'corect' is not known.*did you mean"),
        (everywhere(attempts=1, action_probabilities=BOTH), "cells of a run have none"),
    ],
)
def test_columns_that_do_not_fit_are_errors(tmp_path, rows, message) -> None:
    with pytest.raises(FileFormatError, match=message):
        read_logged_decisions(write(tmp_path / "decisions.jsonl", rows))


def test_other_columns_may_be_passed_over(tmp_path) -> None:
    path = write(tmp_path / "decisions.jsonl", everywhere(user="me"))
    assert read_logged_decisions(path, extra_columns="ignore").n_decisions == 3
    with pytest.raises(DataNotFoundError):
        read_logged_decisions(tmp_path / "nowhere.jsonl")
