"""What is known of prompts that were left out of training, with models that know as much as a test wants."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from prompt_oirl.arrays import FloatArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.evaluation import AdmittedBestOfN, Estimate, UnseenPromptKnowledge, UnseenPrompts, unseen_prompts
from prompt_oirl.records import Prompt, Query
from prompt_oirl.reward.baselines import PromptMeans

Make = Callable[..., Demonstrations]

N, N_PROMPTS = 300, 6
RNG = np.random.default_rng(0)
TRUTH = np.clip(0.5 + 0.3 * RNG.choice([-1, 1], (N, N_PROMPTS)) + RNG.normal(0, 0.05, (N, N_PROMPTS)), 0.02, 0.98)


class Knows(BaseEstimator):  # type: ignore[misc]
    """Scores by a table: of training prompts always, of others where it is to know them; notes what it was shown."""

    shown: list[tuple[frozenset[str], frozenset[str]]] = []  # noqa: RUF012
    asked: list[tuple[frozenset[str], frozenset[str]]] = []  # noqa: RUF012

    def __init__(self, unseen: str = "truth") -> None:
        self.unseen = unseen

    gives_probabilities = True
    can_score_unseen = True

    def fit(self, demonstrations: Demonstrations) -> Knows:
        self.known_ = set(demonstrations.prompt_ids)
        self.queries_ = frozenset(query.text for query in demonstrations.queries)
        self.shown.append((self.queries_, frozenset(self.known_)))
        return self

    def score(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> FloatArray:
        self.asked.append((self.queries_, frozenset(query.text for query in queries)))
        letters = "abcdefghij"
        rows = [int("".join(str(letters.index(each)) for each in query.text)) for query in queries]
        scores: FloatArray = TRUTH[np.ix_(rows, [int(prompt.id[1:]) for prompt in prompts])].copy()
        for column, prompt in enumerate(prompts):
            if prompt.id not in self.known_:
                scores[:, column] = self._of_unseen(scores[:, column], np.array(rows))
        return scores

    def _of_unseen(self, truth: FloatArray, rows: np.ndarray) -> FloatArray:
        if self.unseen == "truth":
            return truth
        if self.unseen == "average":
            return np.full(len(rows), 0.5)
        return np.random.default_rng(7).random(10_000)[rows]


def logs(make: Make) -> Demonstrations:
    trials = np.full(TRUTH.shape, 2)
    return make(np.random.default_rng(1).binomial(trials, TRUTH), trials)


def found(make: Make, unseen: str) -> UnseenPromptKnowledge:
    return unseen_prompts(Knows(unseen), logs(make), n_folds=3)


def test_a_model_that_knows_unseen_prompts(make_demonstrations: Make) -> None:
    knowledge = found(make_demonstrations, "truth")
    for each in (knowledge.prompts_left_out, knowledge.both_left_out):
        assert each.pairwise_accuracy is not None
        assert each.pairwise_accuracy.over_queries.low > 0.75
        assert each.pairwise_accuracy.low_over_prompts > 0.75
        assert each.accuracy_from_knowledge is not None
        assert each.accuracy_from_knowledge.over_queries.low > 0.02
        assert each.correlation_within_prompts is not None
        assert each.correlation_within_prompts.over_queries.low > 0.4
        assert each.gain.over_queries.low > 0
        assert each.gain.low_over_prompts > 0
    verdict = knowledge.verdict
    assert verdict.gain is not None
    assert verdict.low is not None
    assert verdict.low_over_prompts is not None
    assert verdict.low < min(verdict.gain.low, verdict.low_over_prompts)  # errors of both kinds together
    assert verdict.may_win == (verdict.low > 0)
    assert [each.prompt_id for each in knowledge.both_left_out.prompts] == [f"p{i}" for i in range(N_PROMPTS)]
    assert "pairs in order" in str(knowledge.both_left_out)
    json.dumps(knowledge.to_dict(), allow_nan=False)


def test_unseen_prompts_may_win_by_the_bound_for_queries_and_prompts_together() -> None:
    gain = Estimate(0.02, 0.005, 0.035, 0.9, 10, 10, 40, 0)
    saved_before = UnseenPrompts("", gain, low_over_prompts=0.004)
    assert saved_before.may_win
    assert not replace(saved_before, low=-0.001).may_win
    assert replace(saved_before, low=0.001).may_win
    assert not replace(saved_before, gain=None).may_win


def test_the_numbers_are_what_they_say(make_demonstrations: Make) -> None:
    demonstrations = logs(make_demonstrations)
    both = found(make_demonstrations, "truth").both_left_out
    right = pairs = 0.0
    rewards = demonstrations.rewards
    predicted, logged = [], []
    for j in range(N_PROMPTS):
        for i in set(range(N_PROMPTS)) - {j}:
            differs = rewards[:, j] != rewards[:, i]
            agree = (TRUTH[:, j] > TRUTH[:, i]) == (rewards[:, j] > rewards[:, i])
            right, pairs = right + (differs & agree).sum(), pairs + differs.sum()
        others = np.delete(np.arange(N_PROMPTS), j)
        predicted.append(TRUTH[:, j] - TRUTH[:, others].mean(axis=1))
        logged.append(rewards[:, j] - rewards[:, others].mean(axis=1))
    assert both.pairwise_accuracy is not None
    assert both.pairwise_accuracy.value == pytest.approx(right / pairs)
    assert both.correlation is not None
    assert both.correlation.value == pytest.approx(np.corrcoef(np.ravel(predicted), np.ravel(logged))[0, 1])
    first = both.prompts[0]
    assert first.correlation == pytest.approx(np.corrcoef(predicted[0], logged[0])[0, 1])


def test_a_model_that_takes_them_for_average_knows_nothing_of_them(make_demonstrations: Make) -> None:
    both = found(make_demonstrations, "average").both_left_out
    assert both.pairwise_accuracy is not None
    assert both.accuracy_from_knowledge is not None
    assert both.pairwise_accuracy.value > 0.6  # by knowing the other prompt of the pair
    assert abs(both.accuracy_from_knowledge.value) < 0.03


def test_a_model_that_guesses_does_harm_and_they_may_not_win(make_demonstrations: Make) -> None:
    knowledge = found(make_demonstrations, "guess")
    both = knowledge.both_left_out
    assert both.accuracy_from_knowledge is not None
    assert both.accuracy_from_knowledge.over_queries.high < 0
    assert both.gain.over_queries.high < 0
    assert not knowledge.verdict.may_win


def test_what_is_left_out_is_never_shown(make_demonstrations: Make) -> None:
    Knows.shown.clear()
    Knows.asked.clear()
    found(make_demonstrations, "truth")
    assert len(Knows.shown) == N_PROMPTS * (1 + 3)
    assert all(len(prompts) == N_PROMPTS - 1 for _, prompts in Knows.shown)
    with_queries_seen, both_left_out = Knows.asked[:N_PROMPTS], Knows.asked[N_PROMPTS:]
    assert all(trained == asked for trained, asked in with_queries_seen)
    assert all(not trained & asked for trained, asked in both_left_out)


def test_the_interval_over_prompts_is_the_one_of_their_mean(make_demonstrations: Make) -> None:
    gain = found(make_demonstrations, "truth").both_left_out
    gains = np.array([each.gain for each in gain.prompts])
    half = 2.571 * gains.std(ddof=1) / np.sqrt(len(gains))
    assert gain.gain.high_over_prompts - gain.gain.value == pytest.approx(half, rel=1e-3)


def test_correlations_are_not_defined_where_nothing_varies(make_demonstrations: Make) -> None:
    demonstrations = make_demonstrations(np.ones((40, 3), int))
    both = unseen_prompts(Knows("average"), demonstrations, n_folds=2).both_left_out
    assert (both.pairwise_accuracy, both.accuracy_from_knowledge) == (None, None)
    assert (both.correlation, both.correlation_within_prompts) == (None, None)
    assert "not defined" in str(both)


def test_a_model_that_cannot_score_them_and_too_few_prompts(make_demonstrations: Make) -> None:
    with pytest.raises(ParameterError, match="scores only the prompts that it was trained on"):
        unseen_prompts(PromptMeans(), logs(make_demonstrations))
    with pytest.raises(DataError, match="2 training prompts are too few"):
        unseen_prompts(Knows(), logs(make_demonstrations).select_prompts([0, 1]))


@pytest.mark.parametrize("may_win", [True, False])
def test_held_out_prompts_are_chosen_only_on_evidence(make_demonstrations: Make, may_win: bool) -> None:
    demonstrations = logs(make_demonstrations)
    model = Knows("truth").fit(demonstrations.select_prompts([0, 1, 2]))
    evidence = UnseenPrompts("so", Estimate(0.02, 0.01 if may_win else -0.01, 0.03, 0.9, 10, 10, 40, 0), (), 0.01)
    policy = AdmittedBestOfN(model, demonstrations.prompts[3:], evidence, best_single="p1")
    shuffled = [demonstrations.prompts[i] for i in (4, 1, 5, 0, 3, 2)]
    choices = policy.choose(demonstrations.queries, shuffled)
    allowed = [0, 1, 2, 3, 4, 5] if may_win else [1, 3, 5]
    scores = model.score(demonstrations.queries, shuffled)
    assert set(choices) == set(allowed)
    np.testing.assert_array_equal(choices, np.array(allowed)[scores[:, allowed].argmax(axis=1)])
    if not may_win:
        with pytest.raises(ParameterError, match="all 3 prompts are held-out"):
            policy.choose(demonstrations.queries, demonstrations.prompts[3:])
