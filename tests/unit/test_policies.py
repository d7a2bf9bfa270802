from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from prompt_oirl.arrays import FloatArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, ParameterError, UnseenPromptError
from prompt_oirl.policies import (
    BestOfN,
    BestSinglePrompt,
    FallbackBestOfN,
    Oracle,
    Policy,
    RandomPrompt,
    SelfCritique,
    best_of_scores,
    best_single_of,
    best_single_prompt_chosen_on_test,
    reliable_rates,
)
from prompt_oirl.records import Prompt, Query

QUERIES = tuple(Query(f"How many lemons are in box {i}?") for i in range(4))
PROMPTS = tuple(Prompt.from_text(f"Wording {name}.", id=name) for name in "abcd")


@dataclass
class FixedScores:
    """A reward model that knows its scores."""

    scores: Sequence[Sequence[float]]
    gives_probabilities: bool = True

    def fit(self, demonstrations: Demonstrations) -> FixedScores:
        return self

    def score(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> FloatArray:
        columns = [PROMPTS.index(prompt) for prompt in prompts]
        return np.array(self.scores, float)[[QUERIES.index(query) for query in queries]][:, columns]


def demonstrations(successes: object, trials: object) -> Demonstrations:
    shape = np.shape(successes)
    return Demonstrations(
        QUERIES[: shape[0]], PROMPTS[: shape[1]], np.array(trials), np.array(successes), np.zeros(shape, int)
    )


MODEL = FixedScores([[0.1, 0.2, 0.9, 0.3], [0.6, 0.6, 0.6, 0.6], [0.4, 0.3, 0.2, 0.1], [0.5, 0.49, 0.9, 0.95]])


def test_best_of_n_takes_the_highest_score_and_the_first_of_equals() -> None:
    assert BestOfN(MODEL).choose(QUERIES, PROMPTS).tolist() == [2, 0, 0, 3]


def test_best_of_n_gives_ties_to_the_best_single_prompt() -> None:
    assert BestOfN(MODEL, best_single="c").choose(QUERIES, PROMPTS).tolist() == [2, 2, 0, 3]


def test_a_head_start_moves_choices_to_the_best_single_prompt() -> None:
    assert BestOfN(MODEL, head_start=0.1, best_single="b").choose(QUERIES, PROMPTS).tolist() == [2, 1, 1, 3]
    assert BestOfN(MODEL, head_start=1.0, best_single="b").choose(QUERIES, PROMPTS).tolist() == [1, 1, 1, 1]


def test_choices_index_the_prompts_as_they_were_given() -> None:
    assert BestOfN(MODEL).choose(QUERIES, PROMPTS[::-1]).tolist() == [1, 0, 3, 0]


def test_best_of_scores_takes_a_best_single_prompt_for_each_query() -> None:
    scores = np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 2.0]])
    assert best_of_scores(scores, best_single=np.array([1, 0, 0])).tolist() == [1, 0, 1]
    assert best_of_scores(scores, head_start=2.0, best_single=np.array([1, 0, 0])).tolist() == [1, 0, 0]


def test_best_of_scores_leaves_its_scores_as_they_were() -> None:
    scores = np.array([[1.0, 2.0]])
    best_of_scores(scores, head_start=5.0, best_single=0)
    assert scores.tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize("head_start", [-0.1, float("nan"), float("inf")])
def test_best_of_n_refuses_a_head_start_that_is_none(head_start: float) -> None:
    with pytest.raises(ParameterError, match="at least 0"):
        BestOfN(MODEL, head_start=head_start, best_single="a")


def test_best_of_n_refuses_a_head_start_for_nobody() -> None:
    with pytest.raises(ParameterError, match="needs best_single"):
        BestOfN(MODEL, head_start=0.1)


def test_best_of_n_needs_the_best_single_prompt_among_the_prompts() -> None:
    with pytest.raises(UnseenPromptError, match="'d'"):
        BestOfN(MODEL, best_single="d").choose(QUERIES, PROMPTS[:3])


def test_best_of_n_refuses_nan_scores() -> None:
    with pytest.raises(DataError, match="FixedScores gave 1 NaN of 8 scores"):
        BestOfN(FixedScores([[0.1, float("nan")], *[[0.1, 0.2]] * 3])).choose(QUERIES, PROMPTS[:2])


def test_best_of_n_refuses_scores_of_another_shape() -> None:
    class Flat(FixedScores):
        def score(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> FloatArray:
            return super().score(queries, prompts)[0]

    with pytest.raises(DataError, match=r"shape \(4,\) for 4 queries × 4 prompts"):
        BestOfN(Flat(MODEL.scores)).choose(QUERIES, PROMPTS)


def test_best_single_prompt_has_the_highest_training_success_rate() -> None:
    # a: 2 of 4, b: 3 of 4, c: never tried
    train = demonstrations([[1, 1, 0], [1, 2, 0]], [[1, 1, 0], [3, 3, 0]])
    policy = BestSinglePrompt.chosen_on(train)
    assert policy == BestSinglePrompt("b")
    assert policy.choose(QUERIES, PROMPTS).tolist() == [1, 1, 1, 1]


def test_best_single_prompt_is_the_first_of_equals() -> None:
    assert BestSinglePrompt.chosen_on(demonstrations([[0, 1, 1]], [[2, 2, 2]])) == BestSinglePrompt("b")


def logs(trials: object, successes: object) -> Demonstrations:
    """Demonstrations of as many queries and prompts as there are rows and columns."""
    trials, successes = np.array(trials), np.array(successes)
    queries = tuple(Query(f"Question {i}?") for i in range(len(trials)))
    prompts = tuple(Prompt.from_text(f"Wording {j}.", id=str(j)) for j in range(trials.shape[1]))
    return Demonstrations(queries, prompts, trials, successes, np.zeros_like(trials))


def half_right(n: int, n_prompts: int) -> tuple[np.ndarray, np.ndarray]:
    trials = np.ones((n, n_prompts), int)
    return trials, np.where(np.arange(n)[:, None] % 2 == np.arange(n_prompts) % 2, 1, 0)


def test_three_lucky_trials_make_no_best_prompt() -> None:
    for n_prompts in (2, 3, 6):
        trials, successes = half_right(300, n_prompts)
        trials[3:, 0], successes[3:, 0], successes[:3, 0] = 0, 0, 1
        found = logs(trials, successes)
        assert found.success_rates[0] == 1
        assert best_single_of(found) != 0


def test_a_prompt_that_is_better_on_many_trials_is_best_however_unequal_they_are() -> None:
    trials, successes = half_right(300, 3)
    trials[100:, 0], successes[100:, 0] = 0, 0
    successes[:100, 0] = np.arange(100) < 80
    assert best_single_of(logs(trials, successes)) == 0


def test_a_prompt_that_was_tried_on_easy_queries_only_is_not_best_for_that() -> None:
    """All succeed on easy queries; on hard ones prompt 1 does now and then, and prompt 0 was not tried there."""
    is_easy = np.arange(200) < 100
    trials = np.column_stack([is_easy, np.ones(200), np.ones(200)]).astype(int)
    one = is_easy | (np.arange(200) % 4 == 0)
    found = logs(trials, np.column_stack([is_easy, one, is_easy]).astype(int))
    assert found.success_rates.argmax() == 0
    assert best_single_of(found) == 1


def test_prompts_that_share_no_query_are_compared_by_their_success_rates() -> None:
    is_first = (np.arange(600) < 300)[:, None]
    trials = np.where(is_first, [[1, 0]], [[0, 1]])
    successes = trials * (np.arange(600) % 10 < np.where(np.arange(600) < 300, 5, 7))[:, None]
    assert best_single_of(logs(trials, successes)) == 1
    trials[303:], successes[303:] = 0, 0
    assert logs(trials, successes).success_rates.argmax() == 1
    assert best_single_of(logs(trials, successes)) == 0


def test_a_prompt_without_a_trial_changes_nothing() -> None:
    trials, successes = half_right(50, 3)
    trials[:10, 1], successes[:10, 1] = 0, 0
    expected = reliable_rates(logs(trials, successes))
    found = reliable_rates(logs(np.insert(trials, 1, 0, axis=1), np.insert(successes, 1, 0, axis=1)))
    assert np.isnan(found[1])
    np.testing.assert_allclose(np.delete(found, 1), expected)


@st.composite
def complete_logs(draw: st.DrawFn) -> Demonstrations:
    n_queries, n_prompts = draw(st.integers(1, 60)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    trials = np.repeat(rng.integers(0, 4, (n_queries, 1)), n_prompts, axis=1)
    trials[:, rng.random(n_prompts) < 0.1] = 0
    return logs(trials, rng.binomial(trials, rng.random(n_prompts)))


@given(complete_logs())
def test_where_all_prompts_were_tried_alike_the_highest_success_rate_is_best(complete: Demonstrations) -> None:
    assume(complete.trials.any())
    np.testing.assert_array_equal(reliable_rates(complete), complete.success_rates)
    assert best_single_of(complete) == np.nanargmax(complete.success_rates)


@given(complete_logs(), st.integers(0, 2**32 - 1))
def test_the_best_single_prompt_is_one_that_was_tried_and_does_not_depend_on_order(
    complete: Demonstrations, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    trials = np.where(rng.random(complete.trials.shape) < 0.3, 0, complete.trials)
    assume(trials.any())
    some = logs(trials, np.minimum(complete.successes, trials))
    rates = reliable_rates(some)
    best = best_single_of(some)
    assert some.trials[:, best].any()
    order = rng.permutation(some.n_prompts)
    np.testing.assert_allclose(reliable_rates(some.select_prompts(order)), rates[order], atol=1e-9)
    queries = rng.permutation(some.n_queries)
    np.testing.assert_allclose(reliable_rates(some.select_queries(queries)), rates, atol=1e-9)


def test_a_few_missing_cells_hardly_move_what_prompts_are_ranked_by() -> None:
    rng = np.random.default_rng(0)
    trials = np.ones((1000, 4), int)
    successes = rng.binomial(trials, [0.5, 0.55, 0.6, 0.4])
    trials_left = np.where(rng.random(trials.shape) < 0.02, 0, trials)
    complete, some = logs(trials, successes), logs(trials_left, successes * trials_left)
    moved = reliable_rates(some) - complete.success_rates
    assert np.ptp(moved) < 0.02
    assert best_single_of(some) == best_single_of(complete)


def test_best_single_prompt_needs_a_trial() -> None:
    with pytest.raises(DataError, match="none of the 2 prompts"):
        BestSinglePrompt.chosen_on(demonstrations([[0, 0]], [[0, 0]]))


def test_best_single_prompt_must_be_among_the_prompts() -> None:
    with pytest.raises(UnseenPromptError, match="'z'"):
        BestSinglePrompt("z").choose(QUERIES, PROMPTS)


def test_the_test_chosen_single_prompt_is_the_best_of_the_test_set() -> None:
    assert best_single_prompt_chosen_on_test(demonstrations([[0, 1]], [[1, 1]])) == BestSinglePrompt("b")


def test_fallback_chooses_held_out_prompts_only_where_all_training_prompts_are_doubtful() -> None:
    policy = FallbackBestOfN(MODEL, fallback_prompts=PROMPTS[2:])
    # training prompts' best: .2, .6, .4, .5 (the threshold itself is not doubtful)
    assert policy.choose(QUERIES, PROMPTS).tolist() == [2, 0, 2, 0]


def test_fallback_does_not_depend_on_the_order_of_the_prompts() -> None:
    policy = FallbackBestOfN(MODEL, fallback_prompts=PROMPTS[:1], threshold=0.7)
    assert policy.choose(QUERIES, PROMPTS[::-1]).tolist() == [1, 3, 3, 0]


def test_fallback_threshold_can_be_chosen() -> None:
    assert FallbackBestOfN(MODEL, PROMPTS[2:], threshold=0.0).choose(QUERIES, PROMPTS).tolist() == [1, 0, 0, 0]


def test_fallback_needs_probabilities() -> None:
    with pytest.raises(ParameterError, match="FixedScores are no probabilities"):
        FallbackBestOfN(FixedScores(MODEL.scores, gives_probabilities=False), PROMPTS[2:])


@pytest.mark.parametrize("threshold", [-0.01, 1.01, float("nan")])
def test_fallback_threshold_is_a_probability(threshold: float) -> None:
    with pytest.raises(ParameterError, match="threshold"):
        FallbackBestOfN(MODEL, PROMPTS[2:], threshold=threshold)


def test_fallback_needs_both_kinds_of_prompts() -> None:
    with pytest.raises(ParameterError, match="empty"):
        FallbackBestOfN(MODEL, [])
    with pytest.raises(ParameterError, match="all 2 prompts are fallback"):
        FallbackBestOfN(MODEL, PROMPTS[2:]).choose(QUERIES, PROMPTS[2:])
    with pytest.raises(UnseenPromptError, match="'d'"):
        FallbackBestOfN(MODEL, PROMPTS[2:]).choose(QUERIES, PROMPTS[:3])


def test_self_critique_takes_the_most_confident_and_the_first_of_equals() -> None:
    confidence = np.array([[0.2, 0.9, 0.5], [0.5, 0.5, 0.5], [np.nan, 0.1, 0.2], [np.nan] * 3])
    policy = SelfCritique.from_array(QUERIES, PROMPTS[:3], confidence)
    assert policy.choose(QUERIES, PROMPTS[:3]).tolist() == [1, 0, 2, 0]
    assert policy.choose(QUERIES[2:0:-1], PROMPTS[2::-2]).tolist() == [0, 0]


def test_self_critique_does_without_single_critiques() -> None:
    policy = SelfCritique({QUERIES[0]: {"a": 0.3}, QUERIES[1]: {"a": 0.3, "b": 0.4}})
    assert policy.choose(QUERIES[:2], PROMPTS[:2]).tolist() == [0, 1]
    assert policy.choose(QUERIES[:1], PROMPTS[1::-1]).tolist() == [1]


def test_self_critique_knows_what_it_does_not_know() -> None:
    policy = SelfCritique({QUERIES[0]: {"a": 0.3}})
    with pytest.raises(DataError, match="1 of 2 queries are unknown"):
        policy.choose(QUERIES[:2], PROMPTS[:1])
    with pytest.raises(UnseenPromptError, match="'b'"):
        policy.choose(QUERIES[:1], PROMPTS[:2])


def test_self_critique_refuses_another_shape_and_repeated_queries() -> None:
    with pytest.raises(DataError, match="4 queries × 2 prompts"):
        SelfCritique.from_array(QUERIES, PROMPTS[:2], np.zeros((4, 3)))
    with pytest.raises(DataError, match="1 of 2 queries are repeats"):
        SelfCritique.from_array([QUERIES[0]] * 2, PROMPTS[:2], np.zeros((2, 2)))


def test_random_prompt_is_uniform_and_seeded() -> None:
    queries = [Query(f"Question {i}") for i in range(4000)]
    choices = RandomPrompt(0).choose(queries, PROMPTS)
    shares = np.bincount(choices, minlength=4) / 4000
    assert np.abs(shares - 0.25).max() < 4 * np.sqrt(0.25 * 0.75 / 4000)
    again, other = RandomPrompt(0).choose(queries, PROMPTS), RandomPrompt(1).choose(queries, PROMPTS)
    assert np.array_equal(again, choices)
    assert np.mean(other == choices) == pytest.approx(0.25, abs=0.03)


def test_random_prompt_does_not_depend_on_the_order_of_the_prompts() -> None:
    assert np.array_equal(RandomPrompt(3).choose(QUERIES, PROMPTS), 3 - RandomPrompt(3).choose(QUERIES, PROMPTS[::-1]))


def test_oracle_takes_the_highest_logged_reward() -> None:
    logged = demonstrations([[0, 1, 0], [1, 1, 0], [0, 0, 0]], [[1, 1, 0], [1, 2, 0], [0, 0, 1]])
    oracle = Oracle(logged)
    assert oracle.choose(QUERIES[:3], PROMPTS[:3]).tolist() == [1, 0, 2]
    assert oracle.choose(QUERIES[1::-1], PROMPTS[2::-1]).tolist() == [2, 1]


def test_oracle_knows_only_what_was_logged() -> None:
    oracle = Oracle(demonstrations([[0, 1]], [[1, 1]]))
    with pytest.raises(DataError, match="1 of 1 queries"):
        oracle.choose(QUERIES[3:], PROMPTS[:2])
    with pytest.raises(UnseenPromptError, match="'d'"):
        oracle.choose(QUERIES[:1], PROMPTS)


EVERY_POLICY = [
    BestOfN(MODEL),
    BestSinglePrompt("a"),
    FallbackBestOfN(MODEL, PROMPTS[2:]),
    SelfCritique.from_array(QUERIES, PROMPTS, np.array(MODEL.scores)),
    RandomPrompt(0),
    Oracle(demonstrations(np.eye(4, dtype=int), np.ones((4, 4), int))),
]


@pytest.mark.parametrize("policy", EVERY_POLICY, ids=lambda policy: type(policy).__name__)
def test_every_policy_needs_a_prompt_and_no_query(policy: Policy) -> None:
    with pytest.raises((ParameterError, UnseenPromptError)):
        policy.choose(QUERIES, [])
    choices = policy.choose([], PROMPTS)
    assert choices.shape == (0,)
    assert np.issubdtype(choices.dtype, np.integer)
