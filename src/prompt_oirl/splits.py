"""Query groups, grouped folds and splits, and the check that evaluation queries were not trained on.

A group is a set of queries that must stay on one side of every split. By default near-duplicates form a group:
"Tom has 3 apples." and "Tom has 7 apples." are one question with other numbers, and a model that has seen the first
has been told about the second. Grouping by identical text only is available under a name that says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set
from typing import Literal

import numpy as np

from prompt_oirl.arrays import BoolArray, FloatArray, IntArray
from prompt_oirl.errors import LeakageError, ParameterError
from prompt_oirl.randomness import generator
from prompt_oirl.records import Query, text_hash

__all__ = [
    "Grouping",
    "check_no_leakage",
    "check_unseen",
    "group_hashes",
    "grouped_folds",
    "grouped_split",
    "is_seen",
    "query_groups",
    "query_template",
]

Grouping = Literal["template", "question"]
"""`template`: near-duplicates together. `question`: identical texts only, so near-duplicates leak across the split."""

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_PUNCTUATION = re.compile(r"[^\w\s]")


def query_template(text: str) -> str:
    """Return the text with case, punctuation and numbers folded: equal for near-duplicates."""
    without_numbers = _NUMBER.sub(" 0 ", text.lower())
    return " ".join(_PUNCTUATION.sub(" ", without_numbers).split())


def _group_keys(queries: Sequence[Query], by: Grouping) -> list[str]:
    if by == "template":
        return [query_template(query.text) for query in queries]
    if by == "question":
        return [query.text for query in queries]
    raise ParameterError(f"by={by!r} is no way of grouping queries; use 'template' (default) or 'question'")


def query_groups(queries: Sequence[Query], by: Grouping = "template") -> IntArray:
    """Number the groups of near-duplicate queries, in order of first appearance.

    Returns:
        (n_queries,) group number of each query, from 0.

    Raises:
        ParameterError: `by` is not a known grouping.
    """
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in _group_keys(queries, by)], dtype=np.int64)


def _assign_folds(groups: IntArray, weights: FloatArray, n_folds: int, seed: int) -> IntArray:
    """Deal whole groups, in random order, each to the lightest fold so far."""
    n_groups = int(groups.max()) + 1
    group_weights = np.bincount(groups, weights=weights, minlength=n_groups)
    fold_of_group = np.empty(n_groups, dtype=np.int64)
    load = np.zeros(n_folds)
    for group in generator(seed).permutation(n_groups):
        lightest = int(load.argmin())
        fold_of_group[group] = lightest
        load[lightest] += group_weights[group]
    return fold_of_group[groups]


def grouped_folds(
    groups: IntArray, n_folds: int = 5, *, seed: int, weights: FloatArray | None = None
) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield (train, test) index arrays such that no group is on both sides.

    Args:
        groups: (n_queries,) group numbers from 0, without gaps, as `query_groups` gives them.
        n_folds: Number of folds, at least 2.
        seed: Of the random order in which groups are dealt to folds.
        weights: (n_queries,) what each query counts when folds are balanced, such as its trials; 1 if not given.

    Raises:
        ParameterError: Fewer than two folds, fewer groups than folds, or no seed.
    """
    if n_folds < 2:
        raise ParameterError(f"n_folds={n_folds}: at least 2 folds are needed")
    n_groups = len(np.unique(groups))
    if n_groups < n_folds:
        raise ParameterError(
            f"{n_folds} folds need at least {n_folds} groups of queries, got {n_groups}; "
            "log more queries or ask for fewer folds"
        )
    fold_of_query = _assign_folds(groups, np.ones(len(groups)) if weights is None else weights, n_folds, seed)
    for fold in range(n_folds):
        yield np.flatnonzero(fold_of_query != fold), np.flatnonzero(fold_of_query == fold)


def grouped_split(groups: IntArray, *, test_size: float, seed: int) -> tuple[IntArray, IntArray]:
    """Return (train, test) index arrays with about `test_size` of the queries in test and no group on both sides.

    Raises:
        ParameterError: `test_size` is not strictly between 0 and 1, there are fewer than two groups, or it is no seed.
    """
    if not 0 < test_size < 1:
        raise ParameterError(f"test_size={test_size}: a fraction strictly between 0 and 1 is needed")
    n_groups = int(groups.max()) + 1 if len(groups) else 0
    if n_groups < 2:
        raise ParameterError(f"a split needs at least two groups of queries, got {n_groups}; log more queries")
    order = generator(seed).permutation(n_groups)
    sizes = np.bincount(groups, minlength=n_groups)[order]
    n_test_groups = int(np.clip(np.searchsorted(np.cumsum(sizes), test_size * len(groups)) + 1, 1, n_groups - 1))
    is_test = np.isin(groups, order[:n_test_groups])
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)


def group_hashes(queries: Sequence[Query], by: Grouping = "template") -> frozenset[str]:
    """Return a hash for each group of queries: enough to recognise them later without keeping their text."""
    return frozenset(text_hash(key) for key in _group_keys(queries, by))


def is_seen(queries: Sequence[Query], seen: Set[str], *, by: Grouping = "template") -> BoolArray:
    """Return (n_queries,) whether each query's group is among `seen`, as `group_hashes` made it."""
    return np.array([text_hash(key) in seen for key in _group_keys(queries, by)], dtype=np.bool_)


def check_no_leakage(train: Sequence[Query], test: Sequence[Query], *, by: Grouping = "template") -> None:
    """Raise if test queries, or near-duplicates of them, are in the training set.

    Raises:
        LeakageError: With the count, an example and the way out.
    """
    check_unseen(test, group_hashes(train, by), by=by)


def check_unseen(test: Sequence[Query], seen: Set[str], *, by: Grouping = "template") -> None:
    """Raise if a test query's group is among `seen`, as `group_hashes` made it of the training queries.

    Raises:
        LeakageError: With the count, an example and the way out.
    """
    leaked = np.flatnonzero(is_seen(test, seen, by=by))
    if len(leaked):
        raise LeakageError(
            f"{len(leaked)} of {len(test)} test queries are in the training set "
            f"({'the same text' if by == 'question' else 'the same up to numbers, case and punctuation'}), "
            f"for example {test[leaked[0]].text[:80]!r}; a gain measured on them is no evidence for new queries. "
            "Split with Demonstrations.split, which keeps near-duplicates on one side, or leave these queries out"
        )
