"""Fits that serve every subset of the prompts at once.

A logistic model of one prompt looks at no other prompt, and kernel advantages of some prompts are, up to a constant
within a query, those fitted on these prompts alone (every prompt was tried equally often). So both candidates of the
recommender are fitted once a fold on all prompts, and each subset takes its columns: the same choices as fitting 63
times, which a test proves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.policies import best_of_scores, best_single_of
from prompt_oirl.recommender import Recommender
from prompt_oirl.recommender.candidates import default_candidates
from prompt_oirl.selection import Candidate, candidate_scores, select_by_scores
from prompt_oirl.splits import Grouping, grouped_folds

__all__ = ["ADVANTAGE", "LOGISTIC", "N_FOLDS", "SharedFit", "shared_folds"]

ADVANTAGE, LOGISTIC = "kernel_advantage", "logistic"
"""Names of the default candidates."""

N_FOLDS = 5
"""Of the cross-validation."""


@dataclass(frozen=True, eq=False)
class SharedFit:
    """The default candidates, fitted on training demonstrations and asked about test queries."""

    training: Demonstrations
    groups: IntArray
    """(n_training_queries,) group numbers that the selection keeps whole."""

    candidates: Sequence[Candidate]
    held_out: Mapping[str, FloatArray]
    """For each candidate (n_runs, n_training_queries, n_prompts) scores without the query's group."""

    test: Mapping[str, FloatArray]
    """For each candidate (n_test_queries, n_prompts) scores."""

    @classmethod
    def of(cls, training: Demonstrations, test: Demonstrations, *, by: Grouping) -> SharedFit:
        """Fit the default candidates on all prompts."""
        settings = Recommender(by=by)
        candidates = default_candidates(settings.seed)
        groups = training.groups(by)
        return cls(
            training=training,
            groups=groups,
            candidates=candidates,
            held_out=candidate_scores(
                candidates,
                training,
                groups=groups,
                n_folds=settings.n_folds,
                n_runs=settings.n_runs,
                seed=settings.seed,
            ),
            test={each.name: each.model.fit(training).score(test.queries, test.prompts) for each in candidates},
        )

    def best_single(self, subset: Sequence[int]) -> int:
        """Return the position in the subset of its best prompt on the training demonstrations."""
        return best_single_of(self.training.select_prompts(subset))

    def best_of(self, candidate: str, subset: Sequence[int]) -> IntArray:
        """Return (n_test_queries,) positions in the subset: the candidate's argmax, ties to the best single prompt."""
        return best_of_scores(self.test[candidate][:, list(subset)], best_single=self.best_single(subset))

    def recommend(self, subset: Sequence[int]) -> IntArray:
        """Return (n_test_queries,) positions in the subset: what a `Recommender` fitted on the subset chooses."""
        columns, single = list(subset), self.best_single(subset)
        selection = select_by_scores(
            self.candidates,
            {name: scores[:, :, columns] for name, scores in self.held_out.items()},
            self.training.select_prompts(columns),
            groups=self.groups,
            n_folds=Recommender().n_folds,
            confidence=Recommender().confidence,
        )
        scores = self.test[selection.best.candidate][:, columns]
        if not selection.pays:
            return np.full(len(scores), single)
        return best_of_scores(scores, head_start=selection.best.head_start, best_single=single)


def shared_folds(demonstrations: Demonstrations, *, by: Grouping, seed: int) -> list[tuple[IntArray, SharedFit]]:
    """Return, for each fold, the indices of its test queries and the fit on the other folds."""
    weights = demonstrations.repeats.astype(np.float64)
    folds = grouped_folds(demonstrations.groups(by), N_FOLDS, seed=seed, weights=weights)
    return [
        (test, SharedFit.of(demonstrations.select_queries(train), demonstrations.select_queries(test), by=by))
        for train, test in folds
    ]
