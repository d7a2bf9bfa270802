"""On worlds of six kinds the interval of a learnt policy's held-out gain covers what that policy truly gains."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from prompt_oirl.evaluation import gain
from prompt_oirl.policies import BestSinglePrompt
from prompt_oirl.testing.known_truth import Measured, best_by_type, cross_validated_gain, held_out_gain
from prompt_oirl.testing.typed_world import KINDS, TypedWorld

N_WORLDS = 120


@cache
def held_out(kind: str) -> list[Measured]:
    return [held_out_gain(TypedWorld.of_kind(kind, seed)) for seed in range(N_WORLDS)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_interval_covers_the_true_gain(kind: str) -> None:
    assert np.mean([each.covers for each in held_out(kind)]) >= 0.9


def test_intervals_are_no_wider_than_they_must_be() -> None:
    """Of few queries they are, to keep a handful of changed choices from claiming too much."""
    kinds = [kind for kind in KINDS if kind != "few queries"]
    assert np.mean([each.covers for kind in kinds for each in held_out(kind)]) <= 0.98


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "missing at random"])
@pytest.mark.parametrize("measure", [held_out_gain, cross_validated_gain])
def test_the_gain_is_unbiased(measure: object, kind: str) -> None:
    """Missing trials draw it towards nothing, as `gain` says."""
    if measure is held_out_gain:
        errors = np.array([each.error for each in held_out(kind)])
    else:
        errors = np.array([cross_validated_gain(TypedWorld.of_kind(kind, seed)).error for seed in range(60)])
    assert abs(errors.mean()) < 3.5 * errors.std(ddof=1) / np.sqrt(len(errors))


def test_near_duplicates_taken_for_independent_would_be_found_out() -> None:
    covered = 0
    for seed, measured in enumerate(held_out("clustered")):
        train, test = TypedWorld.of_kind("clustered", seed).demonstrations.split(test_size=0.5, seed=0)
        choices, single = (
            each.choose(test.queries, test.prompts) for each in (best_by_type(train), BestSinglePrompt.chosen_on(train))
        )
        ungrouped = gain(test, choices, single, groups=np.arange(test.n_queries))
        covered += ungrouped.low <= measured.truth <= ungrouped.high
    assert covered / N_WORLDS < 0.9
