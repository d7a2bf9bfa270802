"""The files and folders that a user names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prompt_oirl.cli.files import check_free, read_logs
from prompt_oirl.errors import ArtifactError, FileFormatError, ParameterError

ROWS = [
    {"query": "Is 7 prime?", "prompt_id": "short", "answer": "7", "gold": "7", "temper": "m"},
    {"query": "What is 2 + 2?", "prompt_id": "short", "answer": "5", "gold": "4", "temper": "m"},
]


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    path = tmp_path / "logs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return path


def test_grader_and_prompts_are_used(logs: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.json"
    prompts.write_text('[{"id": "other", "text": "b"}, {"id": "short", "text": "Be short."}]', encoding="utf-8")
    found = read_logs(logs, prompts=prompts, grader="numeric", ignore_extra_columns=True)
    assert [prompt.text for prompt in found.prompts] == ["b", "Be short."]
    assert found.successes.tolist() == [[0, 1], [0, 0]]


def test_unknown_columns_are_refused_unless_told(logs: Path) -> None:
    with pytest.raises(FileFormatError, match="'temper' is not known"):
        read_logs(logs, grader="numeric")


def test_unknown_graders_are_refused(logs: Path) -> None:
    with pytest.raises(ParameterError, match="numerical"):
        read_logs(logs, grader="numerical", ignore_extra_columns=True)


def test_a_free_folder_may_be_missing_or_empty(tmp_path: Path) -> None:
    check_free(tmp_path, overwrite=False)
    check_free(tmp_path / "missing" / "deeper", overwrite=False)


@pytest.mark.parametrize("taken", ["file", "folder"])
def test_a_taken_folder_is_refused_with_the_option(tmp_path: Path, taken: str) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    target = tmp_path / "file" if taken == "file" else tmp_path
    with pytest.raises(ArtifactError, match="--overwrite"):
        check_free(target, overwrite=False)
    check_free(target, overwrite=True)
