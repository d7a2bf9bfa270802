"""A Gaussian process on advantages: what each prompt is worth for a query, from the queries most like it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Self

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, lapack
from sklearn.base import BaseEstimator, clone

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.features.similarity import TextPoints, TextSimilarity
from prompt_oirl.features.threads import one_blas_thread
from prompt_oirl.randomness import generator
from prompt_oirl.records import Prompt, Query
from prompt_oirl.reward.checks import check_fitted, check_learnable, prompt_columns
from prompt_oirl.reward.kernel_scorer import KernelScorer
from prompt_oirl.reward.prepared import GeneralScorer
from prompt_oirl.reward.protocol import PreparedScorer
from prompt_oirl.reward.targets import advantage_weights, advantages, prompt_effects
from prompt_oirl.splits import query_groups

__all__ = ["KernelAdvantage", "SolvedBlock"]

_CONSTANT = np.float32(1.0)
"""Added to the kernel: the prior variance of a prompt's mean, about the mean that is taken off first."""


_UNTRIED_NOISE = 1e4
"""The noise of a cell without a trial: so much that it tells nothing, and all cells can be treated alike."""

_NOT_POSITIVE = "kernel plus noise is not positive definite, as rounding can make it; raise noise_levels"

_N_COMPARISONS = 1 << 22
"""Similarities held at once: 16 MiB."""


@dataclass(frozen=True, eq=False)
class SolvedBlock:
    """Some of the training queries, solved on their own."""

    points: TextPoints
    coefficients: FloatArray
    """(n_queries, n_prompts) weights of the kernel, the mean over the noise levels."""

    own_effects: FloatArray
    """(n_queries, n_prompts) what a query's own trials say beyond what queries like it do."""


class KernelAdvantage(BaseEstimator):  # type: ignore[misc]
    """Kernel ridge regression of `prompt_oirl.reward.targets.advantages`, averaged over levels of noise.

    Seen as a Gaussian process (Rasmussen and Williams, https://gaussianprocess.org/gpml/, chapter 2), the advantage of
    a prompt on a query is a prompt mean, a smooth function of the text under `TextSimilarity`, an effect of the query
    alone, and noise that falls with the number of trials. A query that was in training keeps its own effect.

    It is linear in the rewards and treats all prompts alike, so where every prompt was tried on every query as often,
    its scores of some of the prompts are, up to a constant within a query, those of a model fitted on these alone. It
    has leave-group-out scores in closed form.

    Args:
        similarity: The kernel; `TextSimilarity()` if None.
        noise_levels: Variances of the noise of `reference_trials` trials, as multiples of the smooth function's; the
            fits are averaged.
        own_share: Share of that noise that is the query's own effect and does not fall with its trials.
        reference_trials: Trials at which the levels hold.
        block_size: Above that many queries they are solved in blocks of at most about that size, and averaged.
        seed: Of the random blocks.
    """

    prompts_: tuple[Prompt, ...]
    similarity_: TextSimilarity
    means_: FloatArray
    """(n_prompts,) mean advantages."""

    blocks_: tuple[SolvedBlock, ...]
    training_rows_: dict[str, tuple[int, int]]
    """Block and row of each training query, by its id."""

    def __init__(
        self,
        similarity: TextSimilarity | None = None,
        *,
        noise_levels: tuple[float, ...] = (1.0, 2.0, 4.0),
        own_share: float = 0.5,
        reference_trials: float = 4.5,
        block_size: int = 3500,
        seed: int = 0,
    ) -> None:
        self.similarity = similarity
        self.noise_levels = noise_levels
        self.own_share = own_share
        self.reference_trials = reference_trials
        self.block_size = block_size
        self.seed = seed

    @property
    def gives_probabilities(self) -> bool:
        """False: scores are advantages."""
        return False

    def fit(self, demonstrations: Demonstrations) -> Self:
        """Learn from demonstrations and return self.

        Raises:
            DataError: A prompt has no scored trial, or fewer than two queries have one.
            ParameterError: A parameter is outside what is allowed.
        """
        self._check_parameters()
        learnable = check_learnable(demonstrations)
        self.similarity_ = self._fitted_similarity(learnable)
        targets = _Targets.of(learnable, self.own_share, self.reference_trials)
        points = self.similarity_.points([query.text for query in learnable.queries])
        blocks = list(self._blocks(query_groups(learnable.queries)))
        self.means_ = targets.means
        self.blocks_ = tuple(self._solve(points.take(rows), targets.take(rows)) for rows in blocks)
        self.training_rows_ = {
            learnable.queries[query].id: (block, row)
            for block, rows in enumerate(blocks)
            for row, query in enumerate(rows.tolist())
        }
        self.prompts_ = learnable.prompts
        return self

    def score(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> FloatArray:
        """Return (n_queries, n_prompts) estimated advantages.

        Raises:
            NotFittedError: `fit` was not called.
            UnseenPromptError: A prompt was not in training.
        """
        check_fitted(self)
        columns = prompt_columns(self, self.prompts_, prompts)
        step = max(1, _N_COMPARISONS // max(len(self.training_rows_), 1))
        parts = [self._score(queries[start : start + step]) for start in range(0, len(queries), step)]
        return np.concatenate(parts)[:, columns] if parts else np.zeros((0, len(columns)))

    def prepare(self, prompts: Sequence[Prompt]) -> PreparedScorer:
        """Return what scores these prompts faster than `score`, if the kernel is a `TextSimilarity`.

        Raises:
            NotFittedError: `fit` was not called.
            UnseenPromptError: A prompt was not in training.
        """
        check_fitted(self)
        columns = prompt_columns(self, self.prompts_, prompts)
        if type(self.similarity_) is not TextSimilarity:
            return GeneralScorer(self, prompts)
        return KernelScorer(self, columns, constant=_CONSTANT)

    def leave_groups_out(self, demonstrations: Demonstrations, partitions: Sequence[IntArray]) -> FloatArray:
        """Return (n_partitions, n_queries, n_prompts) scores by the model fitted without the group, in closed form.

        With C the inverse of kernel plus noise and α = C y, leaving the group G out predicts y_G - C_GG⁻¹ α_G
        (Rasmussen and Williams, equation 5.12, for more than one left out). Terms and spreads of the similarity, which
        look at no reward, are learnt with the group; so are the prompts' means, of which the constant in the kernel
        takes back all but a trifle. Above `block_size` queries it is the model of the query's own block, without
        the members of its group there.

        Args:
            demonstrations: Training demonstrations; every query needs a scored trial.
            partitions: Each (n_queries,) group numbers: those of `Demonstrations.groups`, or the folds that they are
                dealt to. Another partition takes little more time: the inverse is the same.

        Raises:
            DataError: A query or a prompt has no scored trial.
            ParameterError: A parameter is outside what is allowed.
        """
        self._check_parameters()
        if check_learnable(demonstrations).n_queries < demonstrations.n_queries:
            raise DataError("a query has no scored trial; leave such queries out with Demonstrations.select_queries")
        similarity = self._fitted_similarity(demonstrations)
        targets = _Targets.of(demonstrations, self.own_share, self.reference_trials)
        points = similarity.points([query.text for query in demonstrations.queries])
        scores: FloatArray = np.empty((len(partitions), *targets.residuals.shape))
        for rows in self._blocks(query_groups(demonstrations.queries)):
            groups = [partition[rows] for partition in partitions]
            scores[:, rows] = self._leave_out(points.take(rows), targets.take(rows), groups)
        return scores + targets.means

    def _check_parameters(self) -> None:
        if not self.noise_levels or not all(level > 0 for level in self.noise_levels) or not 0 <= self.own_share < 1:
            raise ParameterError(
                f"noise_levels={self.noise_levels}, own_share={self.own_share}: at least one positive level, and a "
                "share from 0 to below 1, are needed"
            )
        if not self.reference_trials > 0 or self.block_size < 2:
            raise ParameterError(
                f"reference_trials={self.reference_trials}, block_size={self.block_size}: above 0, and at least 2"
            )

    def _fitted_similarity(self, demonstrations: Demonstrations) -> TextSimilarity:
        fresh = TextSimilarity() if self.similarity is None else clone(self.similarity)
        fitted: TextSimilarity = fresh.fit([query.text for query in demonstrations.queries])
        return fitted

    def _blocks(self, groups: IntArray) -> Iterator[IntArray]:
        """Yield the indices of each block; a group is in one block."""
        n_groups = int(groups.max()) + 1
        n_blocks = min(-(-len(groups) // self.block_size), n_groups)
        block_of_group = generator(self.seed).permutation(n_groups) % n_blocks
        for block in range(n_blocks):
            yield np.flatnonzero(block_of_group[groups] == block)

    def _solve(self, points: TextPoints, targets: _Targets) -> SolvedBlock:
        kernel = TextSimilarity.between(points, points) + _CONSTANT
        coefficients, own_effects = np.zeros_like(targets.residuals), np.zeros_like(targets.residuals)
        for columns, level in product(targets.columns_of_equal_noise(), self.noise_levels):
            with one_blas_thread():
                noisy = _add_noise(kernel, level, targets.noise[:, columns[0]])
                solved = _solve_positive(noisy, targets.residuals[:, columns]) / len(self.noise_levels)
                coefficients[:, columns] += solved
                own_effects[:, columns] += level * self.own_share * solved
        return SolvedBlock(points, coefficients, own_effects)

    def _leave_out(self, points: TextPoints, targets: _Targets, partitions: Sequence[IntArray]) -> FloatArray:
        kernel = TextSimilarity.between(points, points) + _CONSTANT
        errors = np.zeros((len(partitions), *targets.residuals.shape), dtype=targets.residuals.dtype)
        for columns, level in product(targets.columns_of_equal_noise(), self.noise_levels):
            with one_blas_thread():
                inverse = _inverse(_add_noise(kernel, level, targets.noise[:, columns[0]]))
                for of_partition, groups in zip(errors, partitions, strict=True):
                    left_out = _leave_out_errors(inverse, targets.residuals[:, columns], groups)
                    of_partition[:, columns] += left_out / len(self.noise_levels)
        return targets.residuals - errors

    def _score(self, queries: Sequence[Query]) -> FloatArray:
        points = self.similarity_.points([query.text for query in queries])
        by_block = np.stack(
            [(TextSimilarity.between(points, block.points) + _CONSTANT) @ block.coefficients for block in self.blocks_]
        )
        scores: FloatArray = by_block.mean(axis=0)
        for row, query in enumerate(queries):
            if query.id in self.training_rows_:
                block, training_row = self.training_rows_[query.id]
                scores[row] = by_block[block, row] + self.blocks_[block].own_effects[training_row]
        return scores + self.means_


@dataclass(frozen=True, eq=False)
class _Targets:
    """What is regressed."""

    residuals: FloatArray
    """(n_queries, n_prompts) float32 advantages less their means; 0 in cells without a trial."""

    noise: FloatArray
    """(n_queries, n_prompts) variance of each residual's noise, as a multiple of the noise level."""

    means: FloatArray
    """(n_prompts,) mean advantages, each cell weighted by the inverse of its noise; the prompt's effect where none of
    its cells was compared with another prompt's."""

    @classmethod
    def of(cls, demonstrations: Demonstrations, own_share: float, reference_trials: float) -> Self:
        weights = advantage_weights(demonstrations)
        tried = weights > 0
        noise = np.full(weights.shape, _UNTRIED_NOISE)
        noise[tried] = own_share + (1 - own_share) * reference_trials / weights[tried]
        values = np.where(tried, np.nan_to_num(advantages(demonstrations)), 0.0)
        precision = (1 / noise).sum(axis=0, where=tried)
        means = prompt_effects(demonstrations)
        np.divide((values / noise).sum(axis=0, where=tried), precision, out=means, where=precision > 0)
        return cls(np.where(tried, values - means, 0.0).astype(np.float32), noise, means)

    def take(self, rows: IntArray) -> _Targets:
        return _Targets(self.residuals[rows], self.noise[rows], self.means)

    def columns_of_equal_noise(self) -> list[IntArray]:
        """Return the prompts in sets that share their noise, and so a factorisation; one set where all were tried."""
        _, kinds = np.unique(self.noise, axis=1, return_inverse=True)
        return [np.flatnonzero(kinds == kind) for kind in range(int(kinds.max()) + 1)]


def _add_noise(kernel: FloatArray, level: float, noise: FloatArray) -> FloatArray:
    """Return a copy of the kernel with the noise on its diagonal."""
    noisy = kernel.copy()
    noisy[np.diag_indices(len(noisy))] += (level * noise).astype(noisy.dtype)
    return noisy


def _solve_positive(matrix: FloatArray, right: FloatArray) -> FloatArray:
    """Return the solution for a symmetric positive definite matrix, which is overwritten."""
    try:
        solution: FloatArray = cho_solve(cho_factor(matrix, lower=True, overwrite_a=True), right)
    except LinAlgError as error:
        raise DataError(_NOT_POSITIVE) from error
    return solution


def _inverse(matrix: FloatArray) -> FloatArray:
    """Return the inverse of a symmetric positive definite float32 matrix, which is overwritten."""
    factor, failed = lapack.spotrf(matrix, lower=True, overwrite_a=True)
    if failed:
        raise DataError(_NOT_POSITIVE)
    inverse, _ = lapack.spotri(factor, lower=True, overwrite_c=True)
    whole: FloatArray = np.tril(inverse)
    whole += np.tril(inverse, -1).T
    return whole


def _leave_out_errors(inverse: FloatArray, residuals: FloatArray, groups: IntArray) -> FloatArray:
    """Return (n_queries, n_prompts) each residual less its prediction without its group: C_GG⁻¹ (C y)_G."""
    weighted = inverse @ residuals
    errors: FloatArray = weighted / np.diag(inverse)[:, None]
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(groups[order]) != 0))
    for members in np.split(order, starts[1:]):
        if len(members) > 1:
            errors[members] = np.linalg.solve(inverse[np.ix_(members, members)], weighted[members])
    return errors
