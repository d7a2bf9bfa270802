from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_oirl.errors import LeakageError, ParameterError
from prompt_oirl.records import Query
from prompt_oirl.splits import (
    check_no_leakage,
    check_unseen,
    group_hashes,
    grouped_folds,
    grouped_split,
    is_seen,
    query_groups,
    query_template,
)

GROUP_NUMBERS = st.lists(st.integers(0, 12), min_size=2, max_size=60).map(
    lambda numbers: np.unique(numbers, return_inverse=True)[1]
)


def queries(texts: Sequence[str]) -> list[Query]:
    return [Query(text) for text in texts]


@pytest.mark.parametrize(
    ("text", "template"),
    [
        ("Tom has 3 apples.", "tom has 0 apples"),
        ("TOM has 7 apples!", "tom has 0 apples"),
        ("It costs $1,000.50 today", "it costs 0 today"),
        ("It costs 5 today", "it costs 0 today"),
        ("half of .5", "half of 0"),
        ("3.14.15 and 10%", "0 and 0"),
        ("a  b\n\tc", "a b c"),
        ("Tom's well-known", "tom s well known"),
        ("in the 5th row", "in the 0 th row"),
        ("1/2 or 3", "0 0 or 0"),
        ("٣ تفاح", "0 تفاح"),
        ("snake_case", "snake_case"),
        ("???", ""),
    ],
)
def test_templates_fold_case_marks_and_numbers(text: str, template: str) -> None:
    assert query_template(text) == template


def test_other_words_make_another_template() -> None:
    assert query_template("Tom has 3 apples") != query_template("Ann has 3 apples")
    assert query_template("Tom has three apples") != query_template("Tom has 3 apples")


@given(st.text())
def test_a_template_is_its_own_template(text: str) -> None:
    assert query_template(query_template(text)) == query_template(text)


def test_groups_are_numbered_by_first_appearance() -> None:
    asked = queries(["b 1", "a", "B 2!", "c", "A?", "b 1"])
    assert query_groups(asked).tolist() == [0, 1, 0, 2, 1, 0]
    assert query_groups(asked, by="question").tolist() == [0, 1, 2, 3, 4, 0]
    assert query_groups([]).shape == (0,)
    assert query_groups(asked).dtype == np.int64


def test_an_unknown_grouping_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"by='text'.*'template' \(default\) or 'question'"):
        query_groups(queries(["a"]), by="text")  # type: ignore[arg-type]


@given(groups=GROUP_NUMBERS, n_folds=st.integers(2, 5), seed=st.integers(0, 5))
def test_folds_split_no_group_and_leave_no_query_out(groups: np.ndarray, n_folds: int, seed: int) -> None:
    if groups.max() + 1 < n_folds:
        with pytest.raises(ParameterError, match="groups"):
            list(grouped_folds(groups, n_folds, seed=seed))
        return
    folds = list(grouped_folds(groups, n_folds, seed=seed))
    assert len(folds) == n_folds
    for train, test in folds:
        assert len(test)
        assert not set(groups[train]) & set(groups[test])
        assert sorted([*train, *test]) == list(range(len(groups)))
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(len(groups)))


def test_folds_are_balanced() -> None:
    groups = np.repeat(np.arange(300), np.random.default_rng(0).integers(1, 6, 300))
    sizes = [len(test) for _, test in grouped_folds(groups, 5, seed=0)]
    assert max(sizes) - min(sizes) <= 5


def test_folds_are_balanced_by_weight() -> None:
    rng = np.random.default_rng(1)
    groups, weights = np.arange(400), rng.choice([1.0, 1.0, 20.0], 400)
    loads = [weights[test].sum() for _, test in grouped_folds(groups, 4, seed=0, weights=weights)]
    assert max(loads) - min(loads) <= 20
    unweighted = [weights[test].sum() for _, test in grouped_folds(groups, 4, seed=0)]
    assert max(unweighted) - min(unweighted) > 20


def test_folds_depend_on_the_seed_alone() -> None:
    groups = np.arange(50)
    first, again, other = ([test.tolist() for _, test in grouped_folds(groups, seed=seed)] for seed in (0, 0, 1))
    assert first == again != other
    assert len(first) == 5


@pytest.mark.parametrize("n_folds", [1, 0, -3])
def test_one_fold_is_none(n_folds: int) -> None:
    with pytest.raises(ParameterError, match=f"n_folds={n_folds}: at least 2"):
        list(grouped_folds(np.arange(9), n_folds, seed=0))


def test_too_few_groups_for_the_folds() -> None:
    with pytest.raises(ParameterError, match="at least 5 groups of queries, got 3"):
        list(grouped_folds(np.array([0, 1, 2, 2, 2, 2]), 5, seed=0))


@given(groups=GROUP_NUMBERS, test_size=st.floats(0.01, 0.99), seed=st.integers(0, 5))
def test_a_split_splits_no_group_and_leaves_neither_side_empty(groups: np.ndarray, test_size: float, seed: int) -> None:
    if groups.max() < 1:
        with pytest.raises(ParameterError, match="at least two groups"):
            grouped_split(groups, test_size=test_size, seed=seed)
        return
    train, test = grouped_split(groups, test_size=test_size, seed=seed)
    assert len(train)
    assert len(test)
    assert not set(groups[train]) & set(groups[test])
    assert sorted([*train, *test]) == list(range(len(groups)))


@pytest.mark.parametrize("test_size", [0.1, 0.3, 0.8])
def test_a_split_has_about_the_size_asked_for(test_size: float) -> None:
    groups = np.repeat(np.arange(400), np.random.default_rng(0).integers(1, 4, 400))
    for seed in range(5):
        _, test = grouped_split(groups, test_size=test_size, seed=seed)
        assert test_size * len(groups) <= len(test) <= test_size * len(groups) + 3
    assert not np.array_equal(test, grouped_split(groups, test_size=test_size, seed=0)[1])


@pytest.mark.parametrize("test_size", [0, 1, -0.5, 30, float("nan")])
def test_a_size_that_is_no_fraction(test_size: float) -> None:
    with pytest.raises(ParameterError, match=f"test_size={test_size}"):
        grouped_split(np.arange(9), test_size=test_size, seed=0)


def test_nothing_to_split() -> None:
    with pytest.raises(ParameterError, match="got 0"):
        grouped_split(np.array([], dtype=np.int64), test_size=0.5, seed=0)


def test_groups_are_recognised_without_their_text() -> None:
    train = queries(["Tom has 3 apples.", "tom has 4 apples", "How far?"])
    asked = queries(["TOM has 99 apples?", "How far", "How far?", "How near?"])
    by_template, by_question = group_hashes(train), group_hashes(train, by="question")
    assert (len(by_template), len(by_question)) == (2, 3)
    assert not any("tom" in each.lower() for each in by_template | by_question)
    assert is_seen(asked, by_template).tolist() == [True, True, True, False]
    assert is_seen(asked, by_question, by="question").tolist() == [False, False, True, False]
    assert is_seen([], by_template).shape == (0,)
    assert is_seen(asked, by_template).dtype == np.bool_


def test_leakage_is_refused_with_count_example_and_way_out() -> None:
    train, test = queries(["Tom has 3 apples.", "How far?"]), queries(["Is it new?", "tom has 8 apples", "How far?"])
    with pytest.raises(LeakageError, match=r"2 of 3 test queries.*same up to numbers.*'tom has 8 apples'.*split"):
        check_no_leakage(train, test)
    with pytest.raises(LeakageError, match=r"1 of 3 test queries.*the same text.*'How far\?'"):
        check_no_leakage(train, test, by="question")
    with pytest.raises(LeakageError, match="2 of 3"):
        check_unseen(test, group_hashes(train))


def test_no_leakage_is_no_error() -> None:
    check_no_leakage(queries(["a"]), queries(["b", "c"]))
    check_no_leakage(queries(["a 1"]), queries(["a 2"]), by="question")
    check_no_leakage([], queries(["a"]))
    check_no_leakage(queries(["a"]), [])
