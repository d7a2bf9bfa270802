"""Headroom is found where it is, and not where there is none."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from prompt_oirl.evaluation import gain, oracle_choices
from prompt_oirl.testing.known_truth import MeasuredHeadroom, gain_of_knowing, measured_headroom
from prompt_oirl.testing.typed_world import KINDS, TypedWorld

N_WORLDS = 20
REPEATED = (4, 4)


@cache
def measured(kind: str, n_worlds: int = N_WORLDS) -> list[MeasuredHeadroom]:
    worlds = (TypedWorld.of_kind(kind, seed) for seed in range(n_worlds))
    return [measured_headroom(world if kind == "repeats" else replace(world, repeats=REPEATED)) for world in worlds]


@pytest.fixture(scope="module")
def of_all_kinds() -> list[MeasuredHeadroom]:
    return [each for kind in KINDS for each in measured(kind)]


def share_found(found: list[MeasuredHeadroom]) -> float:
    return float(np.mean([each.found.verdict == "found" for each in found]))


NULLS = ("no interaction", "half tied")


@pytest.mark.parametrize("kind", NULLS)
def test_none_is_found_where_there_is_none(kind: str) -> None:
    assert share_found(measured(kind, 60)) <= 0.12  # 5 % are allowed


@pytest.mark.parametrize("kind", NULLS)
def test_none_is_found_by_a_policy_alone_where_there_is_none(kind: str) -> None:
    worlds = (TypedWorld.of_kind(kind, seed) for seed in range(60))
    assert share_found([measured_headroom(world) for world in worlds]) <= 0.12


def test_choosing_on_what_is_measured_would_find_headroom_everywhere() -> None:
    claims = []
    for seed in range(20):
        logs = replace(TypedWorld.of_kind("no interaction", seed), repeats=REPEATED).demonstrations
        single = np.full(logs.n_queries, np.argmax(logs.success_rates))
        claims.append(gain(logs, oracle_choices(logs), single, groups=logs.groups()).low > 0)
    assert np.mean(claims) > 0.9


def test_it_lies_between_floor_and_ceiling(of_all_kinds: list[MeasuredHeadroom]) -> None:
    assert np.mean([each.is_bracketed for each in of_all_kinds]) >= 0.9  # 95 % are wanted


def test_the_floor_by_trials_covers_what_its_rule_gains(of_all_kinds: list[MeasuredHeadroom]) -> None:
    floors = [each.by_trials for each in of_all_kinds if each.by_trials is not None]
    assert len(floors) == len(of_all_kinds)
    assert np.mean([floor.covers for floor in floors]) >= 0.86  # 93 % are wanted
    errors = np.array([floor.error for floor in floors])
    assert abs(errors.mean()) < 3.5 * errors.std(ddof=1) / np.sqrt(len(errors))


def test_strong_headroom_is_found() -> None:
    assert share_found(measured("strong")) > 0.9


def test_three_points_that_the_text_tells_of_are_found() -> None:
    worlds = (
        TypedWorld(n_queries=2000, headroom=0.03, visible=1.0, prompt_spread=0.1, repeats=REPEATED, seed=seed)
        for seed in range(15)
    )
    assert share_found([measured_headroom(world) for world in worlds]) >= 0.6  # 80 % are wanted


def test_who_knows_the_classes_gains_what_the_text_tells_of() -> None:
    """All of the headroom where variants are alike, a part of it where they differ, nothing where there is none."""

    def gains(headroom: float, visible: float) -> np.ndarray:
        worlds = (
            TypedWorld(n_queries=2000, headroom=headroom, visible=visible, repeats=REPEATED, seed=seed)
            for seed in range(10)
        )
        return np.array([gain_of_knowing(world).value for world in worlds])

    all_told, half_told = gains(0.05, 1.0), gains(0.05, 0.5)
    assert abs(all_told.mean() - 0.05) < 3.5 * all_told.std(ddof=1) / np.sqrt(len(all_told))
    assert 0.02 < half_told.mean() < all_told.mean()
    assert gains(0.0, 0.5).tolist() == [0.0] * 10
