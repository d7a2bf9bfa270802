"""One fit for every subset of the prompts chooses as a fit for each of them does."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.policies import BestOfN
from prompt_oirl.recommender import Recommender
from prompt_oirl.recommender.candidates import default_candidates
from prompt_oirl.reproduction.shared import ADVANTAGE, LOGISTIC, SharedFit, shared_folds
from prompt_oirl.testing import SyntheticWorld

SUBSETS = [subset for size in range(2, 7) for subset in combinations(range(6), size)]


@pytest.fixture(scope="module")
def parts() -> tuple[Demonstrations, Demonstrations]:
    """Every prompt tried equally often on each query, which is what sharing rests on."""
    world = SyntheticWorld(n_queries=150, interaction=4.0, missing=0.0, unparsable=0.0, seed=1)
    return world.demonstrations.split(test_size=0.4, seed=0)


@pytest.fixture(scope="module")
def shared(parts: tuple[Demonstrations, Demonstrations]) -> SharedFit:
    return SharedFit.of(*parts, by="template")


def test_the_names_are_those_of_the_default_candidates() -> None:
    assert {candidate.name for candidate in default_candidates()} == {ADVANTAGE, LOGISTIC}


@pytest.mark.slow
def test_every_subset_is_chosen_from_as_by_a_recommender_of_its_own(
    parts: tuple[Demonstrations, Demonstrations], shared: SharedFit
) -> None:
    training, test = parts
    n_paying = 0
    with threadpool_limits(limits=1):
        for subset in SUBSETS:
            of_subset = test.select_prompts(subset)
            recommender = Recommender().fit(training.select_prompts(subset))
            n_paying += recommender.selection_.pays
            np.testing.assert_array_equal(
                shared.recommend(subset), recommender.choose(of_subset.queries, of_subset.prompts), err_msg=str(subset)
            )
    assert n_paying > 10  # so that not all of them are the best single prompt


@pytest.mark.parametrize("name", [ADVANTAGE, LOGISTIC])
def test_every_subset_has_the_argmax_of_a_model_of_its_own(
    parts: tuple[Demonstrations, Demonstrations], shared: SharedFit, name: str
) -> None:
    training, test = parts
    model = next(candidate.model for candidate in default_candidates() if candidate.name == name)
    n_changed = 0
    with threadpool_limits(limits=1):
        for subset in SUBSETS:
            of_subset = test.select_prompts(subset)
            single = of_subset.prompts[shared.best_single(subset)].id
            policy = BestOfN(model.fit(training.select_prompts(subset)), best_single=single)
            expected = policy.choose(of_subset.queries, of_subset.prompts)
            np.testing.assert_array_equal(shared.best_of(name, subset), expected, err_msg=str(subset))
            n_changed += len(np.unique(expected)) > 1
    assert n_changed > len(SUBSETS) / 2


def test_the_best_single_prompt_is_that_of_training(
    parts: tuple[Demonstrations, Demonstrations], shared: SharedFit
) -> None:
    rates = parts[0].success_rates
    for subset in [*SUBSETS, (0,), (3,)]:
        assert rates[subset[shared.best_single(subset)]] == max(rates[list(subset)])


def test_one_prompt_is_chosen_from_one(shared: SharedFit) -> None:
    assert set(shared.recommend((4,)).tolist()) == {0}


def test_folds_keep_groups_whole_and_cover_every_query() -> None:
    demonstrations = SyntheticWorld(n_queries=60, missing=0.0, unparsable=0.0).demonstrations
    folds = shared_folds(demonstrations, by="template", seed=3)
    assert sorted(np.concatenate([test for test, _ in folds]).tolist()) == list(range(60))
    groups = demonstrations.groups()
    for test, fit in folds:
        trained = {query.text for query in fit.training.queries}
        train = [i for i, query in enumerate(demonstrations.queries) if query.text in trained]
        assert not set(groups[train]) & set(groups[test])
        assert fit.test[ADVANTAGE].shape == (len(test), 6)
