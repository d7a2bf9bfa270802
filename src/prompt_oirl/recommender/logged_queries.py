"""The training queries most like a text, and what each prompt did on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.features.similarity import TextPoints, TextSimilarity
from prompt_oirl.reward.kernel_advantage import KernelAdvantage

__all__ = ["LoggedQueries", "LoggedQuery"]


@dataclass(frozen=True)
class LoggedQuery:
    """A query of the training demonstrations."""

    text: str
    similarity: float
    """To the query asked about, from 0 to 1."""

    outcomes: Mapping[str, tuple[int, int]]
    """Trials and successes of each prompt by its id; prompts that were not tried have none."""

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        outcomes = {name: {"trials": trials, "successes": right} for name, (trials, right) in self.outcomes.items()}
        return {"query": self.text, "similarity": self.similarity, "outcomes": outcomes}


@dataclass(frozen=True, eq=False)
class LoggedQueries:
    """Training demonstrations made ready for finding queries like another."""

    demonstrations: Demonstrations
    similarity: TextSimilarity
    blocks: Sequence[TextPoints]
    rows: IntArray
    """(n_points,) the query of each point, the blocks one after another."""

    @classmethod
    def of(cls, demonstrations: Demonstrations, model: object = None) -> Self:
        """Take the points of a `KernelAdvantage` that was fitted on the demonstrations, or fit a similarity on them."""
        if not isinstance(model, KernelAdvantage):
            rows = np.flatnonzero(demonstrations.trials.any(axis=1))
            texts = [demonstrations.queries[row].text for row in rows]
            similarity: TextSimilarity = TextSimilarity().fit(texts)
            return cls(demonstrations, similarity, [similarity.points(texts)], rows)
        starts = np.cumsum([0, *(len(block.points) for block in model.blocks_)])
        rows = np.zeros(starts[-1], dtype=np.int64)
        for row, query in enumerate(demonstrations.queries):
            if query.id in model.training_rows_:
                block, row_in_block = model.training_rows_[query.id]
                rows[starts[block] + row_in_block] = row
        return cls(demonstrations, model.similarity_, [block.points for block in model.blocks_], rows)

    def nearest(self, text: str, n: int) -> tuple[LoggedQuery, ...]:
        """Return the most similar queries, most similar first; those that have nothing in common are left out."""
        points = self.similarity.points([text])
        similarities: FloatArray = np.concatenate(
            [self.similarity.between(points, block)[0] for block in self.blocks] or [np.zeros(0)]
        )
        order = np.argsort(-similarities, kind="stable")[: max(n, 0)]
        return tuple(self._logged(self.rows[i], float(similarities[i])) for i in order if similarities[i] > 0)

    def _logged(self, row: int, similarity: float) -> LoggedQuery:
        trials, successes = self.demonstrations.trials[row].tolist(), self.demonstrations.successes[row].tolist()
        outcomes = {
            name: (tried, right)
            for name, tried, right in zip(self.demonstrations.prompt_ids, trials, successes, strict=True)
            if tried
        }
        return LoggedQuery(self.demonstrations.queries[row].text, min(similarity, 1.0), outcomes)
