from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.features.lexical import LexicalFeatures
from prompt_oirl.records import Prompt, Query
from prompt_oirl.reward.baselines import AdditiveModel, Lookup, PromptMeans


def random_demonstrations(seed: int, n_queries: int) -> Demonstrations:
    rng = np.random.default_rng(seed)
    trials = rng.integers(0, 4, (n_queries, 3))
    trials[0] = 1
    trials[~trials.any(axis=1), 0] = 1  # a query without a trial teaches nothing, and two are needed that do
    return Demonstrations(
        queries=tuple(Query(f"{'red' if i % 3 else 'blue'} query number {i}, {i % 5}") for i in range(n_queries)),
        prompts=tuple(Prompt.from_text(f"p{k}", id=f"p{k}") for k in range(3)),
        trials=trials,
        successes=rng.binomial(trials, rng.random((n_queries, 1))),
        unscored=np.zeros_like(trials),
    )


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), n_queries=st.integers(2, 40), l2=st.sampled_from([1e-6, 1.0, 1e6]))
@example(seed=65508, n_queries=2, l2=1e-6)
def test_the_additive_model_never_changes_the_choice(seed: int, n_queries: int, l2: float) -> None:
    logs = random_demonstrations(seed, n_queries)
    scores = AdditiveModel(LexicalFeatures(5, 2), l2=l2).fit(logs).score(logs.queries, logs.prompts)
    assert set(scores.argmax(axis=1)) == {int(logs.success_rates.argmax())}


def test_the_additive_model_does_predict_how_hard_queries_are(demonstrations) -> None:
    hard = demonstrations.successes.copy()
    hard[1::2] = 0
    logs = Demonstrations(
        queries=demonstrations.queries,
        prompts=demonstrations.prompts,
        trials=demonstrations.trials,
        successes=hard,
        unscored=demonstrations.unscored,
    )
    scores = AdditiveModel(LexicalFeatures(5, 2)).fit(logs).score(logs.queries, logs.prompts)
    assert scores[::2].mean() - scores[1::2].mean() > 0.3


def test_prompt_means_are_success_rates(with_missing) -> None:
    scores = PromptMeans().fit(with_missing).score(with_missing.queries[:3], with_missing.prompts)
    np.testing.assert_array_equal(scores, np.tile(with_missing.success_rates, (3, 1)))


def test_lookup_knows_training_queries_and_nothing_else() -> None:
    prompts = (Prompt.from_text("a"), Prompt.from_text("b"))
    trials = np.array([[3, 0], [1, 4]])
    logs = Demonstrations(
        queries=(Query("x"), Query("y")),
        prompts=prompts,
        trials=trials,
        successes=np.array([[3, 0], [1, 1]]),
        unscored=np.zeros_like(trials),
    )
    scores = Lookup(prior_trials=1).fit(logs).score([Query("y"), Query("new"), Query("x")], prompts)
    assert scores == pytest.approx(np.array([[1, (1 + 0.25) / 5], [1, 0.25], [1, 0.25]]))
