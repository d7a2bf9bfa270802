"""Seeds that are none are errors of this package, wherever they are given."""

from __future__ import annotations

import numpy as np
import pytest

from prompt_oirl.errors import ParameterError
from prompt_oirl.evaluation.estimate import Outcomes, estimate
from prompt_oirl.evaluation.off_policy import cross_fitted_scores, scores_by
from prompt_oirl.randomness import generator
from prompt_oirl.recommender import Recommender
from prompt_oirl.reward.baselines import PromptMeans
from prompt_oirl.selection import Candidate
from prompt_oirl.sources.logged_decisions import LoggedDecisions
from prompt_oirl.testing import SyntheticWorld

WORLD = SyntheticWorld(n_queries=40)


def test_the_numbers_are_those_of_numpy() -> None:
    assert generator(7).random(3).tolist() == np.random.default_rng(7).random(3).tolist()


@pytest.mark.parametrize("seed", [-1, 2**32, 0.5, "1", None])
def test_what_is_no_seed_is_refused(seed: object) -> None:
    with pytest.raises(ParameterError, match=r"seed=.*: a whole number from 0 to 4294967295 is needed"):
        generator(seed)  # type: ignore[arg-type]


@pytest.mark.parametrize("of", ["recommender", "split", "bootstrap", "direct model", "its successes"])
def test_it_is_refused_by_whatever_draws(of: str) -> None:
    demonstrations = WORLD.demonstrations
    decisions = LoggedDecisions.of_grid(demonstrations)
    outcomes = Outcomes(np.ones(40), np.ones(40), demonstrations.groups(), 40)
    calls = {
        "recommender": lambda: Recommender([Candidate("means", PromptMeans())], seed=-1).fit(demonstrations),
        "split": lambda: demonstrations.split(test_size=0.5, seed=-1),
        "bootstrap": lambda: estimate(outcomes, method="bootstrap", seed=-1),
        "direct model": lambda: cross_fitted_scores(
            scores_by(PromptMeans()), decisions, groups=decisions.groups(), seed=-1
        ),
        "its successes": lambda: scores_by(PromptMeans(), seed=-1)(decisions, WORLD.queries),
    }
    with pytest.raises(ParameterError, match="seed=-1"):
        calls[of]()
