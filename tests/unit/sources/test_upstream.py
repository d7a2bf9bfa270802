from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from prompt_oirl.sources.upstream import ORIGINS, digest_of, upstream_files


def test_the_list_is_sound() -> None:
    files = upstream_files()
    assert len({file.target for file in files}) == len(files) > 400
    for file in files:
        kind, _, digits = file.digest.partition(":")
        assert len(digits) == {"sha256": 64, "blob": 40}[kind]
        assert int(digits, 16) >= 0
        assert not Path(file.path).is_absolute()
        assert ".." not in Path(file.path).parts
        assert (file.n_bytes is None) == (kind == "blob")
    assert {file.origin for file in files} == set(ORIGINS)
    assert all(len(origin.commit) == 40 for origin in ORIGINS.values())


def test_every_licence_comes_along() -> None:
    assert {file.origin for file in upstream_files() if file.path == "LICENSE"} == set(ORIGINS)


def test_paths_of_a_file() -> None:
    file = next(file for file in upstream_files() if file.path == "SVAMP.json")
    assert file.target == "SVAMP/SVAMP.json"
    assert file.url_path == f"arkilpatel/SVAMP/{ORIGINS['SVAMP'].commit}/SVAMP.json"


@pytest.mark.parametrize(
    ("content", "blob"),
    [
        (b"", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"),
        (b"test content\n", "d670460b4b4aece5915caf5c68d12f560a9fe3e4"),
    ],
)
def test_digests(content: bytes, blob: str) -> None:
    assert digest_of(content, "sha256:0") == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert digest_of(content, "blob:0") == f"blob:{blob}"


@pytest.mark.real_logs
def test_the_real_files_have_their_pinned_digests(data_folder: Path) -> None:
    here = [file for file in upstream_files() if (data_folder / file.target).is_file()]
    assert len(here) > 380
    for file in here:
        content = (data_folder / file.target).read_bytes()
        assert (len(content), digest_of(content, file.digest)) == (file.n_bytes, file.digest)
