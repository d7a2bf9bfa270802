from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.evaluation import Estimate
from prompt_oirl.features.lexical import LexicalFeatures
from prompt_oirl.features.threads import one_blas_thread
from prompt_oirl.policies import BestOfN, BestSinglePrompt, best_of_scores
from prompt_oirl.reward.baselines import AdditiveModel, PromptMeans
from prompt_oirl.reward.kernel_advantage import KernelAdvantage
from prompt_oirl.reward.logistic import LogisticModel
from prompt_oirl.selection import Candidate, Contest, Selection, held_out_scores, select, select_by_scores
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
    def leave_group_out(self, demonstrations: Demonstrations, groups: np.ndarray) -> np.ndarray:
        return groups[:, None] + np.arange(demonstrations.n_prompts)


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
    scores = held_out_scores(Recorder(), LOGS, groups=groups, n_folds=4, seed=3)
    assert len(Recorder.fitted_on) == 4
    seen = [{query.id for query in each.queries} for each in Recorder.fitted_on]
    for row, query in enumerate(LOGS.queries):
        fold = int(scores[row, 0]) - 1
        mates = {LOGS.queries[i].id for i in np.flatnonzero(groups == groups[row])}
        assert query.id in mates
        assert not mates & seen[fold]
        assert all(query.id in others for k, others in enumerate(seen) if k != fold)


def test_a_model_with_a_closed_form_is_not_fitted() -> None:
    groups = LOGS.groups()
    scores = held_out_scores(InClosedForm(), LOGS, groups=groups, n_folds=4, seed=3)
    np.testing.assert_array_equal(scores, groups[:, None] + np.arange(LOGS.n_prompts))
    assert Recorder.fitted_on == []


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
    found = select_by_scores(candidates, {"bold": bold, "timid": timid}, logs, groups=groups, confidence=0.95)
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
    scores = {"right": Knowing().score(LOGS.queries, LOGS.prompts)}
    candidates, groups = [Candidate("right", Knowing())], LOGS.groups()
    bounds = []
    for confidence in (0.75, 0.95, 0.99):
        found = select_by_scores(candidates, scores, LOGS, groups=groups, confidence=confidence)
        assert found.confidence == confidence
        assert found.best.gain.level == pytest.approx(2 * confidence - 1)
        bounds.append(found.best.gain.low)
    assert bounds[0] > bounds[1] > bounds[2]


def test_choosing_by_scores_at_hand_is_choosing() -> None:
    candidates = [Candidate("kernel", KernelAdvantage(), (0.0, 0.05)), Candidate("logistic", LogisticModel(SMALL))]
    learnable = LOGS.select_queries(np.flatnonzero(LOGS.trials.any(axis=1)))
    groups = learnable.groups("question")
    scores = {
        each.name: held_out_scores(each.model, learnable, groups=groups, n_folds=3, seed=5) for each in candidates
    }
    found = select(candidates, LOGS, n_folds=3, by="question", seed=5, confidence=0.9)
    assert found == select_by_scores(candidates, scores, learnable, groups=groups, confidence=0.9)
    single = BestSinglePrompt.chosen_on(learnable)
    column = learnable.prompt_ids.index(single.prompt_id)
    choices = best_of_scores(scores["kernel"], head_start=0.05, best_single=column)
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
    paired = ~np.isnan(rewards)
    assert found.best.gain.value == pytest.approx(np.average(rewards[paired], weights=LOGS.repeats[paired]))


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
