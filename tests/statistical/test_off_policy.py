"""From ε-greedy decisions what uses propensities tells a policy's value and gain; the direct method does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prompt_oirl.evaluation.off_policy import Estimator
from prompt_oirl.testing.known_truth import Measured, off_policy_gains
from prompt_oirl.testing.typed_world import TypedWorld

N_WORLDS = 120

Found = dict[Estimator, list[tuple[Measured, Measured]]]


@pytest.fixture(scope="module")
def found() -> Found:
    """For each estimator, of each world the measured value and gain."""
    by_estimator: Found = {}
    for seed in range(N_WORLDS):
        world = replace(TypedWorld.of_kind("strong", seed), n_queries=800, repeats=(2, 2))
        for estimator, measured in off_policy_gains(world).items():
            by_estimator.setdefault(estimator, []).append(measured)
    return by_estimator


def errors(found: Found, estimator: Estimator, which: int) -> np.ndarray:
    return np.array([measured[which].error for measured in found[estimator]])


@pytest.mark.parametrize("which", [0, 1], ids=["value", "gain"])
@pytest.mark.parametrize("estimator", ["ips", "snips", "dr"])
def test_what_uses_propensities_is_unbiased_and_its_interval_covers(
    found: Found, estimator: Estimator, which: int
) -> None:
    assert len(found[estimator]) == N_WORLDS
    wrong = errors(found, estimator, which)
    assert abs(wrong.mean()) < 3.5 * wrong.std(ddof=1) / np.sqrt(N_WORLDS)
    assert 0.9 <= np.mean([measured[which].covers for measured in found[estimator]]) <= 0.99


@pytest.mark.parametrize("which", [0, 1], ids=["value", "gain"])
def test_the_direct_method_is_biased_by_what_the_logging_policy_knew(found: Found, which: int) -> None:
    assert abs(errors(found, "dm", which).mean()) > 0.02
    assert np.mean([measured[which].covers for measured in found["dm"]]) < 0.5


@pytest.mark.parametrize("which", [0, 1], ids=["value", "gain"])
def test_a_direct_model_makes_it_more_certain(found: Found, which: int) -> None:
    assert errors(found, "dr", which).std() < 0.9 * errors(found, "ips", which).std()
