"""The recommender where the truth is known: it finds what is there, claims nothing else, and does no harm."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from prompt_oirl.features.threads import one_blas_thread
from prompt_oirl.recommender import Recommender
from prompt_oirl.recommender.candidates import HEAD_STARTS
from prompt_oirl.reward.baselines import AdditiveModel, Lookup
from prompt_oirl.selection import Candidate, select
from prompt_oirl.testing import SyntheticWorld


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_blas_thread():
        yield


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_without_interaction_it_hardly_ever_pays(missing: float) -> None:
    """At 95 % confidence one of twenty may by chance, the best of several contests included: two are allowed."""
    pays = 0
    for seed in range(20):
        world = SyntheticWorld(n_queries=200, interaction=0, missing=missing, seed=100 + seed)
        recommender = Recommender().fit(world.demonstrations)
        pays += recommender.selection_.pays
        if not recommender.selection_.pays:
            chosen = recommender.choose(world.queries, world.prompts)
            single = recommender.best_single_.choose(world.queries, world.prompts)
            assert np.array_equal(chosen, single)
    assert pays <= 2


def test_without_interaction_the_best_contest_of_luck_does_not_pay_at_any_head_start() -> None:
    logs = SyntheticWorld(n_queries=400, interaction=0, seed=11).demonstrations
    selection = Recommender().fit(logs).selection_
    assert len(selection.contests) == 2 * len(HEAD_STARTS)
    assert not any(contest.gain.low > 0 for contest in selection.contests)


@pytest.fixture(scope="module")
def with_interaction() -> list[tuple[float, float, float, Recommender]]:
    """For each seed the true gain on held-out queries, that of the oracle, the measured z-score, the recommender."""
    found = []
    with one_blas_thread():
        for seed in range(6):
            world = SyntheticWorld(n_queries=1000, seed=seed)
            train, test = world.demonstrations.split(test_size=0.3, seed=0)
            recommender = Recommender().fit(train)
            chosen = recommender.choose(test.queries, test.prompts)
            single = recommender.best_single_.choose(test.queries, test.prompts)
            best = np.array([world.success_probabilities[world.queries.index(q)].argmax() for q in test.queries])
            gain, headroom = (world.true_gain(each, single, queries=test.queries) for each in (chosen, best))
            measured = recommender.evaluate(test).gain
            error = (measured.value - gain) / max((measured.high - measured.low) / 2, 1e-9)
            found.append((gain, headroom, error, recommender))
    return found


def test_with_interaction_it_pays_and_truly_gains_and_stays_under_the_oracle(
    with_interaction: list[tuple[float, float, float, Recommender]],
) -> None:
    pays = [recommender.selection_.pays for *_, recommender in with_interaction]
    assert sum(pays) >= 4
    for gain, headroom, _, recommender in with_interaction:
        assert gain <= headroom
        assert gain > 0.01 if recommender.selection_.pays else gain == 0
    assert np.mean([gain for gain, *_ in with_interaction]) > 0.03


def test_what_it_says_of_itself_is_true(with_interaction: list[tuple[float, float, float, Recommender]]) -> None:
    """The evaluation on held-out demonstrations covers the truth, and the cross-validated gain foretells it."""
    assert sum(abs(error) <= 1 for _, _, error, _ in with_interaction) >= 5
    foretold = [recommender.selection_.best.gain.value for *_, recommender in with_interaction]
    true = [gain for gain, *_ in with_interaction]
    assert np.mean(foretold) == pytest.approx(np.mean(true), abs=0.03)


@pytest.mark.parametrize("interaction", [0.0, 2.0])
@pytest.mark.parametrize("model", [AdditiveModel(), Lookup()], ids=["additive", "look-up"])
def test_what_knows_no_interaction_never_pays(model: AdditiveModel | Lookup, interaction: float) -> None:
    logs = SyntheticWorld(n_queries=300, interaction=interaction, missing=0, seed=9).demonstrations
    selection = select([Candidate("model", model, HEAD_STARTS)], logs)
    assert not selection.pays
    assert selection.best.gain.value <= 0


def test_more_logs_are_learnt_more_from() -> None:
    world = SyntheticWorld(n_queries=900, interaction=1.5, seed=21)
    train, test = world.demonstrations.split(test_size=0.3, seed=0)
    gains = []
    for share in (0.15, 1.0):
        some = train.select_queries(np.arange(int(share * train.n_queries)))
        recommender = Recommender().fit(some)
        chosen = recommender.choose(test.queries, test.prompts)
        single = np.full(test.n_queries, world.best_single)
        gains.append(world.true_gain(chosen, single, queries=test.queries))
    assert gains[1] > gains[0] + 0.01
