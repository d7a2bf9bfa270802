from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.records import Demonstration, Prompt, Query

A, B = Prompt.from_text("Wording a.", id="a"), Prompt.from_text("Wording b.", id="b")
ONE, TWO = Query("Tom has 3 apples."), Query("How far?")


def counted(trials: object, successes: object, unscored: object = None) -> Demonstrations:
    trials, successes = np.array(trials), np.array(successes)
    return Demonstrations(
        queries=tuple(Query(f"query {'x' * i}") for i in range(len(trials))),
        prompts=tuple(Prompt.from_text(f"wording {k}", id=f"p{k}") for k in range(trials.shape[1])),
        trials=trials,
        successes=successes,
        unscored=np.zeros_like(trials) if unscored is None else np.array(unscored),
    )


def test_records_are_counted_per_query_and_prompt() -> None:
    records = [
        *(Demonstration(TWO, B, reward) for reward in (1, 0, 1, None)),
        Demonstration(ONE, B, None, "no answer"),
        Demonstration(Query(ONE.text), A, 0, "wrong"),
        Demonstration(TWO, B, 1),
    ]
    logs = Demonstrations.from_records(records)
    assert logs.queries == (TWO, ONE)
    assert logs.prompts == (B, A)
    assert logs.prompt_ids == ("b", "a")
    assert (logs.n_queries, logs.n_prompts) == (2, 2)
    assert logs.trials.tolist() == [[4, 0], [0, 1]]
    assert logs.successes.tolist() == [[3, 0], [0, 0]]
    assert logs.unscored.tolist() == [[1, 0], [1, 0]]


RECORDS = st.lists(
    st.builds(
        Demonstration,
        st.sampled_from([ONE, TWO, Query("third")]),
        st.sampled_from([A, B]),
        st.sampled_from([0, 1, None]),
    ),
    max_size=30,
)


@given(RECORDS)
def test_every_record_is_counted_once(records: list[Demonstration]) -> None:
    logs = Demonstrations.from_records(records)
    for row, query in enumerate(logs.queries):
        for column, prompt in enumerate(logs.prompts):
            rewards = [each.reward for each in records if (each.query, each.prompt) == (query, prompt)]
            assert logs.trials[row, column] == sum(reward is not None for reward in rewards)
            assert logs.successes[row, column] == sum(reward == 1 for reward in rewards)
            assert logs.unscored[row, column] == sum(reward is None for reward in rewards)
    assert int((logs.trials + logs.unscored).sum()) == len(records)
    assert list(dict.fromkeys(each.query for each in records)) == list(logs.queries)


def test_no_records_are_no_queries() -> None:
    logs = Demonstrations.from_records([])
    assert (logs.n_queries, logs.n_prompts) == (0, 0)
    assert logs.repeats.shape == (0,)


def test_one_id_for_two_templates_is_refused() -> None:
    other = Prompt.from_text("Another wording.", id="a")
    with pytest.raises(DataError, match=r"'a' stands for two templates.*Wording a.*Another wording"):
        Demonstrations.from_records([Demonstration(ONE, A, 1), Demonstration(TWO, other, 1)])


def test_cells_are_counted() -> None:
    logs = Demonstrations.from_cells(
        [ONE, TWO],
        [A, B],
        rows=np.array([0, 0, 1, 1, 1]),
        columns=np.array([1, 1, 0, 0, 1]),
        rewards=np.array([1, 0, 1, -1, -1]),
    )
    assert logs.trials.tolist() == [[0, 2], [1, 0]]
    assert logs.successes.tolist() == [[0, 1], [1, 0]]
    assert logs.unscored.tolist() == [[0, 0], [1, 1]]


@pytest.mark.parametrize(("row", "column", "reward"), [(0, 2, 1), (0, -1, 1), (2, 0, 1), (-1, 0, 1), (0, 0, 2)])
def test_cells_and_rewards_that_there_are_not_are_refused(row: int, column: int, reward: int) -> None:
    with pytest.raises(DataError):
        Demonstrations.from_cells(
            [ONE, TWO], [A, B], rows=np.array([row]), columns=np.array([column]), rewards=np.array([reward])
        )


def test_rewards_are_means_and_missing_is_missing() -> None:
    logs = counted([[4, 0], [1, 2]], [[3, 0], [0, 2]], [[0, 5], [0, 0]])
    np.testing.assert_array_equal(logs.rewards, [[0.75, np.nan], [0, 1]])


def test_success_rates_count_trials_not_queries() -> None:
    logs = counted([[9, 1, 0], [1, 1, 0]], [[9, 0, 0], [0, 1, 0]], [[0, 0, 3], [0, 0, 0]])
    np.testing.assert_array_equal(logs.success_rates, [0.9, 0.5, np.nan])


def test_a_query_was_asked_as_often_as_its_most_tried_prompt() -> None:
    logs = counted([[2, 1], [0, 0], [0, 0]], [[1, 1], [0, 0], [0, 0]], [[0, 3], [0, 1], [0, 0]])
    assert logs.repeats.tolist() == [4, 1, 0]


def test_queries_are_selected_in_the_order_given() -> None:
    logs = counted([[1, 2], [3, 4], [5, 6]], [[0, 1], [2, 3], [4, 5]], [[7, 8], [9, 10], [11, 12]])
    some = logs.select_queries(np.array([2, 0]))
    assert some.queries == (logs.queries[2], logs.queries[0])
    assert some.prompts == logs.prompts
    assert some.trials.tolist() == [[5, 6], [1, 2]]
    assert some.successes.tolist() == [[4, 5], [0, 1]]
    assert some.unscored.tolist() == [[11, 12], [7, 8]]
    assert logs.select_queries(np.array([], dtype=np.int64)).n_queries == 0


def test_prompts_are_selected_in_the_order_given() -> None:
    logs = counted([[1, 2, 3], [4, 5, 6]], [[0, 1, 2], [3, 4, 5]], [[7, 8, 9], [0, 0, 1]])
    some = logs.select_prompts([2, 0])
    assert some.prompt_ids == ("p2", "p0")
    assert some.queries == logs.queries
    assert some.trials.tolist() == [[3, 1], [6, 4]]
    assert some.successes.tolist() == [[2, 0], [5, 3]]
    assert some.unscored.tolist() == [[9, 7], [1, 0]]
    assert logs.select_prompts([]).n_prompts == 0


def test_selecting_twice_the_same_is_refused() -> None:
    logs = counted([[1, 1], [1, 1]], [[0, 0], [0, 0]])
    with pytest.raises(DataError, match="occurs twice"):
        logs.select_queries(np.array([0, 0]))
    with pytest.raises(DataError, match="prompt id 'p1' occurs twice"):
        logs.select_prompts([1, 1])


def near_duplicates(n_templates: int) -> Demonstrations:
    words = [f"{chr(97 + i % 26)}{'xyz'[i // 26]}" for i in range(n_templates)]
    queries = tuple(Query(f"{word} has {number} apples") for word in words for number in (3, 5))
    trials = np.ones((len(queries), 2), dtype=np.int64)
    return Demonstrations(queries, (A, B), trials, 0 * trials, 0 * trials)


def test_a_split_keeps_near_duplicates_together() -> None:
    logs = near_duplicates(50)
    train, test = logs.split(test_size=0.3, seed=1)
    assert (train.n_queries, test.n_queries) == (70, 30)
    assert not set(train.queries) & set(test.queries)
    beginnings = [{query.text.split()[0] for query in side.queries} for side in (train, test)]
    assert not beginnings[0] & beginnings[1]
    assert test.queries != logs.split(test_size=0.3, seed=2)[1].queries
    assert test.queries == logs.split(test_size=0.3, seed=1)[1].queries


def test_a_split_by_question_does_not() -> None:
    train, test = near_duplicates(50).split(test_size=0.3, seed=1, by="question")
    beginnings = [{query.text.split()[0] for query in side.queries} for side in (train, test)]
    assert beginnings[0] & beginnings[1]


def test_groups_and_what_cannot_be_split() -> None:
    assert near_duplicates(2).groups().tolist() == [0, 0, 1, 1]
    assert near_duplicates(2).groups("question").tolist() == [0, 1, 2, 3]
    with pytest.raises(ParameterError, match="two groups"):
        near_duplicates(1).split()


@pytest.mark.parametrize("name", ["trials", "successes", "unscored"])
def test_the_hash_changes_with_any_count(name: str) -> None:
    logs = counted([[2, 2], [2, 2]], [[1, 1], [1, 1]], [[1, 1], [1, 1]])
    hashes = {logs.sha256}
    for row, column in np.ndindex(2, 2):
        counts = getattr(logs, name).copy()
        counts[row, column] += 1
        hashes.add(replace(logs, **{name: counts}).sha256)
    assert len(hashes) == 5


def test_the_hash_changes_with_any_text_and_with_nothing_else() -> None:
    logs = counted([[2, 2], [2, 2]], [[1, 1], [1, 1]])
    renamed = (Prompt("other", logs.prompts[0].template), logs.prompts[1])
    reworded = (logs.prompts[0], Prompt("p1", "{{query}} otherwise"))
    others = [
        replace(logs, queries=(logs.queries[0], Query("another"))),
        replace(logs, prompts=renamed),
        replace(logs, prompts=reworded),
        logs.select_queries(np.array([1, 0])),
        logs.select_prompts([1, 0]),
        logs.select_queries(np.array([0])),
    ]
    assert len({logs.sha256, *(other.sha256 for other in others)}) == 7
    narrow = {name: getattr(logs, name).astype(np.int8, order="F") for name in ("trials", "successes", "unscored")}
    assert replace(logs, **narrow).sha256 == logs.sha256


@pytest.mark.parametrize("name", ["trials", "successes", "unscored"])
def test_counts_have_the_shape_of_queries_and_prompts(name: str) -> None:
    logs = counted([[2, 2], [2, 2]], [[1, 1], [1, 1]])
    with pytest.raises(DataError, match=rf"{name} has shape \(2, 1\), but there are 2 queries × 2 prompts"):
        replace(logs, **{name: getattr(logs, name)[:, :1]})
    with pytest.raises(DataError, match=f"{name} has a negative count, -1"):
        replace(logs, **{name: np.array([[1, 1], [-1, 1]])})


def test_more_successes_than_trials_are_refused_with_their_place() -> None:
    with pytest.raises(DataError, match=r"3 successes of 2 trials for query 'query x' and prompt 'p0'"):
        counted([[2, 2], [2, 2]], [[1, 1], [3, 1]])


def test_queries_and_prompts_occur_once() -> None:
    logs = counted([[2, 2], [2, 2]], [[1, 1], [1, 1]])
    with pytest.raises(DataError, match=r"the query 'query ' occurs twice.*from_records"):
        replace(logs, queries=(logs.queries[0], logs.queries[0]))
    with pytest.raises(DataError, match="the prompt id 'p0' occurs twice"):
        replace(logs, prompts=(logs.prompts[0], Prompt.from_text("other", id="p0")))
