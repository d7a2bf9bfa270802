"""What the tests of documents share: an empty folder to run examples in, and what is in a document."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.S | re.M)


class Code(NamedTuple):
    """A fenced block of a document."""

    language: str
    text: str


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def code_of() -> Callable[[str], list[Code]]:
    """The fenced blocks of a text."""
    return lambda text: [Code(match["language"], match["code"]) for match in _FENCE.finditer(text)]


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in an empty folder, on one thread: on a busy machine threads would only wait for each other."""
    monkeypatch.chdir(tmp_path)
    with threadpool_limits(limits=1):
        yield tmp_path
