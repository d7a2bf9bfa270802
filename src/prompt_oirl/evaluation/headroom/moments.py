"""Means and covariances of success probabilities over queries, with the noise of the trials taken out.

What two different trials have in common is no noise: over queries, the mean product of two trials' rewards is the mean
product of their success probabilities. So the covariance of two prompts comes from trials of the one and trials of the
other, and the variance of one prompt from pairs of its trials on the same query.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.splits import grouped_folds

__all__ = ["BlockSums", "Moments", "blocks_of", "regular_covariance"]

_N_BLOCKS = 20


def blocks_of(demonstrations: Demonstrations, groups: IntArray, *, seed: int) -> IntArray:
    """Return the (n_queries,) block of each query: up to 20 blocks of whole groups, about equally often asked."""
    blocks: IntArray = np.zeros(len(groups), dtype=np.int64)
    _, numbers = np.unique(groups, return_inverse=True)
    n_blocks = min(_N_BLOCKS, int(numbers.max()) + 1)
    weights = demonstrations.repeats.astype(np.float64)
    for block, (_, inside) in enumerate(grouped_folds(numbers, n_blocks, seed=seed, weights=weights)):
        blocks[inside] = block
    return blocks


@dataclass(frozen=True, eq=False)
class BlockSums:
    """Sums over the queries of each block, from which any of the blocks can be left out.

    A pair is a prompt with another prompt, both tried on the query, or a prompt with itself, tried twice on it.
    """

    weights: FloatArray
    """(n_blocks, n_prompts, n_prompts) how often the queries that have the pair were asked."""

    firsts: FloatArray
    """(n_blocks, n_prompts, n_prompts) Σ weight · mean reward of the row's prompt, over queries that have the pair."""

    products: FloatArray
    """(n_blocks, n_prompts, n_prompts) Σ weight · mean product of the rewards of two different trials of the pair."""

    successes: FloatArray
    """(n_blocks, n_prompts)"""

    trials: FloatArray
    """(n_blocks, n_prompts)"""

    @classmethod
    def of(cls, demonstrations: Demonstrations, blocks: IntArray) -> Self:
        """Sum the queries of each block.

        Args:
            demonstrations: Logged trials.
            blocks: (n_queries,) block of each query, from 0 without gaps.
        """
        order = np.argsort(blocks, kind="stable")
        parts = np.split(order, np.cumsum(np.bincount(blocks))[:-1])
        sums = [_sums(demonstrations, rows) for rows in parts]
        return cls(*(np.stack(of_blocks) for of_blocks in zip(*sums, strict=True)))

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return len(self.trials)

    def without(self, block: int) -> Self:
        """Return the sums of the other blocks."""
        return type(self)(*(np.delete(getattr(self, field.name), block, axis=0) for field in fields(self)))

    def before(self, block: int) -> Self:
        """Return the sums of the blocks before one."""
        return type(self)(*(getattr(self, field.name)[:block] for field in fields(self)))

    @property
    def total(self) -> Self:
        """All blocks as one."""
        return type(self)(*(getattr(self, field.name).sum(axis=0, keepdims=True) for field in fields(self)))


def _sums(demonstrations: Demonstrations, rows: IntArray) -> tuple[FloatArray, ...]:
    n = demonstrations.trials[rows].astype(np.float64)
    s = demonstrations.successes[rows].astype(np.float64)
    weight = demonstrations.repeats[rows].astype(np.float64)[:, None]
    is_tried, is_repeated = (n > 0).astype(np.float64), (n > 1).astype(np.float64)
    reward = s / np.maximum(n, 1)
    weights = (weight * is_tried).T @ is_tried
    firsts = (weight * reward).T @ is_tried
    products = (weight * reward).T @ reward
    with_itself = np.diag_indices(n.shape[1])
    weights[with_itself] = (weight * is_repeated).sum(axis=0)
    firsts[with_itself] = (weight * is_repeated * reward).sum(axis=0)
    products[with_itself] = (weight * is_repeated * s * (s - 1) / np.maximum(n * (n - 1), 1)).sum(axis=0)
    return weights, firsts, products, s.sum(axis=0), n.sum(axis=0)


@dataclass(frozen=True, eq=False)
class Moments:
    """Of the success probabilities of the prompts on a random query."""

    means: FloatArray
    """(n_prompts,)"""

    covariance: FloatArray
    """(n_prompts, n_prompts) over queries, with hardly any bias; NaN where no query has the pair."""

    noise: FloatArray
    """(n_prompts,) mean variance of one trial about its success probability; NaN where no query was tried twice."""

    @classmethod
    def of(cls, sums: BlockSums) -> Self:
        """Estimate by the method of moments, from all blocks."""
        total = sums.total
        covariance, noise = _covariance_and_noise(total)
        return cls(_quotient(total.successes, total.trials)[0], covariance[0], noise[0])

    @property
    def has_repeats(self) -> bool:
        """Whether some prompt was tried twice on some query, so that there is an estimate of the noise."""
        return bool(np.isfinite(self.noise).any())


def _covariance_and_noise(sums: BlockSums) -> tuple[FloatArray, FloatArray]:
    """Return (n_blocks, n_prompts, n_prompts) covariances and (n_blocks, n_prompts) noise."""
    first, product = _quotient(sums.firsts, sums.weights), _quotient(sums.products, sums.weights)
    covariance: FloatArray = product - first * first.transpose(0, 2, 1)
    noise: FloatArray = np.diagonal(first - product, axis1=1, axis2=2)
    return covariance, noise


def _quotient(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    quotient: FloatArray = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient


def regular_covariance(sums: BlockSums) -> FloatArray:
    """Return the (n_prompts, n_prompts) covariance as a distribution can have it.

    It is steady: the estimate is drawn towards one variance for all prompts and one covariance for all pairs, the more
    the less the blocks agree on it (Schäfer and Strimmer, Statistical Applications in Genetics and Molecular Biology
    4, 2005, https://doi.org/10.2202/1544-6115.1175). Pairs without a query take the mean of the others. And it is
    positive semidefinite: negative eigenvalues are set to 0.

    Args:
        sums: With repeated trials of at least one prompt.
    """
    covariance, _ = _covariance_and_noise(sums.total)
    target = _of_equals(covariance[0])
    estimate = np.where(np.isnan(covariance[0]), target, covariance[0])
    distance = float(((estimate - target) ** 2).sum())
    share = min(_sampling_variance(sums) / distance, 1.0) if distance > 0 else 0.0
    values, vectors = np.linalg.eigh(estimate + share * (target - estimate))
    regular: FloatArray = (vectors * np.maximum(values, 0.0)) @ vectors.T
    return regular


def _of_equals(covariance: FloatArray) -> FloatArray:
    """Return the covariance of equal prompts: the mean variance, and the mean covariance."""
    n_prompts = len(covariance)
    variance = float(np.nanmean(np.diagonal(covariance)))
    others = covariance[~np.eye(n_prompts, dtype=bool)]
    shared = float(np.nanmean(others)) if np.isfinite(others).any() else 0.0
    equals: FloatArray = np.full((n_prompts, n_prompts), shared)
    np.fill_diagonal(equals, variance)
    return equals


def _sampling_variance(sums: BlockSums) -> float:
    """Return the summed variance of the estimated covariances, by leaving out one block at a time."""
    if sums.n_blocks < 2:
        return float("inf")
    totals = sums.total
    others = BlockSums(*(getattr(totals, field.name) - getattr(sums, field.name) for field in fields(sums)))
    covariances, _ = _covariance_and_noise(others)
    n_blocks = sums.n_blocks
    has_two = (~np.isnan(covariances)).sum(axis=0) > 1
    variance = (n_blocks - 1) ** 2 / n_blocks * np.nanvar(covariances[:, has_two], axis=0, ddof=1)
    return float(np.nansum(variance))
