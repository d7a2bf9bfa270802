from __future__ import annotations

import numpy as np
import pytest

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.features.embedders import EmbedderFeatures, PrecomputedEmbedder
from prompt_oirl.records import Prompt, Query
from prompt_oirl.reward.neighbours import NearestNeighbours

TEXTS = ["a", "b", "c", "d", "near a", "near d"]
VECTORS = np.array([[0, 0], [0, 1], [10, 0], [10, 1], [0, 0.4], [10, 0.6]])


@pytest.fixture
def logs() -> Demonstrations:
    trials = np.array([[4, 1], [1, 1], [0, 2], [1, 1]])
    return Demonstrations(
        queries=tuple(map(Query, TEXTS[:4])),
        prompts=(Prompt.from_text("p"), Prompt.from_text("q")),
        trials=trials,
        successes=np.array([[4, 0], [0, 0], [0, 2], [0, 1]]),
        unscored=np.zeros_like(trials),
    )


def test_rates_are_of_the_nearest_weighted_by_trials(logs: Demonstrations, monkeypatch: pytest.MonkeyPatch) -> None:
    features = EmbedderFeatures(PrecomputedEmbedder(TEXTS, VECTORS))
    model = NearestNeighbours(features, n_neighbours=2, prior_trials=1e-9, standardise=False).fit(logs)
    queries = [Query("near a"), Query("near d")]
    expected = [[4 / 5, 0], [0, 1]]
    assert model.score(queries, logs.prompts) == pytest.approx(np.array(expected), abs=1e-6)
    monkeypatch.setattr("prompt_oirl.reward.neighbours._CELLS", 1)
    assert model.score(queries, logs.prompts) == pytest.approx(np.array(expected), abs=1e-6)


def test_without_trials_nearby_the_prompt_mean_is_left(logs: Demonstrations) -> None:
    features = EmbedderFeatures(PrecomputedEmbedder(TEXTS, VECTORS))
    model = NearestNeighbours(features, n_neighbours=1, standardise=False).fit(logs)
    assert model.score([Query("c")], logs.prompts)[0, 0] == pytest.approx(4 / 6)


def test_standardised_features_count_alike(logs: Demonstrations) -> None:
    vectors = VECTORS * [1000, 1]
    features = EmbedderFeatures(PrecomputedEmbedder([*TEXTS, "far"], np.vstack([vectors, [4600, 1.2]])))
    model = NearestNeighbours(features, n_neighbours=1, standardise=True).fit(logs)
    assert model._nearest(model.scaling_.apply(np.array([[4600, 1.2]]))).tolist() == [[1]]
