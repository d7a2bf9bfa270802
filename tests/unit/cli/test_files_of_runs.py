"""Runs as a user names them: as logs, opened, with a password from the environment only."""

from __future__ import annotations

from pathlib import Path

import pytest

from prompt_oirl.cli.files import open_run, read_answers, read_logs
from prompt_oirl.errors import DataNotFoundError, MissingDependencyError, ParameterError, PromptOIRLError, StoreError
from prompt_oirl.grading import get_grader
from prompt_oirl.records import Prompt, Query, Question
from prompt_oirl.runs.cells import Cell, CellKeys
from prompt_oirl.runs.configuration import RunConfiguration
from prompt_oirl.runs.grading import grade_run
from prompt_oirl.runs.outcomes import Completion
from prompt_oirl.runs.run import Run
from prompt_oirl.runs.store import StoredOutcome

CONFIGURATION = RunConfiguration("m", "http://127.0.0.1:1/v1")
QUESTIONS = (Question(Query("What is 2 + 2?"), "4"), Question(Query("What is 3 + 3?"), "6"))
PROMPT = Prompt.from_text("Think.", id="think")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a run with the answers 4 and 5, not graded."""
    with Run.create_or_open(tmp_path / "run", CONFIGURATION) as run:
        run.store.register(QUESTIONS, [PROMPT])
        for question, answer in zip(QUESTIONS, ("4", "5"), strict=True):
            key = CellKeys(CONFIGURATION).of(PROMPT.messages(question.query))
            run.store.save([StoredOutcome(Cell(key, question.query.id, "think"), Completion(answer, "m"))])
    return tmp_path / "run"


def test_a_run_is_read_as_logs_with_a_grader_or_its_own_grades(folder: Path) -> None:
    assert read_logs(folder, grader="numeric").successes.tolist() == [[1], [0]]
    with pytest.raises(PromptOIRLError, match="grade"):
        read_logs(folder)
    with open_run(folder) as run:
        grade_run(run.store, get_grader("numeric"), "numeric")
    assert read_logs(folder).successes.tolist() == [[1], [0]]


def test_the_answers_of_a_run_are_read_with_their_grades(folder: Path) -> None:
    assert [(row.answer, row.gold, row.reward) for row in read_answers(folder)] == [("4", "4", None), ("5", "6", None)]
    with open_run(folder) as run:
        grade_run(run.store, get_grader("numeric"), "numeric")
    assert [row.reward for row in read_answers(folder)] == [1, 0]


def test_a_run_has_its_own_prompts(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"leave --prompts .* out"):
        read_logs(folder, prompts=tmp_path / "prompts.yaml")


def test_a_run_is_closed_in_the_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[Path] = []
    monkeypatch.setattr(Run, "close", lambda self: closed.append(self.folder))
    with open_run(folder) as run:
        assert run.store.configuration == CONFIGURATION
        assert closed == []
    assert closed == [folder]
    monkeypatch.undo()
    run.close()


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="is no run"), open_run(tmp_path):
        pass


def test_the_environment_may_hold_an_address_that_is_of_another_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMPT_OIRL_STORE", "postgresql://me:sesame@127.0.0.1:1/other")
    with open_run(folder) as run:
        assert run.store.is_local


def test_a_password_in_the_environment_is_shown_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPT_OIRL_STORE", "postgresql://me:sesame@127.0.0.1:1/mine?connect_timeout=1")
    (tmp_path / "run.json").write_text(
        '{"format": 1, "store": "postgresql://me@127.0.0.1:1/mine?connect_timeout=1"}', encoding="utf-8"
    )
    with pytest.raises((StoreError, MissingDependencyError)) as caught, open_run(tmp_path):
        pass
    assert "sesame" not in str(caught.value)
