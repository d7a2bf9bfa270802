"""A world where choosing per query pays, one where it does not, and a recommender fitted on each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.features.threads import one_blas_thread
from prompt_oirl.recommender import Recommender
from prompt_oirl.testing import SyntheticWorld


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    with one_blas_thread():
        yield


@pytest.fixture(scope="session")
def sides() -> tuple[Demonstrations, Demonstrations]:
    """Training and test demonstrations of a world where the best prompt depends on the query."""
    return SyntheticWorld(n_queries=320, interaction=3, seed=2).demonstrations.split(test_size=0.25, seed=0)


@pytest.fixture(scope="session")
def train(sides: tuple[Demonstrations, Demonstrations]) -> Demonstrations:
    return sides[0]


@pytest.fixture(scope="session")
def test(sides: tuple[Demonstrations, Demonstrations]) -> Demonstrations:
    return sides[1]


@pytest.fixture(scope="session")
def choosing(train: Demonstrations) -> Recommender:
    """It chooses per query."""
    recommender = Recommender().fit(train)
    assert recommender.selection_.pays
    return recommender


@pytest.fixture(scope="session")
def cautious() -> Recommender:
    """It fell back to the best single prompt."""
    recommender = Recommender().fit(SyntheticWorld(n_queries=120, interaction=0, seed=2).demonstrations)
    assert not recommender.selection_.pays
    return recommender
