from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.evaluation import Estimate, gain
from prompt_oirl.features.lexical import LexicalFeatures
from prompt_oirl.features.threads import one_blas_thread
from prompt_oirl.policies import BestOfN, BestSinglePrompt, best_of_scores
from prompt_oirl.reward.baselines import AdditiveModel, PromptMeans
from prompt_oirl.reward.kernel_advantage import KernelAdvantage
from prompt_oirl.reward.logistic import LogisticModel
from prompt_oirl.selection import (
    Candidate,
    Contest,
    Selection,
    candidate_scores,
    cross_fit,
    held_out_scores,
    select,
    select_by_scores,
)
from prompt_oirl.splits import grouped_folds
from prompt_oirl.testing import SyntheticWorld

WORLD = SyntheticWorld(n_queries=200, interaction=3, seed=1)
LOGS = WORLD.demonstrations
SMALL = LexicalFeatures(5, 0)


class Recorder(BaseEstimator):
    """Scores every query alike, and keeps what each of its copies was fitted on."""

    fitted_on: ClassVar[list[Demonstrations]] = []

    @property
    def gives_probabilities(self) -> bool:
        return False

    def fit(self, demonstrations: Demonstrations) -> Recorder:
        self.fitted_on.append(demonstrations)
        self.number_ = len(self.fitted_on)
        return self

    def score(self, queries: Any, prompts: Any) -> np.ndarray:
        return np.full((len(queries), len(prompts)), self.number_)


class InClosedForm(Recorder):
    def leave_groups_out(self, demonstrations: Demonstrations, partitions: Sequence[np.ndarray]) -> np.ndarray:
        return np.array([groups[:, None] + np.arange(demonstrations.n_prompts) for groups in partitions])


class Knowing(BaseEstimator):
    """Knows the truth, or, if `sign` is -1, its opposite."""

    def __init__(self, sign: float = 1.0) -> None:
        self.sign = sign

    @property
    def gives_probabilities(self) -> bool:
        return False

    def fit(self, demonstrations: Demonstrations) -> Knowing:
        return self

    def score(self, queries: Any, prompts: Any) -> np.ndarray:
        rows = [WORLD.queries.index(query) for query in queries]
        return self.sign * WORLD.success_probabilities[rows]


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    with one_blas_thread():
        yield


@pytest.fixture(autouse=True)
def _forget() -> None:
    Recorder.fitted_on.clear()


def an_estimate(value: float, low: float) -> Estimate:
    return Estimate(value, low, 2 * value - low, 0.9, 10, 10, 10, 0)


def test_a_candidate_needs_head_starts() -> None:
    assert Candidate("a", PromptMeans()).head_starts == (0.0,)
    for head_starts in ((), (0.1, -0.1)):
        with pytest.raises(ParameterError, match="candidate 'a'"):
            Candidate("a", PromptMeans(), head_starts)


@dataclass(frozen=True)
class Case:
    low: float
    pays: bool


@pytest.mark.parametrize("case", [Case(0.01, True), Case(0.0, False), Case(-0.01, False)])
def test_it_pays_where_the_lower_bound_is_above_zero(case: Case) -> None:
    best = Contest("a", 0.0, an_estimate(0.1, case.low))
    selection = Selection(contests=(best,), best=best, confidence=0.95)
    assert selection.pays is case.pays
    held = json.loads(json.dumps(selection.to_dict()))
    assert held["pays"] is case.pays
    assert held["best"]["gain"]["low"] == case.low
    assert [contest["candidate"] for contest in held["contests"]] == ["a"]


def test_held_out_scores_are_by_models_that_have_not_seen_the_group() -> None:
    groups = LOGS.groups()
    scores = held_out_scores(Recorder(), LOGS, groups=groups, n_folds=4, seed=3)[0]
    assert len(Recorder.fitted_on) == 4
    seen = [{query.id for query in each.queries} for each in Recorder.fitted_on]
    for row, query in enumerate(LOGS.queries):
        fold = int(scores[row, 0]) - 1
        mates = {LOGS.queries[i].id for i in np.flatnonzero(groups == groups[row])}
        assert query.id in mates
        assert not mates & seen[fold]
        assert all(query.id in others for k, others in enumerate(seen) if k != fold)


def test_a_model_with_a_closed_form_is_not_fitted_but_leaves_out_the_same_folds() -> None:
    groups = LOGS.groups()
    folds = held_out_scores(InClosedForm(), LOGS, groups=groups, n_folds=4, seed=3)[0, :, 0]
    assert Recorder.fitted_on == []
    fitted = held_out_scores(Recorder(), LOGS, groups=groups, n_folds=4, seed=3)[0, :, 0]
    np.testing.assert_array_equal(folds, fitted - 1)
    assert set(folds) == {0, 1, 2, 3}


@pytest.mark.parametrize("model", [InClosedForm(), Recorder()])
def test_each_run_has_folds_of_its_own(model: Any) -> None:
    groups = LOGS.groups()
    several = held_out_scores(model, LOGS, groups=groups, n_folds=4, n_runs=3, seed=3)
    assert several.shape == (3, *LOGS.trials.shape)
    for run in range(3):
        Recorder.fitted_on.clear()
        alone = held_out_scores(model, LOGS, groups=groups, n_folds=4, seed=3 + run)
        np.testing.assert_array_equal(several[run] - several[run].min(), alone[0] - alone[0].min())
    assert (several[0] != several[1]).any()


def test_held_out_scores_are_reproducible_and_depend_on_the_folds() -> None:
    groups = LOGS.groups()
    model = LogisticModel(SMALL)
    first, again, other = (held_out_scores(model, LOGS, groups=groups, n_folds=3, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    assert not hasattr(model, "prompts_")


def test_the_candidate_with_the_best_gain_is_chosen() -> None:
    candidates = [Candidate("wrong", Knowing(-1.0)), Candidate("right", Knowing()), Candidate("none", PromptMeans())]
    found = select(candidates, LOGS, seed=0)
    assert found.pays
    assert found.best.candidate == "right"
    gains = {contest.candidate: contest.gain for contest in found.contests}
    assert list(gains) == ["wrong", "right", "none"]
    assert gains["wrong"].value < gains["none"].value <= 0.01 < 0.1 < gains["right"].low
    assert not select(candidates[::2], LOGS).pays


def test_every_head_start_is_a_contest_and_a_head_start_nobody_can_catch_up_gains_nothing() -> None:
    found = select([Candidate("right", Knowing(), (0.0, 0.2, 2.0))], LOGS)
    assert [contest.head_start for contest in found.contests] == [0.0, 0.2, 2.0]
    last = found.contests[-1].gain
    assert (last.value, last.low, last.high) == (0, 0, 0)
    assert found.best.head_start < 2


def test_the_highest_lower_bound_is_chosen_not_the_highest_gain() -> None:
    """The bold candidate is right in more cases than it is wrong in, the timid one wherever it dares."""
    two = LOGS.select_prompts([0, 1])
    trials = np.ones_like(two.trials)
    n, rows = two.n_queries, np.arange(two.n_queries)
    successes = np.zeros_like(trials)
    successes[rows < 0.40 * n, 0] = 1
    successes[(rows >= 0.40 * n) & (rows < 0.70 * n), 1] = 1
    logs = Demonstrations(two.queries, two.prompts, trials, successes, 0 * trials)
    bold, timid = np.zeros((n, 2)), np.zeros((n, 2))
    bold[rows >= 0.28 * n, 1] = 1
    timid[(rows >= 0.40 * n) & (rows < 0.565 * n), 1] = 1
    groups = np.arange(n)
    candidates = [Candidate("bold", PromptMeans()), Candidate("timid", PromptMeans())]
    found = select_by_scores(
        candidates, {"bold": bold[None], "timid": timid[None]}, logs, groups=groups, n_folds=5, confidence=0.95
    )
    of_bold, of_timid = (contest.gain for contest in found.contests)
    assert of_bold.value > of_timid.value
    assert of_bold.low < of_timid.low
    assert found.best.candidate == "timid"


def test_of_equal_contests_the_one_with_the_larger_head_start_is_chosen() -> None:
    found = select([Candidate("a", PromptMeans(), (9.0, 5.0)), Candidate("b", PromptMeans(), (7.0,))], LOGS)
    assert (found.best.candidate, found.best.head_start) == ("a", 9.0)
    assert not found.pays


def test_the_additive_model_gains_exactly_nothing() -> None:
    """Where one prompt is the best on every fold; where it is not, it pays for choosing on fewer queries."""
    additive = [Candidate("additive", AdditiveModel(SMALL), (0.0, 0.05))]
    is_other = np.arange(LOGS.n_prompts) != 2
    clear = Demonstrations(LOGS.queries, LOGS.prompts, LOGS.trials, LOGS.successes * is_other, LOGS.unscored)
    clear.successes[:, 2] = LOGS.trials[:, 2]
    found = select(additive, clear)
    gains = [(each.gain.value, each.gain.low, each.gain.high) for each in found.contests]
    assert gains == [(0, 0, 0)] * 2
    assert not found.pays
    contested = select(additive, LOGS)
    assert contested.contests[0].gain.value < 0
    assert not contested.pays


def test_the_bound_is_one_sided() -> None:
    scores = {"right": Knowing().score(LOGS.queries, LOGS.prompts)[None]}
    candidates, groups = [Candidate("right", Knowing())], LOGS.groups()
    bounds: list[float] = []
    for confidence in (0.75, 0.95, 0.99):
        found = select_by_scores(candidates, scores, LOGS, groups=groups, n_folds=5, confidence=confidence)
        assert found.confidence == confidence
        assert found.best.gain.level == pytest.approx(2 * confidence - 1)
        bounds.append(found.best.gain.low)
    assert bounds[0] > bounds[1] > bounds[2]


def test_one_contest_needs_no_correction() -> None:
    scores = {"right": Knowing().score(LOGS.queries, LOGS.prompts)[None]}
    found = select_by_scores(
        [Candidate("right", Knowing())], scores, LOGS, groups=LOGS.groups(), n_folds=5, confidence=0.95
    )
    assert found.critical_value == pytest.approx(1.6449, abs=1e-4)
    assert found.best.low == pytest.approx(found.best.gain.low, abs=1e-9)
    assert found.rests_on == "lower bound at 95%, corrected for 1 contest"


def test_bounds_allow_for_what_folds_share() -> None:
    """Wider by the root of 1/runs + folds/(folds - 1) than over queries alone; so further runs bring them closer."""
    candidates, groups = [Candidate("right", Knowing())], LOGS.groups()
    right = Knowing().score(LOGS.queries, LOGS.prompts)
    single = np.full(LOGS.n_queries, LOGS.prompt_ids.index(BestSinglePrompt.chosen_on(LOGS).prompt_id))
    alone = gain(LOGS, best_of_scores(right, best_single=int(single[0])), single, groups=groups, level=0.9)
    for n_runs, n_folds in ((1, 5), (3, 5), (3, 10)):
        scores = {"right": np.array([right] * n_runs)}
        found = select_by_scores(candidates, scores, LOGS, groups=groups, n_folds=n_folds, confidence=0.95)
        widening = np.sqrt(1 / n_runs + n_folds / (n_folds - 1))
        assert found.best.gain.value == pytest.approx(alone.value)
        assert found.best.gain.value - found.best.low == pytest.approx(widening * (alone.value - alone.low))


def test_scores_of_another_shape_are_refused() -> None:
    flat = {"right": Knowing().score(LOGS.queries, LOGS.prompts)}
    with pytest.raises(ParameterError, match=r"scores of 'right' have shape .*n_runs"):
        select_by_scores([Candidate("right", Knowing())], flat, LOGS, groups=LOGS.groups(), n_folds=5, confidence=0.95)


def test_bounds_are_corrected_for_the_number_of_contests() -> None:
    """By more than nothing, and by less than for contests that know nothing of each other."""
    noise = np.random.default_rng(0).normal(0, 0.2, (3, LOGS.n_queries, LOGS.n_prompts))
    right = Knowing().score(LOGS.queries, LOGS.prompts)
    scores = {str(i): (right + noise[i])[None] for i in range(3)}
    candidates = [Candidate(name, Knowing(), (0.0, 0.05)) for name in scores]
    found = select_by_scores(candidates, scores, LOGS, groups=LOGS.groups(), n_folds=5, confidence=0.95)
    assert found.is_corrected
    assert found.critical_value is not None
    assert 1.7 < found.critical_value < 2.39  # Bonferroni's for six
    for contest in found.contests:
        assert contest.low < contest.gain.low
        out = (contest.gain.value - contest.low) / (contest.gain.value - contest.gain.low)
        assert out == pytest.approx(found.critical_value / 1.645, abs=0.03)
    assert found.best.low == max(contest.low for contest in found.contests)
    held = json.loads(json.dumps(found.to_dict()))
    assert (held["n_contests"], held["is_corrected"], held["critical_value"]) == (6, True, found.critical_value)
    assert held["lower_bound"] == held["best"]["simultaneous_low"] == found.best.low
    assert held["error_rate"] == pytest.approx(0.05)
    assert held["rests_on"] == "lower bound at 95%, corrected for 6 contests"


def test_a_contest_told_twice_needs_no_correction() -> None:
    scores = {name: Knowing().score(LOGS.queries, LOGS.prompts)[None] for name in "ab"}
    candidates = [Candidate(name, Knowing()) for name in "ab"]
    found = select_by_scores(candidates, scores, LOGS, groups=LOGS.groups(), n_folds=5, confidence=0.95)
    assert found.critical_value == pytest.approx(1.645, abs=0.02)


def test_it_pays_by_the_corrected_bound() -> None:
    gain = an_estimate(0.1, 0.01)
    best = Contest("a", 0.0, gain, simultaneous_low=-0.001)
    selection = Selection(contests=(best, Contest("b", 0.0, gain)), best=best, confidence=0.95, critical_value=1.9)
    assert not selection.pays


def test_a_selection_that_was_saved_before_says_that_its_bound_is_not_corrected() -> None:
    best = Contest("a", 0.0, an_estimate(0.1, 0.01))
    selection = Selection(contests=(best,) * 6, best=best, confidence=0.95)
    assert selection.pays
    assert not selection.is_corrected
    assert selection.rests_on == "lower bound at 95%, not corrected for the choice among 6 contests"
    assert selection.to_dict()["is_corrected"] is False


def test_cross_fitted_choices_are_those_of_a_selection_on_the_other_folds() -> None:
    right = Knowing().score(LOGS.queries, LOGS.prompts)
    noise = np.random.default_rng(1).normal(0, 0.1, right.shape)
    scores = {"right": np.array([right, right - noise, right + noise]), "wrong": np.array([-right] * 3)}
    candidates = [Candidate("right", Knowing(), (0.0, 0.1)), Candidate("wrong", Knowing(-1.0))]
    groups = LOGS.groups()
    found = cross_fit(candidates, scores, LOGS, groups=groups, n_folds=4, confidence=0.9, seed=2).with_rule
    weights = LOGS.repeats.astype(float)
    for fold, (train, test) in enumerate(grouped_folds(groups, 4, seed=2, weights=weights)):
        training = LOGS.select_queries(train)
        of_training = {name: of[:, train] for name, of in scores.items()}
        chosen = select_by_scores(candidates, of_training, training, groups=groups[train], n_folds=4, confidence=0.9)
        single = LOGS.prompt_ids.index(BestSinglePrompt.chosen_on(training).prompt_id)
        assert chosen.best.candidate == "right"
        assert chosen.pays
        expected = best_of_scores(scores["right"][2][test], head_start=chosen.best.head_start, best_single=single)
        np.testing.assert_array_equal(found.choices[test], expected)
        np.testing.assert_array_equal(found.baseline[test], single)
        np.testing.assert_array_equal(found.folds[test], fold)
    assert (found.choices != found.baseline).any()
    assert found.seed == 2


def test_cross_fitted_choices_are_the_best_single_prompt_where_nothing_pays() -> None:
    scores = {"wrong": -Knowing().score(LOGS.queries, LOGS.prompts)[None]}
    found = cross_fit([Candidate("wrong", Knowing(-1.0))], scores, LOGS, groups=LOGS.groups()).with_rule
    np.testing.assert_array_equal(found.choices, found.baseline)


def test_cross_fitted_choices_for_a_fold_do_not_look_at_its_rewards() -> None:
    """Its scores may; those are given here and stay as they are."""
    scores = {"right": Knowing().score(LOGS.queries, LOGS.prompts)[None]}
    candidates, groups = [Candidate("right", Knowing(), (0.0, 0.2))], LOGS.groups()
    found = cross_fit(candidates, scores, LOGS, groups=groups, seed=1).with_rule
    held_out = found.folds == 3
    successes = np.where(held_out[:, None], LOGS.trials - LOGS.successes, LOGS.successes)
    other = Demonstrations(LOGS.queries, LOGS.prompts, LOGS.trials, successes, LOGS.unscored)
    again = cross_fit(candidates, scores, other, groups=groups, seed=1).with_rule
    np.testing.assert_array_equal(found.choices[held_out], again.choices[held_out])
    np.testing.assert_array_equal(found.baseline[held_out], again.baseline[held_out])


def test_choosing_by_scores_at_hand_is_choosing() -> None:
    candidates = [Candidate("kernel", KernelAdvantage(), (0.0, 0.05)), Candidate("logistic", LogisticModel(SMALL))]
    learnable = LOGS.select_queries(np.flatnonzero(LOGS.trials.any(axis=1)))
    groups = learnable.groups("question")
    scores = candidate_scores(candidates, learnable, groups=groups, n_folds=3, n_runs=2, seed=5)
    assert {name: len(of) for name, of in scores.items()} == {"kernel": 2, "logistic": 1}
    found = select(candidates, LOGS, n_folds=3, n_runs=2, by="question", seed=5, confidence=0.9)
    assert found == select_by_scores(candidates, scores, learnable, groups=groups, n_folds=3, confidence=0.9)
    single = BestSinglePrompt.chosen_on(learnable)
    column = learnable.prompt_ids.index(single.prompt_id)
    choices = best_of_scores(scores["kernel"][0], head_start=0.05, best_single=column)
    changed = np.flatnonzero((choices != column) & (learnable.trials[:, column] > 0))
    assert 0 < len(changed) < learnable.n_queries
    assert found.contests[1].gain.value != found.contests[0].gain.value


def test_queries_without_a_trial_are_left_out() -> None:
    trials, successes = LOGS.trials.copy(), LOGS.successes.copy()
    trials[:50], successes[:50] = 0, 0
    partly = Demonstrations(LOGS.queries, LOGS.prompts, trials, successes, LOGS.unscored)
    candidates = [Candidate("kernel", KernelAdvantage()), Candidate("means", PromptMeans())]
    learnable = partly.select_queries(np.flatnonzero(trials.any(axis=1)))
    assert select(candidates, partly) == select(candidates, learnable)


def test_the_selection_is_of_the_policy_that_is_then_used() -> None:
    """Held-out scores and head start make the choices of BestOfN."""
    found = select([Candidate("right", Knowing(), (0.1,))], LOGS)
    single = BestSinglePrompt.chosen_on(LOGS)
    policy = BestOfN(Knowing(), head_start=0.1, best_single=single.prompt_id)
    column = LOGS.prompt_ids.index(single.prompt_id)
    chosen = policy.choose(LOGS.queries, LOGS.prompts)
    rewards = LOGS.rewards[np.arange(LOGS.n_queries), chosen] - LOGS.rewards[:, column]
    measured = ~np.isnan(rewards) & (chosen != column)
    share = np.average(chosen != column, weights=LOGS.repeats)
    expected = share * np.average(rewards[measured], weights=LOGS.repeats[measured])
    assert found.best.gain.value == pytest.approx(expected)


@pytest.mark.parametrize("confidence", [0.5, 1.0, 0.0, -1, 95, float("nan")])
def test_a_confidence_outside_its_range(confidence: float) -> None:
    with pytest.raises(ParameterError, match=f"confidence={confidence}"):
        select([Candidate("means", PromptMeans())], LOGS, confidence=confidence)


def test_a_confidence_outside_its_range_is_found_before_anything_is_fitted() -> None:
    with pytest.raises(ParameterError, match="confidence"):
        select([Candidate("recorder", Recorder())], LOGS, confidence=2)
    assert Recorder.fitted_on == []


def test_bad_arguments() -> None:
    with pytest.raises(ParameterError, match="candidates is empty"):
        select([], LOGS)
    means = [Candidate("means", PromptMeans())]
    with pytest.raises(ParameterError, match="n_folds=1"):
        select(means, LOGS, n_folds=1)
    with pytest.raises(ParameterError, match="groups"):
        select(means, LOGS.select_queries(np.arange(4)), n_folds=5)
    with pytest.raises(ParameterError, match="by='text'"):
        select(means, LOGS, by="text")  # type: ignore[arg-type]


def test_logs_without_a_reward() -> None:
    none = np.zeros_like(LOGS.trials)
    with pytest.raises(DataError, match="no scored trial"):
        select([Candidate("kernel", KernelAdvantage())], Demonstrations(LOGS.queries, LOGS.prompts, none, none, none))


def test_two_candidates_of_one_name_are_refused() -> None:
    with pytest.raises(ParameterError, match="'same'"):
        select([Candidate("same", Knowing(-1.0)), Candidate("same", Knowing())], LOGS)
