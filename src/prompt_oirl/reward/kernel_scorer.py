"""A `KernelAdvantage` made ready to score: its training texts indexed by term, its blocks as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.features.one_text.similarity import SimilarityToTexts
from prompt_oirl.records import Query

if TYPE_CHECKING:
    from prompt_oirl.reward.kernel_advantage import KernelAdvantage

__all__ = ["KernelScorer"]

_COMPARED_AT_ONCE = 1 << 20
"""Similarities: enough for products of matrices to pay, few enough for a processor's cache to help."""

_QUICK = 4_000_000
"""Multiplications for one query that take about a millisecond."""

_PER_TEXT = 350
"""Multiplications that take as long as comparing with one training text."""


class KernelScorer:
    """Scores prompts by the similarities of a query to the training queries, times their coefficients.

    Args:
        model: Fitted, with a `TextSimilarity`.
        columns: (n_prompts,) indices of the prompts to score among those of the model.
        constant: What the model adds to the kernel.
    """

    def __init__(self, model: KernelAdvantage, columns: IntArray, *, constant: np.float32) -> None:
        self._similarity = SimilarityToTexts(model.similarity_, [block.points for block in model.blocks_])
        self._constant = constant
        ends = np.cumsum([len(block.points) for block in model.blocks_]).tolist()
        self._rows = [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
        every = len(columns) == len(model.means_) and bool((columns == np.arange(len(columns))).all())
        chosen = slice(None) if every else columns  # a slice copies nothing
        self._coefficients = [block.coefficients[:, chosen] for block in model.blocks_]
        self._own_effects = [block.own_effects[:, chosen] for block in model.blocks_]
        self._means = model.means_[columns]
        self._training_rows = model.training_rows_
        self._step = max(1, _COMPARED_AT_ONCE // ends[-1])
        self.is_quick = ends[-1] * (_PER_TEXT + len(columns)) <= _QUICK

    def score_one(self, query: Query) -> FloatArray:
        """Return (n_prompts,) advantages."""
        scores: FloatArray = self._scores([query], self._similarity.of_one(query.text)[None])[0]
        return scores

    def score_many(self, queries: Sequence[Query]) -> FloatArray:
        """Return (n_queries, n_prompts) advantages."""
        texts = [query.text for query in queries]
        scores: FloatArray = np.empty((len(queries), len(self._means)))
        done = 0
        for similarities in self._similarity.of_many(texts, step=self._step):
            rows = slice(done, done + len(similarities))
            scores[rows] = self._scores(queries[rows], similarities)
            done = rows.stop
        return scores

    def _scores(self, queries: Sequence[Query], kernel: FloatArray) -> FloatArray:
        """Return the advantages, from (n_queries, n_training_queries) similarities, which are overwritten."""
        kernel += self._constant
        by_block = [kernel[:, rows] @ block for rows, block in zip(self._rows, self._coefficients, strict=True)]
        scores: FloatArray = np.mean(by_block, axis=0) if len(by_block) > 1 else by_block[0]
        for row, query in enumerate(queries):
            if (place := self._training_rows.get(query.id)) is not None:
                block, training_row = place
                scores[row] = by_block[block][row] + self._own_effects[block][training_row]
        return scores + self._means
