from __future__ import annotations

from collections.abc import Callable

import numpy as np

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.evaluation import outcome_correlation

Make = Callable[..., Demonstrations]


def test_correlation_is_pearsons_over_the_rows_of_the_log(make_demonstrations: Make) -> None:
    rng = np.random.default_rng(0)
    trials = np.repeat(rng.integers(1, 4, 50)[:, None], 3, axis=1)
    logs = make_demonstrations(rng.binomial(trials, 0.5), trials)
    found = outcome_correlation(logs)
    expected = np.corrcoef(np.repeat(logs.rewards, logs.repeats, axis=0).T)
    np.testing.assert_allclose(found.correlation, expected, atol=1e-12)
    assert found.prompt_ids == ("p0", "p1", "p2")
    assert (found.n_queries == 50).all()


def test_each_pair_rests_on_the_queries_that_both_were_tried_on(make_demonstrations: Make) -> None:
    rng = np.random.default_rng(1)
    trials = (rng.random((60, 2)) < 0.7).astype(int)
    logs = make_demonstrations(rng.integers(0, 2, (60, 2)) * trials, trials)
    both = trials.all(axis=1)
    found = outcome_correlation(logs)
    np.testing.assert_allclose(found.correlation, np.corrcoef(logs.rewards[both].T), atol=1e-12)
    assert found.n_queries[0, 1] == both.sum()
    assert found.n_queries[0, 0] == trials[:, 0].sum()


def test_an_outcome_that_never_varies_has_no_correlation(make_demonstrations: Make) -> None:
    found = outcome_correlation(make_demonstrations([[1, 0, 0], [0, 0, 0], [1, 0, 0]], [[1, 1, 0]] * 3))
    np.testing.assert_array_equal(np.isnan(found.correlation), [[False, True, True], [True] * 3, [True] * 3])
    assert found.n_queries[0, 2] == 0
