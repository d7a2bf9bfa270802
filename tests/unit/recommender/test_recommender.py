from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import (
    DataError,
    LeakageError,
    NotFittedError,
    ParameterError,
    PromptOIRLError,
    UnseenPromptError,
)
from prompt_oirl.policies import BestOfN, BestSinglePrompt, Policy
from prompt_oirl.recommender import Recommender
from prompt_oirl.records import Prompt, Query
from prompt_oirl.reward.baselines import PromptMeans
from prompt_oirl.reward.kernel_advantage import KernelAdvantage
from prompt_oirl.selection import Candidate, select
from prompt_oirl.splits import check_no_leakage
from prompt_oirl.testing import check_policy


class Scripted(BaseEstimator):
    """Scores by the first letter of the query: what is known is which prompt it should be."""

    @property
    def gives_probabilities(self) -> bool:
        return False

    def fit(self, demonstrations: Demonstrations) -> Scripted:
        return self

    def score(self, queries: Any, prompts: Any) -> np.ndarray:
        lead = [{"h": 0.05, "m": 0.0, "l": 0.01}[query.text[0]] for query in queries]
        column = {"p0": np.zeros(len(lead)), "p1": np.array(lead), "p2": np.full(len(lead), -0.1)}
        return np.column_stack([column[prompt.id] for prompt in prompts])


def scripted_logs() -> Demonstrations:
    """p0 is best, and p1 is right exactly where p0 is wrong: on the queries that begin with h."""
    words = [f"{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(90)]
    queries = tuple(Query(f"{'hml'[i % 3]} {word}") for i, word in enumerate(words))
    trials = np.ones((90, 3), dtype=np.int64)
    is_h = np.arange(90) % 3 == 0
    successes = np.column_stack([~is_h, is_h, 0 * is_h]).astype(np.int64)
    prompts = tuple(Prompt.from_text(f"Wording {k}.", id=f"p{k}") for k in range(3))
    return Demonstrations(queries, prompts, trials, successes, 0 * trials)


@pytest.fixture(scope="module")
def scripted() -> Recommender:
    return Recommender([Candidate("scripted", Scripted(), (0.02,))]).fit(scripted_logs())


def test_it_chooses_fits_and_keeps_what_selection_found(choosing: Recommender, train: Demonstrations) -> None:
    assert choosing.prompts_ == train.prompts
    assert choosing.best_single_ == BestSinglePrompt.chosen_on(train)
    np.testing.assert_array_equal(choosing.success_rates_, train.success_rates)
    assert choosing.training_data_hash_ == train.sha256
    best = choosing.selection_.best
    assert isinstance(choosing.policy_, BestOfN)
    assert choosing.policy_.head_start == best.head_start
    assert choosing.policy_.best_single == choosing.best_single_.prompt_id


def test_its_model_is_the_selected_one_fitted_on_all_training_demonstrations(train: Demonstrations) -> None:
    candidates = [Candidate("means", PromptMeans()), Candidate("kernel", KernelAdvantage(own_share=0.3), (0.05,))]
    recommender = Recommender(candidates, n_folds=3, confidence=0.9, by="question", seed=4).fit(train)
    assert recommender.selection_ == select(candidates, train, n_folds=3, confidence=0.9, by="question", seed=4)
    assert recommender.selection_.best.candidate == "kernel"
    expected = BestOfN(
        KernelAdvantage(own_share=0.3).fit(train), head_start=0.05, best_single=recommender.best_single_.prompt_id
    )
    np.testing.assert_array_equal(
        recommender.choose(train.queries, train.prompts), expected.choose(train.queries, train.prompts)
    )
    assert not hasattr(candidates[1].model, "prompts_")


def test_where_it_does_not_pay_every_query_gets_the_best_single_prompt(cautious: Recommender) -> None:
    assert cautious.policy_ is cautious.best_single_
    found = cautious.recommend_many(["How many apples has Tom?", "How far is it?"])
    single = cautious.best_single_.prompt_id
    rates = cautious.reliable_rates_
    for each in found:
        assert each.prompt.id == single
        assert each.score == rates.max()
        assert [other.score for other in each.runners_up] == sorted(np.delete(rates, rates.argmax()), reverse=True)
        assert each.reason.startswith("one prompt for all queries: choosing per query has not been shown to beat")
        assert repr(single) in each.reason


def test_recommendations_are_what_the_policy_chooses(choosing: Recommender, test: Demonstrations) -> None:
    texts = [query.text for query in test.queries]
    found = choosing.recommend_many(texts)
    chosen = choosing.choose(test.queries, test.prompts)
    assert [each.prompt for each in found] == [test.prompts[i] for i in chosen]
    assert [each.query for each in found] == list(test.queries)
    assert len(set(chosen.tolist())) > 1
    scores = choosing.policy_.model.score(test.queries, test.prompts)
    for each, row, choice in zip(found, scores, chosen, strict=True):
        assert each.score == pytest.approx(row[choice], abs=1e-5)
        assert {other.prompt for other in each.runners_up} == set(test.prompts) - {each.prompt}
        listed = [other.score for other in each.runners_up]
        assert listed == sorted(listed, reverse=True)
        assert listed == pytest.approx([row[test.prompts.index(other.prompt)] for other in each.runners_up], abs=1e-5)


def test_one_query_gets_what_it_gets_among_many(choosing: Recommender, test: Demonstrations) -> None:
    many = choosing.recommend_many([query.text for query in test.queries[:10]])
    for among_many in many:
        alone = choosing.recommend(among_many.query.text)
        assert alone.prompt == among_many.prompt
        assert alone.score == pytest.approx(among_many.score, abs=1e-5)
        assert [other.score for other in alone.runners_up] == pytest.approx(
            [other.score for other in among_many.runners_up], abs=1e-5
        )
    assert choosing.recommend_many([]) == []


@pytest.mark.parametrize(
    ("query", "prompt", "reason"),
    [
        ("high", "p1", "scores 0.050 above the best single prompt 'p0'"),
        ("medium", "p0", "the best single prompt, and the highest score for this query too"),
        ("low", "p0", "the best single prompt: another scores 0.010 higher, over 0.020 is needed"),
    ],
)
def test_reasons(scripted: Recommender, query: str, prompt: str, reason: str) -> None:
    found = scripted.recommend(query)
    assert (found.prompt.id, found.reason) == (prompt, reason)
    assert [other.prompt.id for other in found.runners_up] == (["p0", "p2"] if prompt == "p1" else ["p1", "p2"])


def test_what_it_is_worth_is_measured_on_held_out_demonstrations(
    choosing: Recommender, train: Demonstrations, test: Demonstrations
) -> None:
    found = choosing.evaluate(test)
    assert found.is_leakage_checked
    assert found.gain.value > 0.05
    assert found.by == "template"
    choices = choosing.choose(test.queries, test.prompts)
    single = test.prompts.index(train.prompts[np.argmax(train.success_rates)])
    rewards = test.rewards[np.arange(test.n_queries), choices] - test.rewards[:, single]
    measured = ~np.isnan(rewards) & (choices != single)
    share = np.average(choices != single, weights=test.repeats)
    assert found.gain.value == pytest.approx(share * np.average(rewards[measured], weights=test.repeats[measured]))


def test_the_best_single_prompt_gains_exactly_nothing(cautious: Recommender, test: Demonstrations) -> None:
    gain = cautious.evaluate(cautious.unseen(test)).gain
    assert (gain.value, gain.low, gain.high) == (0, 0, 0)


def test_prompts_are_known_in_any_order_and_number(choosing: Recommender, test: Demonstrations) -> None:
    single = choosing.best_single_.prompt_id
    order = [5, 3, 0, 1, 2, 4]
    some = test.select_prompts(order)
    whole, permuted = choosing.choose(test.queries, test.prompts), choosing.choose(some.queries, some.prompts)
    np.testing.assert_array_equal(np.array(order)[permuted], whole)
    assert choosing.evaluate(some).gain.value == pytest.approx(choosing.evaluate(test).gain.value)
    two = [prompt for prompt in test.prompts if prompt.id == single] + [test.prompts[order[0]]]
    assert set(choosing.choose(test.queries, two).tolist()) <= {0, 1}


def test_a_recommender_keeps_the_contract_of_a_policy() -> None:
    def make(demonstrations: Demonstrations) -> Policy:
        return Recommender([Candidate("kernel", KernelAdvantage(), (0.01,))]).fit(demonstrations)

    check_policy(make)


def test_queries_seen_in_training_raise(choosing: Recommender, train: Demonstrations, test: Demonstrations) -> None:
    with pytest.raises(LeakageError, match=f"{train.n_queries} of {train.n_queries} test queries"):
        choosing.evaluate(train)
    seen = next(query.text for query in train.queries if any(letter.isdigit() for letter in query.text))
    other_numbers = "".join("7" if letter.isdigit() else letter for letter in seen).upper()
    mixed = Demonstrations(
        (*test.queries[:-1], Query(other_numbers)), test.prompts, test.trials, test.successes, test.unscored
    )
    with pytest.raises(LeakageError, match="1 of"):
        choosing.evaluate(mixed)


def test_by_question_only_identical_texts_are_leakage(train: Demonstrations) -> None:
    half = train.select_queries(np.arange(0, train.n_queries, 2))
    rest = train.select_queries(np.arange(1, train.n_queries, 2))
    with pytest.raises(LeakageError):
        check_no_leakage(half.queries, rest.queries)
    recommender = Recommender([Candidate("means", PromptMeans())], by="question").fit(half)
    assert recommender.evaluate(rest).is_leakage_checked
    assert recommender.unseen(rest).n_queries == rest.n_queries
    with pytest.raises(LeakageError, match="the same text"):
        recommender.evaluate(half)


def test_unseen_leaves_out_what_would_be_leakage(
    choosing: Recommender, train: Demonstrations, test: Demonstrations
) -> None:
    assert choosing.unseen(train).n_queries == 0
    both = Demonstrations(
        train.queries + test.queries,
        train.prompts,
        *(np.vstack([getattr(each, name) for each in (train, test)]) for name in ("trials", "successes", "unscored")),
    )
    found = choosing.unseen(both)
    assert found.queries == test.queries
    np.testing.assert_array_equal(found.successes, test.successes)
    assert choosing.evaluate(found).gain == choosing.evaluate(test).gain


def test_prompts_that_were_not_in_training_raise(choosing: Recommender, test: Demonstrations) -> None:
    other = Prompt.from_text("Another.", id="new-one")
    with pytest.raises(UnseenPromptError, match=r"\['new-one'\] were not in training.*train again"):
        choosing.choose(test.queries, [*test.prompts, other])
    reworded = Prompt(test.prompts[0].id, "{{query}} reworded")
    with pytest.raises(UnseenPromptError):
        choosing.choose(test.queries, [reworded])


@pytest.mark.parametrize("fitted", ["choosing", "cautious"])
def test_the_best_single_prompt_is_needed(fitted: str, request: pytest.FixtureRequest) -> None:
    recommender = request.getfixturevalue(fitted)
    others = [prompt for prompt in recommender.prompts_ if prompt.id != recommender.best_single_.prompt_id]
    with pytest.raises(UnseenPromptError, match=recommender.best_single_.prompt_id):
        recommender.choose([Query("How many?")], others)


def test_before_fit(test: Demonstrations) -> None:
    recommender = Recommender()
    calls = [
        lambda: recommender.recommend("How many?"),
        lambda: recommender.recommend_many([]),
        lambda: recommender.choose(test.queries, test.prompts),
        lambda: recommender.evaluate(test),
        lambda: recommender.unseen(test),
    ]
    for call in calls:
        with pytest.raises(NotFittedError, match=r"call fit\(demonstrations\), or Recommender\.load\(folder\)"):
            call()


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_query_is_refused(choosing: Recommender, text: str) -> None:
    with pytest.raises(DataError, match="non-empty"):
        choosing.recommend(text)


def test_many_queries_given_as_one_are_refused_with_what_takes_them(choosing: Recommender) -> None:
    texts: Any = ["How many apples has Tom?"] * 1500
    for ask in (choosing.recommend, choosing.explain):
        with pytest.raises(ParameterError, match="recommend_many") as refused:
            ask(texts)
        assert len(str(refused.value)) < 200
    with pytest.raises(DataError, match="non-empty") as nested:
        choosing.recommend_many([texts])
    assert len(str(nested.value)) < 200


@pytest.mark.parametrize("text", ["?", "_", "苹果 多少？", "Zyzzyva", "1", "a" * 10_000])
def test_any_other_query_gets_a_prompt(choosing: Recommender, text: str) -> None:
    found = choosing.recommend(text)
    assert found.prompt in choosing.prompts_
    assert np.isfinite([found.score, *(other.score for other in found.runners_up)]).all()


def test_it_is_a_scikit_learn_estimator(train: Demonstrations) -> None:
    candidates = (Candidate("means", PromptMeans()),)
    recommender = Recommender(candidates, n_folds=3, confidence=0.8, by="question", seed=5)
    assert recommender.get_params(deep=False) == {
        "candidates": candidates, "n_folds": 3, "n_runs": 10, "confidence": 0.8, "by": "question", "seed": 5
    }  # fmt: skip
    assert recommender.fit(train) is recommender
    copy = clone(recommender)
    assert {**copy.get_params(deep=False), "candidates": None} == {
        **recommender.get_params(deep=False), "candidates": None
    }  # fmt: skip
    with pytest.raises(NotFittedError):
        copy.recommend("How many?")
    assert copy.fit(train).selection_ == recommender.selection_


def test_fitting_twice_gives_the_same(train: Demonstrations, choosing: Recommender, test: Demonstrations) -> None:
    again = Recommender().fit(train)
    assert again.selection_ == choosing.selection_
    np.testing.assert_array_equal(
        again.policy_.model.score(test.queries, test.prompts), choosing.policy_.model.score(test.queries, test.prompts)
    )


def with_trials(demonstrations: Demonstrations, trials: np.ndarray) -> Demonstrations:
    return Demonstrations(
        demonstrations.queries,
        demonstrations.prompts,
        trials,
        np.minimum(demonstrations.successes, trials),
        demonstrations.unscored,
    )


def test_logs_that_cannot_be_learnt_from(train: Demonstrations) -> None:
    untried = train.trials.copy()
    untried[:, 2] = 0
    refused = {
        "one query": train.select_queries(np.array([0])),
        "no query": train.select_queries(np.array([], dtype=np.int64)),
        "no prompt": train.select_prompts([]),
        "no trial": with_trials(train, np.zeros_like(train.trials)),
        "a prompt without a trial": with_trials(train, untried),
    }
    for case, demonstrations in refused.items():
        with pytest.raises(DataError) as caught:
            Recommender().fit(demonstrations)
        assert str(caught.value), case
    with pytest.raises(DataError, match=rf"'{train.prompt_ids[2]}' has no scored trial.*select_prompts"):
        Recommender().fit(refused["a prompt without a trial"])


def test_too_few_groups(train: Demonstrations) -> None:
    with pytest.raises(ParameterError, match="10 folds need at least 10 groups of queries, got 3"):
        Recommender().fit(train.select_queries(np.arange(3)))
    of_one_group = Demonstrations(
        tuple(Query(f"Tom has {i} apples.") for i in range(30)),
        train.prompts,
        train.trials[:30],
        train.successes[:30],
        train.unscored[:30],
    )
    with pytest.raises(PromptOIRLError, match="groups"):
        Recommender().fit(of_one_group)
    with pytest.raises(ParameterError, match="got 1"):
        Recommender([Candidate("kernel", KernelAdvantage())]).fit(of_one_group)


def test_bad_arguments(train: Demonstrations) -> None:
    with pytest.raises(ParameterError, match="candidates is empty"):
        Recommender(()).fit(train)
    with pytest.raises(ParameterError, match="by='text'"):
        Recommender(by="text").fit(train)  # type: ignore[arg-type]


def test_one_prompt_is_recommended_to_all(train: Demonstrations) -> None:
    recommender = Recommender().fit(train.select_prompts([3]))
    assert not recommender.selection_.pays
    found = recommender.recommend("How many?")
    assert found.prompt == train.prompts[3]
    assert found.runners_up == ()


def test_logs_of_one_prompt_a_query_get_the_best_single_prompt(train: Demonstrations) -> None:
    kept = np.zeros_like(train.trials)
    kept[np.arange(train.n_queries), np.arange(train.n_queries) % 6] = 1
    recommender = Recommender([Candidate("kernel", KernelAdvantage())]).fit(with_trials(train, train.trials * kept))
    assert not recommender.selection_.pays


def test_a_fit_that_fails_leaves_the_recommender_as_it_was(train: Demonstrations) -> None:
    recommender = Recommender([Candidate("means", PromptMeans())]).fit(train)
    before = recommender.training_data_hash_
    with pytest.raises(PromptOIRLError):
        recommender.fit(train.select_queries(np.arange(3)))
    assert recommender.training_data_hash_ == before


def test_one_text_is_not_many(choosing: Recommender) -> None:
    with pytest.raises(ParameterError):
        choosing.recommend_many("Howmany?")
