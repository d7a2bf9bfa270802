from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression

from prompt_oirl.features.lexical import LexicalFeatures
from prompt_oirl.features.threads import one_blas_thread
from prompt_oirl.reward.logistic import LogisticModel


def test_equals_scikit_learn(with_missing) -> None:
    model = LogisticModel(LexicalFeatures(5, 2), l2=20.0).fit(with_missing)
    texts = [query.text for query in with_missing.queries]
    X = model.scaling_.apply(model.features_.transform(texts))
    scores = model.score(with_missing.queries, with_missing.prompts)
    for k in range(with_missing.n_prompts):
        successes = with_missing.successes[:, k]
        failures = with_missing.trials[:, k] - successes
        reference = LogisticRegression(C=1 / 20.0, tol=1e-10, max_iter=5000)
        labels = np.repeat([1, 0], len(X))
        with one_blas_thread():
            reference.fit(np.vstack([X, X]), labels, sample_weight=np.concatenate([successes, failures]))
        np.testing.assert_allclose(scores[:, k], reference.predict_proba(X)[:, 1], atol=1e-3)


def test_a_prompt_that_always_succeeds_stays_finite(demonstrations) -> None:
    always = type(demonstrations)(
        queries=demonstrations.queries,
        prompts=demonstrations.prompts,
        trials=demonstrations.trials,
        successes=demonstrations.trials,
        unscored=demonstrations.unscored,
    )
    scores = LogisticModel(LexicalFeatures(5, 2)).fit(always).score(always.queries, always.prompts)
    assert np.isfinite(scores).all()
    assert scores.min() > 0.9
