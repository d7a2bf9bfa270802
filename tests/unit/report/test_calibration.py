from __future__ import annotations

import numpy as np
import pytest

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError
from prompt_oirl.records import Prompt, Query
from prompt_oirl.report.calibration import calibrate_advantages


def drawn(probabilities: np.ndarray, seed: int = 0) -> tuple[Demonstrations, np.ndarray]:
    successes = (np.random.default_rng(seed).random(probabilities.shape) < probabilities).astype(np.int64)
    queries = tuple(
        Query(f"{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}{chr(97 + i // 676)}") for i in range(len(successes))
    )
    prompts = tuple(Prompt.from_text(f"Wording {j}.", id=str(j)) for j in range(successes.shape[1]))
    trials = np.ones_like(successes)
    return Demonstrations(queries, prompts, trials, successes, np.zeros_like(trials)), np.arange(len(queries))


@pytest.fixture
def probabilities() -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.clip(np.array([0.6, 0.5, 0.4]) + 0.2 * rng.standard_normal((6000, 3)), 0.02, 0.98)


def test_true_probabilities_are_calibrated(probabilities: np.ndarray) -> None:
    logs, groups = drawn(probabilities)
    found = calibrate_advantages(logs, probabilities, best_single=0, groups=groups)
    assert len(found.bins) == 10
    assert found.n_comparisons == 12_000
    assert found.slope is not None
    assert found.slope.low < 1 < found.slope.high
    assert found.slope.high - found.slope.low < 0.4
    inside = [each.measured.low - 0.01 < each.predicted < each.measured.high + 0.01 for each in found.bins]
    assert sum(inside) >= 8
    assert [each.predicted for each in found.bins] == sorted(each.predicted for each in found.bins)


def test_a_model_that_says_twice_too_much_has_half_the_slope(probabilities: np.ndarray) -> None:
    logs, groups = drawn(probabilities)
    found = calibrate_advantages(logs, 2 * probabilities, best_single=0, groups=groups)
    assert found.slope is not None
    assert found.slope.low < 0.5 < found.slope.high


def test_noise_has_no_slope_and_prompt_means_alone_have_none_to_give(probabilities: np.ndarray) -> None:
    logs, groups = drawn(probabilities)
    noise = np.random.default_rng(2).standard_normal(probabilities.shape)
    found = calibrate_advantages(logs, noise, best_single=0, groups=groups)
    assert found.slope is not None
    assert found.slope.low < 0 < found.slope.high
    means = np.tile(probabilities.mean(axis=0), (len(probabilities), 1))
    constant = calibrate_advantages(logs, means, best_single=0, groups=groups)
    assert constant.slope is None
    assert len(constant.bins) <= 2


def test_cells_without_a_trial_are_no_comparisons(probabilities: np.ndarray) -> None:
    logs, groups = drawn(probabilities[:100])
    trials = logs.trials.copy()
    trials[:40, 1] = 0
    trials[:60, 0] = 0
    logs = Demonstrations(logs.queries, logs.prompts, trials, logs.successes * trials, logs.unscored)
    found = calibrate_advantages(logs, probabilities[:100], best_single=0, groups=groups, n_bins=3)
    assert found.n_comparisons == 80
    assert sum(each.n_comparisons for each in found.bins) == 80


def test_nothing_to_compare_is_said() -> None:
    logs, groups = drawn(np.full((4, 2), 0.5))
    trials = logs.trials.copy()
    trials[:, 1] = 0
    logs = Demonstrations(logs.queries, logs.prompts, trials, logs.successes * trials, logs.unscored)
    with pytest.raises(DataError, match="no query has trials of both"):
        calibrate_advantages(logs, np.zeros((4, 2)), best_single=0, groups=groups)
