"""A recommender seldom says that choosing per query pays where it does not, and seldom does harm."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from prompt_oirl.evaluation import fold_widening
from prompt_oirl.selection import select
from prompt_oirl.testing.known_truth import BY_TYPE, Recommended, recommended
from prompt_oirl.testing.typed_world import KINDS, TypedWorld

N_WORLDS = 50
HARM = 0.005


@cache
def made(kind: str, n_worlds: int = N_WORLDS) -> list[Recommended]:
    return [recommended(TypedWorld.of_kind(kind, seed)) for seed in range(n_worlds)]


NULLS = ("no interaction", "half tied")


@pytest.mark.parametrize("kind", NULLS)
def test_it_seldom_says_that_it_pays_where_it_does_not(kind: str) -> None:
    """Nine contests of unsteady candidates; 5 % are allowed."""
    assert np.mean([each.pays for each in made(kind, 150)]) <= 0.1


def test_bounds_that_were_not_corrected_would_say_so_too_often() -> None:
    """Neither for the number of contests, nor for what folds share."""
    claims = []
    for seed in range(150):
        logs = TypedWorld.of_kind("half tied", seed).demonstrations
        gains = [contest.gain for contest in select(BY_TYPE, logs, n_folds=10, n_runs=1).contests]
        claims.append(any(gain.value > (gain.value - gain.low) / fold_widening(10) for gain in gains))
    assert np.mean(claims) > 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_seldom_worse_than_the_best_single_prompt_of_the_logs(kind: str) -> None:
    assert np.mean([each.harm > HARM for each in made(kind)]) <= 0.1  # 5 % are allowed


@pytest.mark.parametrize("kind", ["strong", "repeats"])
def test_where_there_is_something_to_gain_it_gains(kind: str) -> None:
    assert np.mean([each.pays for each in made(kind)]) > 0.4
    assert np.mean([each.harm for each in made(kind)]) < -0.01
