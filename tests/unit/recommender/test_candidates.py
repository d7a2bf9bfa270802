from __future__ import annotations

import pytest

from prompt_oirl.recommender.candidates import HEAD_STARTS, default_candidates
from prompt_oirl.reward import saved_types
from prompt_oirl.reward.kernel_advantage import KernelAdvantage
from prompt_oirl.reward.protocol import RewardModel


def test_default_candidates_have_names_of_their_own_and_can_be_saved() -> None:
    candidates = default_candidates()
    names = [candidate.name for candidate in candidates]
    assert len(set(names)) == len(names) >= 2
    for candidate in candidates:
        assert isinstance(candidate.model, RewardModel)
        assert saved_types()[type(candidate.model).__name__] is type(candidate.model)
        assert candidate.head_starts == HEAD_STARTS


def test_head_starts_are_shares_in_ascending_order() -> None:
    assert list(HEAD_STARTS) == sorted(set(HEAD_STARTS))
    assert 0 <= HEAD_STARTS[0] <= HEAD_STARTS[-1] < 0.5


def test_the_seed_is_handed_on() -> None:
    models = [candidate.model for candidate in default_candidates(7)]
    seeds = [model.seed for model in models if isinstance(model, KernelAdvantage)]
    assert seeds == [7]


@pytest.mark.parametrize("seed", [0, 7])
def test_each_call_makes_models_of_its_own(seed: int) -> None:
    for one, other in zip(default_candidates(seed), default_candidates(seed), strict=True):
        assert one.model is not other.model
        assert repr(one.model) == repr(other.model)
