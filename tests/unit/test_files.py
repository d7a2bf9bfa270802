from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from prompt_oirl.files import atomic_path, sha256_of


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_there_only_when_it_is_finished(tmp_path: Path) -> None:
    target = tmp_path / "logs.jsonl"
    with atomic_path(target) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".jsonl"
        temporary.write_text("half")
        assert not target.exists()
        temporary.write_text("whole")
    assert target.read_text() == "whole"
    assert names_in(tmp_path) == ["logs.jsonl"]


def test_a_former_file_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "logs.jsonl"
    target.write_text("former")
    with atomic_path(str(target)) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "former"
    assert target.read_text() == "new"


def write_half(target: Path, error: type[BaseException]) -> None:
    with atomic_path(target) as temporary:
        temporary.write_text("half")
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_after_an_error_nothing_is_left(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error):
        write_half(tmp_path / "logs.jsonl", error)
    assert names_in(tmp_path) == []


def test_after_an_error_the_former_file_is_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "logs.jsonl"
    target.write_text("former")
    with pytest.raises(ValueError):
        write_half(target, ValueError)
    assert target.read_text() == "former"
    assert names_in(tmp_path) == ["logs.jsonl"]


def test_where_nothing_was_written_the_former_file_stays(tmp_path: Path) -> None:
    target = tmp_path / "logs.jsonl"
    target.write_text("former")
    with pytest.raises(FileNotFoundError), atomic_path(target):
        pass
    assert target.read_text() == "former"


def test_where_the_file_cannot_be_put_in_place_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "by_something").touch()
    with pytest.raises(OSError), atomic_path(tmp_path / "taken") as temporary:
        temporary.write_text("new")
    assert names_in(tmp_path) == ["taken"]


def test_the_folder_is_made(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a" / "b" / "c.txt") as temporary:
        temporary.write_text("text")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "text"


def test_two_writers_have_two_temporary_files(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with atomic_path(target) as first, atomic_path(target) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert target.read_text() == "first"


@pytest.mark.parametrize("content", [b"", b"abc", bytes(range(256)) * 5000])
def test_sha256_is_that_of_the_bytes(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    expected = hashlib.sha256(content).hexdigest()
    assert sha256_of(tmp_path / "file") == sha256_of(str(tmp_path / "file")) == expected
