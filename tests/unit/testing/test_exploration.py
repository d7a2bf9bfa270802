from __future__ import annotations

import numpy as np
import pytest

from prompt_oirl.errors import ParameterError
from prompt_oirl.testing.exploration import explored_decisions
from prompt_oirl.testing.typed_world import TypedWorld

WORLD = TypedWorld(n_queries=20_000, headroom=0.1, repeats=(1, 2), seed=6)


def test_prompts_are_chosen_and_succeed_as_often_as_logged() -> None:
    decisions = explored_decisions(WORLD, epsilon=0.3)
    assert decisions.n_decisions == WORLD.times_asked.sum()
    assert decisions.action_probabilities is not None
    assert set(np.unique(decisions.action_probabilities.round(6))) == {0.05, 0.75}
    counts = np.bincount(decisions.chosen, minlength=6) / decisions.n_decisions
    assert counts == pytest.approx(decisions.action_probabilities.mean(axis=0), abs=0.01)
    rates = WORLD.success_probabilities[decisions.rows, decisions.chosen]
    assert decisions.rewards.mean() == pytest.approx(rates.mean(), abs=0.01)


def test_what_is_taken_most_often_is_the_best_for_the_class() -> None:
    decisions = explored_decisions(WORLD, epsilon=0.3)
    best = WORLD.success_probabilities.argmax(axis=1)[decisions.rows]
    assert (decisions.chosen == best).mean() == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize("epsilon", [0.0, -0.1, 1.5])
def test_what_explores_nothing_is_refused(epsilon: float) -> None:
    with pytest.raises(ParameterError, match="epsilon"):
        explored_decisions(WORLD, epsilon=epsilon)
