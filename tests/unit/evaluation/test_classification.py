from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.evaluation import classify

Make = Callable[..., Demonstrations]


def test_metrics_by_hand(make_demonstrations: Make) -> None:
    # cells: .9 with 3 of 4, .2 with 1 of 2, .5 with 0 of 1; the last was never tried
    logs = make_demonstrations([[3, 1], [0, 0]], [[4, 2], [1, 0]])
    found = classify(logs, np.array([[0.9, 0.2], [0.5, np.nan]]))
    assert (found.n_trials, found.n_successes, found.n_called_successes) == (7, 4, 5)
    assert (found.n_cells, found.n_missing_cells) == (3, 1)
    assert found.accuracy == pytest.approx((3 + 1) / 7)
    assert found.majority_accuracy == pytest.approx(4 / 7)
    assert found.precision == pytest.approx(3 / 5)
    assert found.recall == pytest.approx(3 / 4)
    assert found.f1 == pytest.approx(2 * 0.6 * 0.75 / 1.35)
    # pairs of a success (.9 ×3, .2) and a failure (.9, .2, .5): won 3·2, tied 3·1 and 1·1
    assert found.auc == pytest.approx((6 + 4 / 2) / 12)
    assert found.brier == pytest.approx((3 * 0.01 + 0.81 + 0.64 + 0.04 + 0.25) / 7)
    logs_of = np.log([0.9, 0.1, 0.2, 0.8, 0.5])
    assert found.log_loss == pytest.approx(-(logs_of @ [3, 1, 1, 1, 1]) / 7)
    assert found.undefined == ()


def test_the_threshold_itself_is_a_success(make_demonstrations: Make) -> None:
    logs = make_demonstrations([[1], [0]])
    at = classify(logs, np.array([[0.7], [0.1]]), threshold=0.7)
    above = classify(logs, np.array([[0.7], [0.1]]), threshold=0.71)
    assert (at.n_called_successes, at.accuracy) == (1, 1.0)
    assert (above.n_called_successes, above.accuracy) == (0, 0.5)


def test_what_divides_zero_by_zero_is_zero_and_named(make_demonstrations: Make) -> None:
    failures = classify(make_demonstrations([[0], [0]]), np.array([[0.1], [0.2]]))
    assert (failures.precision, failures.recall, failures.f1, failures.auc) == (0.0, 0.0, 0.0, None)
    assert failures.undefined == ("precision", "recall", "f1", "auc")
    assert (failures.accuracy, failures.majority_accuracy) == (1.0, 1.0)
    successes = classify(make_demonstrations([[1], [1]]), np.array([[0.1], [0.2]]))
    assert successes.undefined == ("precision", "auc")
    called = classify(make_demonstrations([[0], [0]]), np.array([[0.8], [0.2]]))
    assert called.undefined == ("recall", "auc")


def test_verdicts_are_probabilities_too(make_demonstrations: Make) -> None:
    found = classify(make_demonstrations([[1], [0], [1]]), np.array([[1], [1], [0]]))
    assert found.accuracy == pytest.approx(1 / 3)
    assert np.isfinite(found.log_loss)
    assert json.loads(json.dumps(found.to_dict()))["undefined"] == []


@pytest.mark.parametrize("bad", [1.2, -0.1, np.nan])
def test_what_is_no_probability_is_refused(make_demonstrations: Make, bad: float) -> None:
    with pytest.raises(ParameterError, match="1 of 2 probabilities"):
        classify(make_demonstrations([[1], [0]]), np.array([[bad], [0.5]]))


def test_shapes_must_agree(make_demonstrations: Make) -> None:
    with pytest.raises(ParameterError, match="2 queries × 1 prompts"):
        classify(make_demonstrations([[1], [0]]), np.array([[0.5, 0.5]]))


def test_there_must_be_a_trial(make_demonstrations: Make) -> None:
    with pytest.raises(DataError, match="nothing to classify"):
        classify(make_demonstrations([[0]], [[0]]), np.array([[0.5]]))
