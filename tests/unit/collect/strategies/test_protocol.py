"""Which cells each strategy names: by seed and ids alone, in rounds that go on from a stored state."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.collect.strategies.protocol import FullGrid, Round, Strategy
from prompt_oirl.collect.strategies.random_cells import RandomFraction, hash_coins
from prompt_oirl.collect.strategies.uncertain import Uncertain, contention, propensities_for
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ParameterError, StoreError
from prompt_oirl.records import Prompt, Query

QUERIES = tuple(Query(f"What is {i} plus {i % 7}?") for i in range(240))
PROMPTS = tuple(Prompt.from_text(f"Wording {name}.", id=name) for name in "abcd")
STRATEGIES: tuple[Strategy, ...] = (
    FullGrid(),
    RandomFraction(0.3),
    RandomFraction(0.3, whole_queries=False),
    Uncertain(0.3, n_rounds=4),
)


class Favourite:
    """A reward model that scores prompt b highest, then a, and all others far behind; on short queries by less."""

    gives_probabilities = False

    def fit(self, demonstrations: Demonstrations) -> Favourite:
        self.n_queries = demonstrations.n_queries
        return self

    def score(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> FloatArray:
        lead = np.array([0.5 if len(query.text) < 19 else 3.0 for query in queries])
        ranks: IntArray = np.array(["ba".find(prompt.id) % 7 for prompt in prompts])
        scores: FloatArray = -lead[:, None] * ranks
        return scores


def nothing() -> Demonstrations:
    return Demonstrations.from_records([])


def all_wrong(
    queries: Sequence[Query], prompts: Sequence[Prompt], bought: dict[tuple[str, str], float]
) -> Demonstrations:
    pairs = [
        (q, p) for q, query in enumerate(queries) for p, prompt in enumerate(prompts) if (query.id, prompt.id) in bought
    ]
    rows, columns = (
        (np.array(part, dtype=np.int64) for part in zip(*pairs, strict=True)) if pairs else (np.array([], int),) * 2
    )
    return Demonstrations.from_cells(queries, prompts, rows=rows, columns=columns, rewards=np.zeros(len(rows), int))


def buy(
    strategy: Strategy,
    queries: Sequence[Query] = QUERIES,
    prompts: Sequence[Prompt] = PROMPTS,
    *,
    state: str | None = None,
    bought: dict[tuple[str, str], float] | None = None,
) -> tuple[list[Round], dict[tuple[str, str], float]]:
    """Return all rounds, and the propensity of every pair that is bought, by its ids."""
    rounds = []
    bought = {} if bought is None else dict(bought)
    while True:
        drawn = strategy.next_round(
            queries, prompts, state=state, demonstrations=lambda: all_wrong(queries, prompts, bought)
        )
        if drawn is None:
            return rounds, bought
        rounds.append(drawn)
        state = drawn.state
        for row, column, propensity in zip(drawn.rows, drawn.columns, drawn.propensities, strict=True):
            bought.setdefault((queries[row].id, prompts[column].id), float(propensity))


@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
def test_every_strategy_keeps_the_protocol(strategy: Strategy) -> None:
    assert isinstance(strategy, Strategy)
    rounds, bought = buy(strategy)
    assert 0 < len(bought) <= len(QUERIES) * len(PROMPTS)
    assert len(bought) == sum(len(drawn) for drawn in rounds)
    assert all(len(drawn.state) < 300 and json.loads(drawn.state) for drawn in rounds)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
def test_a_round_is_the_same_whenever_it_is_asked_for(strategy: Strategy) -> None:
    (first, *_), _ = buy(strategy)
    (again, *_), _ = buy(strategy)
    for name in ("rows", "columns", "propensities"):
        assert np.array_equal(getattr(first, name), getattr(again, name))
    assert first.state == again.state


def test_the_full_grid_is_every_pair_with_certainty() -> None:
    (only,), bought = buy(FullGrid())
    assert len(bought) == len(QUERIES) * len(PROMPTS)
    assert set(bought.values()) == {1.0}
    assert not FullGrid().is_drawn
    assert FullGrid().next_round(QUERIES, PROMPTS[:2], state=only.state, demonstrations=nothing) is not None


@pytest.mark.parametrize("whole_queries", [True, False])
def test_a_random_fraction_depends_on_seed_and_ids_alone(whole_queries: bool) -> None:
    strategy = RandomFraction(0.3, seed=5, whole_queries=whole_queries)
    (drawn,), bought = buy(strategy)
    _, backwards = buy(strategy, QUERIES[::-1], PROMPTS[::-1])
    (_,), smaller = buy(strategy, QUERIES[:100], PROMPTS[:2])
    assert bought == backwards
    assert smaller.items() <= bought.items()
    assert set(bought.values()) == {0.3}
    assert buy(strategy, state=drawn.state) == ([], {})
    assert buy(RandomFraction(0.3, seed=6, whole_queries=whole_queries))[1] != bought


def test_a_random_fraction_goes_on_where_the_grid_grew() -> None:
    strategy = RandomFraction(0.3)
    (drawn,), smaller = buy(strategy, QUERIES[:100], PROMPTS[:2])
    (_,), grown = buy(strategy, state=drawn.state, bought=smaller)
    assert grown == buy(strategy)[1]


def test_whole_queries_are_bought_with_all_prompts_or_none() -> None:
    _, whole = buy(RandomFraction(0.3))
    _, cells = buy(RandomFraction(0.3, whole_queries=False))

    def prompts_bought(bought: dict[tuple[str, str], float]) -> set[int]:
        ids = [query for query, _ in bought]
        return {ids.count(id) for id in ids}

    assert prompts_bought(whole) == {4}
    assert prompts_bought(cells) == {1, 2, 3, 4}


def test_coins_stay_what_they_are_in_later_versions() -> None:
    coins = hash_coins(["one", "two"], seed=0, purpose="query")
    assert coins.tolist() == [0.845859423096783, 0.2589632302197272]
    assert hash_coins(["one"], seed=1, purpose="query")[0] != coins[0] != hash_coins(["one"], seed=0, purpose="x")[0]


def test_uncertain_considers_every_query_in_one_round() -> None:
    rounds, bought = buy(Uncertain(1.0, n_rounds=7))
    assert [len(set(drawn.rows)) for drawn in rounds] == [35, 35, 34, 34, 34, 34, 34]
    assert len(bought) == len(QUERIES) * len(PROMPTS)
    assert set(bought.values()) == {1.0}


def test_uncertain_buys_at_random_until_there_is_something_to_learn_from() -> None:
    rounds = []
    state = None
    while (
        drawn := Uncertain(0.3, n_rounds=3).next_round(QUERIES, PROMPTS, state=state, demonstrations=nothing)
    ) is not None:
        rounds.append(drawn)
        state = drawn.state
    assert len(rounds) == 3
    assert all(set(drawn.propensities) == {0.3} for drawn in rounds)


def test_uncertain_buys_more_of_the_prompts_in_contention() -> None:
    first, *later = buy(Uncertain(0.3, n_rounds=4, model=Favourite))[0]
    assert set(first.propensities) == {0.3}
    for drawn in later:
        of = {name: drawn.propensities[drawn.columns == column] for column, name in enumerate("abcd")}
        assert min(of["b"]) == max(of["b"]) == max(drawn.propensities) > 0.3
        assert len(set(of["a"])) == 2
        assert max(of["a"]) < max(of["b"])
        assert of["c"].size == 0 or max(of["c"]) <= min(of["a"])
        assert min(drawn.propensities) >= 0.2 * 0.3


def test_a_coin_is_shared_by_the_prompts_of_a_query() -> None:
    for drawn in buy(Uncertain(0.3, n_rounds=4, model=Favourite))[0]:
        for row in set(drawn.rows):
            assert {1} <= set(drawn.columns[drawn.rows == row])


def test_uncertain_goes_on_from_its_state() -> None:
    strategy = Uncertain(0.3, n_rounds=4, model=Favourite)
    rounds, bought = buy(strategy)
    _, until_then = buy(strategy, state=rounds[0].state, bought=buy_first(strategy))
    assert until_then == bought
    assert buy(strategy, state=rounds[-1].state) == ([], {})


def buy_first(strategy: Strategy) -> dict[tuple[str, str], float]:
    drawn = strategy.next_round(QUERIES, PROMPTS, state=None, demonstrations=nothing)
    assert drawn is not None
    pairs = zip(drawn.rows, drawn.columns, drawn.propensities, strict=True)
    return {(QUERIES[row].id, PROMPTS[column].id): float(propensity) for row, column, propensity in pairs}


def test_queries_that_come_later_join_later_rounds() -> None:
    strategy = Uncertain(1.0, n_rounds=4)
    drawn = strategy.next_round(QUERIES[:100], PROMPTS, state=None, demonstrations=nothing)
    assert drawn is not None
    assert len(set(drawn.rows)) == 25
    rounds, _ = buy(strategy, state=drawn.state)
    rows = [set(drawn.rows), *(set(each.rows) for each in rounds)]
    assert sum(map(len, rows)) == len(set().union(*rows)) == len(QUERIES)
    assert max(map(len, rows)) - min(map(len, rows[1:])) < 72
    (last,), _ = buy(strategy, (*QUERIES, Query("one more"), Query("and one more")), state=rounds[-1].state)
    assert set(last.rows) == {240, 241}


def test_prompts_that_come_later_are_drawn_for_the_queries_considered_before() -> None:
    strategy = Uncertain(1.0, n_rounds=4)
    drawn = strategy.next_round(QUERIES, PROMPTS[:2], state=None, demonstrations=nothing)
    assert drawn is not None
    rounds, bought = buy(strategy, state=drawn.state)
    assert set(rounds[0].rows) == set(drawn.rows)
    assert set(rounds[0].columns) == {2, 3}
    assert len(rounds) == 4
    assert len(bought) + len(drawn) == len(QUERIES) * len(PROMPTS)


def test_a_later_prompt_is_bought_at_random_with_the_same_coins() -> None:
    strategy = Uncertain(0.3, n_rounds=1)
    drawn = strategy.next_round(QUERIES, PROMPTS[:2], state=None, demonstrations=nothing)
    assert drawn is not None
    (later,), _ = buy(strategy, state=drawn.state)
    assert set(later.rows) == set(drawn.rows)
    assert set(later.propensities) == {0.3}


def test_a_state_of_something_else_is_refused() -> None:
    drawn, uncertain = (
        each.next_round(QUERIES, PROMPTS, state=None, demonstrations=nothing) for each in STRATEGIES[2:]
    )
    assert drawn is not None
    assert uncertain is not None
    for strategy, state in (
        (RandomFraction(0.3), drawn.state),
        (RandomFraction(0.4, whole_queries=False), drawn.state),
        (Uncertain(0.3), drawn.state),
        (RandomFraction(0.3), uncertain.state),
        (Uncertain(0.3, seed=1), uncertain.state),
    ):
        with pytest.raises(StoreError, match="another folder"):
            strategy.next_round(QUERIES, PROMPTS, state=state, demonstrations=nothing)
    for queries, prompts in ((QUERIES[1:], PROMPTS), (QUERIES, PROMPTS[:2]), (QUERIES[::-1], PROMPTS)):
        with pytest.raises(StoreError, match="order of their registration"):
            Uncertain(0.3).next_round(queries, prompts, state=uncertain.state, demonstrations=nothing)


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.1, float("nan")])
def test_a_fraction_is_a_share(fraction: float) -> None:
    for strategy in (RandomFraction, Uncertain):
        with pytest.raises(ParameterError, match="fraction="):
            strategy(fraction)


def test_settings_are_checked() -> None:
    for settings in ({"n_rounds": 0}, {"floor": 0.0}, {"floor": 1.5}):
        with pytest.raises(ParameterError, match="n_rounds="):
            Uncertain(0.3, **settings)
    for propensities in ([0.5, 0.0], [0.5, 1.5], [0.5]):
        with pytest.raises(ParameterError, match="propensities"):
            Round(np.arange(2), np.arange(2), np.array(propensities), "{}")


def test_contention_falls_with_the_gap_to_the_best() -> None:
    weights = contention(np.array([[3.0, 2.0, 1.0], [0.0, 0.0, -1.0]]))
    assert weights.max(axis=1).tolist() == [1.0, 1.0]
    assert all(a > b for a, b in pairwise(weights[0]))
    assert weights[0, 1] == pytest.approx(np.exp(-1))
    assert contention(np.zeros((2, 3))).tolist() == np.ones((2, 3)).tolist()


@pytest.mark.parametrize("fraction", [0.02, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("least", [0.2, 1.0])
def test_probabilities_have_the_fraction_as_mean(fraction: float, least: float) -> None:
    weights = np.random.default_rng(0).exponential(size=(200, 5)) ** 6
    weights[0, 0] = 0.0
    found = propensities_for(weights, fraction=fraction, least=least * fraction)
    assert found.mean() == pytest.approx(fraction, rel=1e-6)
    assert least * fraction * (1 - 1e-12) <= found.min() <= found.max() <= 1
    order = np.argsort(weights, axis=None)
    assert (np.diff(found.ravel()[order]) >= 0).all()
