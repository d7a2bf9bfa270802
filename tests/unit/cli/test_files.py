"""The files and folders that a user names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prompt_oirl.cli.files import LogFiles, check_free, read_logs
from prompt_oirl.errors import ArtifactError, DataNotFoundError, FileFormatError, ParameterError

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


def test_a_folder_that_is_no_run_is_refused_with_the_runs_in_it(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match=r"not that of a run; name the folder of a run that `collect` made or"):
        read_logs(tmp_path)
    for name in ("run", "other", "deep/run"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("run", "deep/run"):
        (tmp_path / name / "run.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataNotFoundError) as refused:
        read_logs(tmp_path)
    assert f"name the run that is in it ({tmp_path / 'run'})" in str(refused.value)


def test_a_recommender_is_refused_with_what_takes_one(tmp_path: Path) -> None:
    for name in ("manifest.json", "state.json"):
        (tmp_path / name).write_text("{}", encoding="utf-8")
    with pytest.raises(DataNotFoundError, match=r"is a saved recommender; .*report LOGS --recommender RECOMMENDER"):
        read_logs(tmp_path)


@pytest.mark.parametrize(
    "found", [{"gain": {}, "regret": {}}, {"simulated": True, "evaluation": {}}, {"verdict": {}}, {"estimates": []}]
)
def test_what_was_found_on_logs_is_refused_with_what_takes_logs(tmp_path: Path, found: dict[str, object]) -> None:
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps(found), encoding="utf-8")
    with pytest.raises(FileFormatError, match=r"an evaluation or a report; .*report LOGS --recommender RECOMMENDER"):
        LogFiles(path).read()


@pytest.mark.parametrize("text", ["[]", '{"prompts": []}', "{", ""])
def test_other_json_is_told_which_suffixes_there_are(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rows.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileFormatError, match=r"'\.json' is not known; use \.jsonl, \.csv, \.parquet"):
        read_logs(path)


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
