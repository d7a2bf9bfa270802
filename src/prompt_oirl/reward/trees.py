"""Sums of small trees as plain arrays, evaluated many times faster than by the library that grew them.

Each inner node knows, as a bit mask, the leaves that a query cannot reach once it goes right there. The leaf it
reaches is the leftmost that no node excludes, so a whole block of trees × rows is compared, or-ed and looked up at
once (QuickScorer: Lucchese et al., SIGIR 2015, https://doi.org/10.1145/2766462.2767733). Values are ranked among a
feature's thresholds first, so that the comparisons are on single bytes.

Measured: 16 prompts × 900 trees of 8 leaves, batch, one thread: 7 times as fast as LightGBM's own prediction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import lightgbm
import numpy as np

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.errors import DataError, ParameterError

__all__ = ["SmallTrees"]

_MAX_LEAVES = 64
_BLOCK = 1 << 17
"""Comparisons made at once: their bytes stay in the processor's cache."""

_ROWS = 4096
_LOWEST_CLEAR_BIT = np.array([next((i for i in range(8) if not byte >> i & 1), 0) for byte in range(256)], np.uint8)


@dataclass(frozen=True, eq=False)
class SmallTrees:
    """Several outputs, each a sum of regression trees of at most 64 leaves over the same finite features.

    A row goes left at a node where its feature is ≤ the threshold.
    """

    features: IntArray
    """(n_trees, n_nodes) feature of each inner node."""

    thresholds: FloatArray
    """(n_trees, n_nodes) threshold of each inner node, infinite where a tree has fewer nodes."""

    excluded: IntArray
    """(n_trees, n_nodes) unsigned: bit i is set if leaf i, counted from the left, cannot be reached from the right."""

    leaves: FloatArray
    """(n_trees, n_nodes + 1) value of each leaf, from the left."""

    output: IntArray
    """(n_trees,) the output that each tree adds to, ascending."""

    n_outputs: int
    """How many outputs there are."""

    n_features: int
    """How many features a row has."""

    @classmethod
    def from_boosters(cls, boosters: Sequence[Sequence[lightgbm.Booster]], *, n_features: int) -> Self:
        """Take the trees of LightGBM boosters: output k is the mean of the boosters in `boosters[k]`.

        Raises:
            ParameterError: A tree has more than 64 leaves, or splits on a category.
        """
        trees = [
            (_parse(tree, 1 / len(averaged)), k)
            for k, averaged in enumerate(boosters)
            for booster in averaged
            for tree in booster.model_to_string().split("\nTree=")[1:]
        ]
        n_nodes = max((len(tree.threshold) for tree, _ in trees), default=0)
        if n_nodes >= _MAX_LEAVES:
            raise ParameterError(f"a tree has {n_nodes + 1} leaves; at most {_MAX_LEAVES} are allowed")
        n_nodes = max(n_nodes, 1)
        bits = np.dtype(next(f"u{size}" for size in (1, 2, 4, 8) if 8 * size > n_nodes))
        shape = (len(trees), n_nodes)
        arrays = cls(
            features=np.zeros(shape, dtype=np.int64),
            thresholds=np.full(shape, np.inf),
            excluded=np.zeros(shape, dtype=bits),
            leaves=np.zeros((len(trees), n_nodes + 1)),
            output=np.array([k for _, k in trees], dtype=np.int64),
            n_outputs=len(boosters),
            n_features=n_features,
        )
        for row, (tree, _) in enumerate(trees):
            used = len(tree.threshold)
            arrays.features[row, :used] = tree.feature
            arrays.thresholds[row, :used] = tree.threshold
            arrays.excluded[row, :used] = tree.excluded
            arrays.leaves[row, : used + 1] = tree.leaf
        return arrays

    def predict(self, X: FloatArray) -> FloatArray:
        """Return (n_rows, n_outputs) for rows (n_rows, n_features).

        Raises:
            DataError: The rows have another number of features.
        """
        if X.ndim != 2 or X.shape[1] != self.n_features:
            raise DataError(f"rows of {self.n_features} features are needed, got shape {X.shape}")
        parts = [self._predict_block(X[start : start + _ROWS]) for start in range(0, len(X), _ROWS)]
        return np.concatenate(parts) if parts else np.zeros((0, self.n_outputs))

    @cached_property
    def _ranking(self) -> _Ranking:
        return _Ranking.of(self.features, self.thresholds)

    def _predict_block(self, X: FloatArray) -> FloatArray:
        ranking = self._ranking
        ranks = ranking.ranks(X)
        total = np.zeros((self.n_outputs, len(X)))
        step = max(1, _BLOCK // (self.features.shape[1] * len(X)))
        for start in range(0, len(self.output), step):
            block = slice(start, start + step)
            right = ranks[ranking.column[block]] > ranking.rank[block, :, None]
            excluded = np.bitwise_or.reduce(right * self.excluded[block, :, None], axis=1)
            leaf = _lowest_clear_bit(excluded) + np.arange(len(excluded))[:, None] * self.leaves.shape[1]
            _add_by_output(total, self.output[block], self.leaves[block].ravel().take(leaf))
        return total.T


@dataclass(frozen=True, eq=False)
class _Tree:
    """One tree, its leaves from the left."""

    feature: list[int]
    threshold: FloatArray
    excluded: list[int]
    leaf: FloatArray


def _parse(text: str, factor: float) -> _Tree:
    """Read one tree of LightGBM's text format; leaf values are multiplied by `factor`."""
    lines = text.split("\n\n", 1)[0].splitlines()
    fields = dict(line.split("=", 1) for line in lines if "=" in line)
    if fields.get("num_cat", "0") != "0":
        raise ParameterError("a tree splits on a category; give categories as numbers")

    def whole(name: str) -> list[int]:
        return [int(item) for item in fields.get(name, "").split()]

    def real(name: str) -> FloatArray:
        return np.array(fields.get(name, "").split(), dtype=np.float64)

    order, excluded = _leaves_from_the_left(whole("left_child"), whole("right_child"))
    return _Tree(whole("split_feature"), real("threshold"), excluded, real("leaf_value")[order] * factor)


def _leaves_from_the_left(left: list[int], right: list[int]) -> tuple[list[int], list[int]]:
    """Return the leaves' numbers from the left, and for each node the mask of the leaves on its left side.

    A child is the number of an inner node, always above its parent's, or the complement of a leaf's.
    """
    below: dict[int, list[int]] = {~leaf: [leaf] for leaf in range(len(left) + 1)}
    for node in reversed(range(len(left))):
        below[node] = below[left[node]] + below[right[node]]
    order = below[0] if left else [0]
    place = {leaf: i for i, leaf in enumerate(order)}
    return order, [sum(1 << place[leaf] for leaf in below[child]) for child in left]


@dataclass(frozen=True, eq=False)
class _Ranking:
    """The thresholds of each feature that is split on, in order: x > threshold i exactly if more than i are below x."""

    used: IntArray
    """(n_used,) features that some node splits on."""

    thresholds: list[FloatArray]
    """For each used feature its distinct finite thresholds, ascending."""

    column: IntArray
    """(n_trees, n_nodes) index into `used` of each node's feature."""

    rank: IntArray
    """(n_trees, n_nodes) unsigned: index of each node's threshold in its feature's; the largest value if infinite."""

    @classmethod
    def of(cls, features: IntArray, thresholds: FloatArray) -> Self:
        finite = np.isfinite(thresholds)
        used, column_of_node = np.unique(features[finite], return_inverse=True)
        ordered = [np.unique(thresholds[finite][column_of_node == i]) for i in range(len(used))]
        longest = max(map(len, ordered), default=0)
        kind = np.dtype(next(f"u{size}" for size in (1, 2, 4) if longest <= np.iinfo(f"u{size}").max))
        column = np.zeros(features.shape, dtype=np.int64)
        column[finite] = column_of_node
        rank = np.full(features.shape, np.iinfo(kind).max, dtype=kind)
        for i, values in enumerate(ordered):
            here = finite & (column == i)
            rank[here] = np.searchsorted(values, thresholds[here])
        return cls(used, ordered, column, rank)

    def ranks(self, X: FloatArray) -> IntArray:
        """Return (n_used, n_rows) how many of each feature's thresholds are below each value."""
        ranks: IntArray = np.zeros((max(len(self.used), 1), len(X)), dtype=self.rank.dtype)
        for i, (feature, values) in enumerate(zip(self.used, self.thresholds, strict=True)):
            ranks[i] = np.searchsorted(values, X[:, feature])
        return ranks


def _add_by_output(total: FloatArray, output: IntArray, values: FloatArray) -> None:
    """Add to each row of `total` the rows of `values` whose `output`, ascending, it is."""
    if output[0] == output[-1]:
        total[output[0]] += values.sum(axis=0)
    else:  # much slower on long rows, but there a block is seldom of two outputs
        first = np.flatnonzero(np.append(True, output[1:] != output[:-1]))
        total[output[first]] += np.add.reduceat(values, first, axis=0)


def _lowest_clear_bit(masks: IntArray) -> IntArray:
    """Return the index of the lowest bit that is 0."""
    if masks.dtype == np.uint8:
        return _LOWEST_CLEAR_BIT.take(masks)
    clear = ~masks
    exponent: IntArray = np.frexp((clear & -clear).astype(np.float64))[1]
    return exponent - 1
