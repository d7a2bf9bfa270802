from __future__ import annotations

import json
from pathlib import Path

from prompt_oirl.records import Prompt
from prompt_oirl.sources.logged_answers import LoggedAnswer, read_logged_answers
from prompt_oirl.sources.tabular import write_demonstrations
from prompt_oirl.testing import SyntheticWorld


def written(path: Path, *rows: dict[str, object]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def test_rows_are_yielded_as_they_stand(tmp_path: Path) -> None:
    path = written(
        tmp_path / "logs.jsonl",
        {"query": "q", "prompt_id": "a", "answer": "5", "gold": "5", "correct": 1, "other": "x"},
        {"query": "q", "prompt_id": "b", "answer": None, "gold": "5", "correct": None},
        {"query": "r", "prompt_id": "a", "answer": "6", "gold": "5", "correct": 0, "prompt_tokens": 10},
        {"query": "r", "prompt_id": "a", "answer": "6", "correct": 0, "prompt_tokens": 10, "completion_tokens": 5},
    )
    assert list(read_logged_answers(path)) == [
        LoggedAnswer("q", "a", "5", "5", 1, None),
        LoggedAnswer("q", "b", None, "5", None, None),
        LoggedAnswer("r", "a", "6", "5", 0, None),
        LoggedAnswer("r", "a", "6", None, 0, 15.0),
    ]


def test_answers_without_labels_have_none(tmp_path: Path) -> None:
    path = written(tmp_path / "logs.jsonl", {"query": "q", "prompt": "Think.", "answer": "5", "gold": "5"})
    (row,) = read_logged_answers(path, prompts=[Prompt.from_text("Think.", id="think")])
    assert (row.prompt_id, row.reward) == ("think", None)


def test_counts_have_no_answers(tmp_path: Path) -> None:
    write_demonstrations(SyntheticWorld(n_queries=5).demonstrations, tmp_path / "logs.jsonl")
    assert list(read_logged_answers(tmp_path / "logs.jsonl")) == []
