from __future__ import annotations

from pathlib import Path

import pytest

from prompt_oirl.errors import DataNotFoundError
from prompt_oirl.sources.data_folder import VARIABLE, data_folder, question_folder, release_folder


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / "cache" / project)
    return tmp_path / "cache" / "prompt-oirl" / "data"


def make(*folders: Path) -> None:
    for folder in folders:
        folder.mkdir(parents=True)


def test_explicit_comes_before_variable_before_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_cache: Path
) -> None:
    make(empty_cache / "prompt-oirl", tmp_path / "a" / "prompt-oirl", tmp_path / "b" / "prompt-oirl")
    assert data_folder() == empty_cache
    monkeypatch.setenv(VARIABLE, str(tmp_path / "a"))
    assert data_folder() == tmp_path / "a"
    assert data_folder(tmp_path / "b") == tmp_path / "b"


def test_a_named_folder_without_the_release_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_cache: Path
) -> None:
    make(empty_cache / "prompt-oirl", tmp_path / "empty")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "empty"))
    with pytest.raises(DataNotFoundError, match="empty"):
        data_folder()


@pytest.mark.parametrize("explicit", [None, "nowhere"])
def test_the_message_names_the_three_ways_out(explicit: str | None) -> None:
    with pytest.raises(DataNotFoundError) as caught:
        data_folder(explicit)
    for way_out in ("--data", VARIABLE, "prompt-oirl download"):
        assert way_out in str(caught.value)


def test_a_clone_beside_the_question_sets_is_a_data_folder(tmp_path: Path) -> None:
    clone = tmp_path / "Prompt-OIRL"
    make(clone / "llama_exps", tmp_path / "SVAMP")
    for folder in (clone, tmp_path):
        assert release_folder(data_folder(folder)) == clone
        assert question_folder(folder, "SVAMP") == tmp_path / "SVAMP"


def test_question_sets_inside_a_clone_come_before_those_beside_it(tmp_path: Path) -> None:
    make(tmp_path / "clone" / "llama_exps", tmp_path / "clone" / "SVAMP", tmp_path / "SVAMP")
    assert question_folder(tmp_path / "clone", "SVAMP") == tmp_path / "clone" / "SVAMP"


def test_beside_a_folder_that_is_no_clone_nothing_is_looked_for(tmp_path: Path) -> None:
    make(tmp_path / "data" / "prompt-oirl", tmp_path / "SVAMP")
    with pytest.raises(DataNotFoundError, match="SVAMP"):
        question_folder(tmp_path / "data", "SVAMP")


def test_release_folder_of_an_empty_folder_raises(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="--data"):
        release_folder(tmp_path)
