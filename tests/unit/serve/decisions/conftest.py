"""Decisions, and a store in a file of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from prompt_oirl.serve.decision import Decision
from prompt_oirl.serve.decisions.store import DecisionStore


@pytest.fixture(scope="session")
def make_decision() -> Callable[..., Decision]:
    """Makes a decision; each field may be given."""

    def make(**fields: Any) -> Decision:
        defaults: dict[str, Any] = {
            "query_id": "0123456789abcdef",
            "query": None,
            "prompt_id": "think",
            "score": 0.5,
            "propensity": 0.9,
            "choice": "recommended",
            "source": "recommend",
            "recommender": "v1",
            "seconds": 0.001,
        }
        return Decision(**(defaults | fields))

    return make


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DecisionStore]:
    """A store in the folder `here`."""
    (tmp_path / "here").mkdir()
    with DecisionStore.open(f"sqlite:///{tmp_path / 'here' / 'decisions.sqlite'}") as opened:
        yield opened
