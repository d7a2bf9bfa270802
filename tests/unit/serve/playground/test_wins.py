from __future__ import annotations

import numpy as np
import pytest

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.records import Prompt, Query
from prompt_oirl.serve.playground import wins
from prompt_oirl.serve.playground.wins import training_wins
from prompt_oirl.testing import SyntheticWorld

COLOURS = ("red", "green", "blue", "white", "black", "brown", "pink", "grey")
SORTS = (("apples", "orchard", "basket"), ("trains", "station", "minutes"))


def logs(n_queries: int) -> Demonstrations:
    """Two sorts of queries: prompt `b` beats `a` on the apples by 40 points, and loses by 40 on the trains."""
    rng = np.random.default_rng(0)
    names = ["".join(rng.choice(list("abcdefghijklmnop"), 6)) for _ in range(n_queries)]
    queries = [Query(f"{' '.join(SORTS[i % 2])} {COLOURS[i % 8]} {name} and how many?") for i, name in enumerate(names)]
    rates = np.where(np.arange(n_queries)[:, None] % 2 == 0, [[0.5, 0.9, 0.3]], [[0.9, 0.5, 0.3]])
    trials = np.full(rates.shape, 5)
    prompts = tuple(Prompt.from_text(f"Wording {name}.", id=name) for name in "abc")
    return Demonstrations(tuple(queries), prompts, trials, rng.binomial(5, rates), np.zeros_like(trials))


def test_clusters_and_who_wins_in_them_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wins, "_N_CLUSTERS", 2)
    found = training_wins(logs(400), 0)
    assert [each.n_queries for each in found.clusters] == [200, 200]
    (apples,) = (i for i, each in enumerate(found.clusters) if set(each.words) == set(SORTS[0]))
    assert set(found.clusters[1 - apples].words) == set(SORTS[1])
    best, second, last = found.rows
    assert (best.prompt_id, best.is_best_single, best.trials) == ("a", True, 2000)
    assert best.cells[apples] is not None
    assert best.cells[apples].value == pytest.approx(0.5, abs=0.05)
    assert second.prompt_id == "b"
    gains = [cell for cell in second.cells if cell is not None]
    assert gains[apples].value == pytest.approx(0.4, abs=0.06)
    assert gains[apples].low > 0
    assert gains[1 - apples].high < 0
    assert all(cell is not None and cell.high < 0 for cell in last.cells)


def test_the_same_logs_give_the_same_map() -> None:
    demonstrations = SyntheticWorld(n_queries=300).demonstrations
    assert training_wins(demonstrations, 2) == training_wins(demonstrations, 2)


def test_few_queries_are_one_cluster() -> None:
    found = training_wins(logs(20), 0)
    assert [(each.words, each.n_queries) for each in found.clusters] == [((), 20)]


def test_queries_without_words_are_one_cluster() -> None:
    demonstrations = logs(100)
    numbers = tuple(Query("7" * (1 + i)) for i in range(100))
    numbered = Demonstrations(
        numbers, demonstrations.prompts, demonstrations.trials, demonstrations.successes, demonstrations.unscored
    )
    assert len(training_wins(numbered, 0).clusters) == 1


def test_a_prompt_without_trials_has_no_numbers() -> None:
    demonstrations = logs(100)
    trials, successes = demonstrations.trials.copy(), demonstrations.successes.copy()
    trials[:, 2] = successes[:, 2] = 0
    untried = Demonstrations(demonstrations.queries, demonstrations.prompts, trials, successes, demonstrations.unscored)
    row = training_wins(untried, 0).rows[-1]
    assert (row.prompt_id, row.trials, row.success_rate, set(row.cells)) == ("c", 0, None, {None})


def test_of_very_many_queries_some_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wins, "_MOST_QUERIES", 150)
    found = training_wins(logs(400), 0)
    assert found.n_queries == 400
    assert sum(each.n_queries for each in found.clusters) == 150
