from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, NotFittedError, ParameterError
from prompt_oirl.recommender import PreparedRecommender, Recommendation, Recommender
from prompt_oirl.records import SLOT
from prompt_oirl.reward.logistic import LogisticModel
from prompt_oirl.selection import Candidate


class Scripted(BaseEstimator):
    """Scores that are told it."""

    def __init__(self, scores: tuple[float, ...]) -> None:
        self.scores = scores

    @property
    def gives_probabilities(self) -> bool:
        return False

    def fit(self, demonstrations: Demonstrations) -> Scripted:
        return self

    def score(self, queries: Any, prompts: Any) -> np.ndarray:
        return np.tile(self.scores, (len(queries), 1))


def with_scores(choosing: Recommender, scores: tuple[float, ...], head_start: float) -> PreparedRecommender:
    """A recommender whose model gives these scores to its first prompts."""
    recommender = Recommender()
    vars(recommender).update(vars(choosing))
    filled = scores + (-9.0,) * (len(choosing.prompts_) - len(scores))
    best = choosing.best_single_.prompt_id
    recommender.policy_ = type(choosing.policy_)(Scripted(filled), head_start=head_start, best_single=best)  # type: ignore[call-arg]
    return recommender.prepare()


@pytest.fixture(scope="module")
def prepared(choosing: Recommender) -> PreparedRecommender:
    return choosing.prepare()


@pytest.fixture(scope="module")
def prepared_cautious(cautious: Recommender) -> PreparedRecommender:
    return cautious.prepare()


def scores_by_prompt(recommendation: Recommendation) -> dict[str, float]:
    said = recommendation.to_dict()
    return {each["prompt_id"]: each["score"] for each in (said, *said["runners_up"])}


def test_what_it_knows(prepared: PreparedRecommender, choosing: Recommender) -> None:
    assert prepared.prompts == choosing.prompts_
    assert prepared.prompts[prepared.best_single].id == choosing.best_single_.prompt_id
    assert prepared.is_quick


def test_it_recommends_what_the_recommender_does(
    prepared: PreparedRecommender, choosing: Recommender, train: Demonstrations, test: Demonstrations
) -> None:
    texts = [query.text for query in (*test.queries, *train.queries[:40])]
    alone = [prepared.recommend(text) for text in texts]
    for one, among_many in zip(alone, choosing.recommend_many(texts), strict=True):
        assert (one.query, one.prompt) == (among_many.query, among_many.prompt)
        assert scores_by_prompt(one) == pytest.approx(scores_by_prompt(among_many), abs=1e-5)
    expected = choosing.policy_.model.score([each.query for each in alone], choosing.prompts_)
    np.testing.assert_allclose([prepared.score(text) for text in texts], expected, atol=1e-5)
    assert len({each.prompt for each in alone}) > 1


def test_where_one_prompt_serves_all_nothing_is_scored(
    prepared_cautious: PreparedRecommender, cautious: Recommender
) -> None:
    assert prepared_cautious.is_quick
    np.testing.assert_array_equal(prepared_cautious.score("How many?"), cautious.reliable_rates_)
    assert prepared_cautious.recommend("How many?") == cautious.recommend("How many?")
    others = [i for i in range(len(cautious.prompts_)) if i != prepared_cautious.best_single]
    found = prepared_cautious.recommend("How many?", among=others)
    assert found.score == max(cautious.reliable_rates_[others])


def test_a_recommender_is_prepared_once_for_each_fit(train: Demonstrations) -> None:
    recommender = Recommender([Candidate("logistic", LogisticModel(), (0.02,))]).fit(train)
    first = recommender.prepare()
    assert recommender.prepare() is first
    again = recommender.fit(train.select_queries(np.arange(120))).prepare()
    assert again is not first
    assert again.policy is recommender.policy_


@pytest.mark.parametrize("make", [PreparedRecommender, Recommender.prepare])
def test_before_fit(make: Any) -> None:
    with pytest.raises(NotFittedError, match=r"call fit\(demonstrations\)"):
        make(Recommender())


@pytest.mark.parametrize("text", ["", " \n", "\ud800"])
def test_a_query_that_is_none_is_refused(prepared: PreparedRecommender, text: str) -> None:
    for ask in (prepared.recommend, prepared.score):
        with pytest.raises(DataError, match="query"):
            ask(text)


@given(st.sets(st.integers(0, 5), min_size=1).map(sorted), st.booleans())
def test_among_some_prompts(prepared: PreparedRecommender, among: list[int], reverse: bool) -> None:
    among = among[::-1] if reverse else among
    text = "Tom has 12 apples and eats 5 of them. How many apples are left?"
    scores = prepared.score(text)
    found = prepared.recommend(text, among=among)
    assert {found.prompt, *(each.prompt for each in found.runners_up)} == {prepared.prompts[i] for i in among}
    for each in (found, *found.runners_up):
        assert each.score == scores[prepared.prompts.index(each.prompt)]
    listed = [each.score for each in found.runners_up]
    assert listed == sorted(listed, reverse=True)
    assert prepared.fall_back(text, among=among).prompt in [prepared.prompts[i] for i in among]


def test_without_the_best_single_prompt_the_most_successful_has_the_head_start(choosing: Recommender) -> None:
    rates = choosing.reliable_rates_
    best, second, third = np.argsort(-rates)[:3].tolist()
    scores = np.full(len(rates), -9.0)
    scores[[best, second, third]] = 0.0, 0.1, 0.11
    prepared = with_scores(choosing, tuple(scores), 0.02)
    ids = [prompt.id for prompt in prepared.prompts]
    assert prepared.recommend("How many?").prompt.id == ids[third]
    found = prepared.recommend("How many?", among=[third, second])
    assert found.prompt.id == ids[second]
    assert found.reason == "the most successful candidate: another scores 0.010 higher, over 0.020 is needed"
    fallen_back = prepared.fall_back("How many?", among=[third, second])
    assert fallen_back.prompt.id == ids[second]
    assert fallen_back.reason == f"the most successful candidate {ids[second]!r}: the query was not scored"
    leading = with_scores(choosing, tuple(scores), 0.0).recommend("How many?", among=[third, second])
    assert leading.reason == f"scores 0.010 above the most successful candidate {ids[second]!r}"
    assert prepared.fall_back("How many?", among=[third, best]).prompt.id == ids[best]


@pytest.mark.parametrize("among", [[], [0, 0], [6], [-1]])
def test_bad_candidates(prepared: PreparedRecommender, among: list[int]) -> None:
    for ask in (prepared.recommend, prepared.fall_back):
        with pytest.raises(ParameterError, match="index into the 6 prompts"):
            ask("How many?", among=among)


def test_falling_back_scores_nothing(prepared: PreparedRecommender) -> None:
    found = prepared.fall_back("How many?")
    assert found.prompt == prepared.prompts[prepared.best_single]
    assert math.isnan(found.score)
    assert found.runners_up == ()
    assert found.query.text == "How many?"
    assert found.reason == f"the best single prompt {found.prompt.id!r}: the query was not scored"


@pytest.mark.parametrize("text", ["", "  \n"])
def test_falling_back_without_a_query_gives_the_template(prepared: PreparedRecommender, text: str) -> None:
    found = prepared.fall_back(text)
    assert found.query.text == SLOT
    assert found.message == found.prompt.template


def test_ties_come_in_the_order_of_the_prompts_after_the_best_single_prompt(choosing: Recommender) -> None:
    best = choosing.prompts_.index(next(p for p in choosing.prompts_ if p.id == choosing.best_single_.prompt_id))
    found = with_scores(choosing, (0.5,) * len(choosing.prompts_), 0.0).recommend("How many?")
    assert found.prompt == choosing.prompts_[best]
    assert [each.prompt for each in found.runners_up] == [p for i, p in enumerate(choosing.prompts_) if i != best]


def test_where_one_prompt_serves_all_a_stand_in_is_not_called_the_best_single_prompt(cautious: Recommender) -> None:
    prepared = cautious.prepare()
    best, second = np.argsort(-cautious.reliable_rates_)[:2].tolist()
    assert prepared.prompts[best].id in prepared.recommend("How many?", among=[second, best]).reason
    found = prepared.recommend("How many?", among=[second])
    assert found.reason == "the most successful candidate: choosing per query has not been shown to pay here"
