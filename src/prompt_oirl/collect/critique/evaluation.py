"""What choosing by the LLM's self-criticism is worth on a run, and what it costs: the paper's LMSC on one's own data.

The baseline is that of the reproduction's leak-free tables: for each query the best single prompt of the folds that the
query is not in, averaged over several seeds of the folds. (The paper's own LMSC is compared with the prompt that is
best on the very queries it is judged on; nobody can choose so.) Self-criticism learns nothing, so each query counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.collect.critique.critic import Critic, Critiques, critiques_of
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError
from prompt_oirl.evaluation import Estimate, average_gain, chosen_rewards, cross_validate
from prompt_oirl.evaluation.estimate import Outcomes, estimate
from prompt_oirl.grading import Grader
from prompt_oirl.policies import SelfCritique
from prompt_oirl.runs.export import demonstrations_of
from prompt_oirl.runs.spending import Spending
from prompt_oirl.splits import Grouping

if TYPE_CHECKING:
    from prompt_oirl.runs.store import RunStore

__all__ = ["CritiqueEvaluation", "evaluate_critique"]

_Runs = Sequence[tuple[IntArray, IntArray]]
"""(n_queries,) prompts chosen, and the best single prompt of the other folds, for each seed of the folds."""


@dataclass(frozen=True, eq=False)
class CritiqueEvaluation:
    """Choosing the answer that the LLM is most confident of, against the best single prompt.

    Values and gain rest on the same queries, so value less baseline value is the gain.
    """

    value: Estimate
    """Success rate of choosing so."""

    baseline_value: Estimate
    """Success rate of the best single prompt."""

    gain: Estimate
    """The first less the second, paired, cluster-robust normal interval."""

    gain_by_bootstrap: Estimate
    """The same gain, with the cluster bootstrap's interval."""

    by: Grouping
    """What makes a group of queries, for folds and intervals."""

    n_incomplete: int
    """Queries left out, because not all of their answers have been asked about."""

    n_without_critique: int
    """Queries none of whose critiques could be read: the best single prompt is chosen there."""

    critiques: Critiques
    """Of all queries, with what they cost."""

    spending_on_answers: Spending
    """What the answers cost that it chooses among: those of every prompt; the best single prompt needs its own."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        estimates = ("value", "baseline_value", "gain", "gain_by_bootstrap")
        return vars(self) | {
            **{name: getattr(self, name).to_dict() for name in estimates},
            "critiques": self.critiques.to_dict(),
            "spending_on_answers": self.spending_on_answers.to_dict(),
        }


def evaluate_critique(
    store: RunStore,
    *,
    critic: Critic | None = None,
    grader: Grader | None = None,
    by: Grouping = "template",
    n_folds: int = 5,
    n_seeds: int = 5,
    level: float = 0.95,
    seed: int = 0,
) -> CritiqueEvaluation:
    """Evaluate `SelfCritique` on a run's stored critiques, without a call.

    A prompt whose answer has no critique that could be read is chosen after all that have one. Where a query has none
    at all, self-criticism cannot choose, and the best single prompt stands in for it. A query with an answer that was
    not asked about yet is left out. With several samples a cell, the mean of their probabilities counts.

    Args:
        store: Of the run.
        critic: How the LLM was asked; if None, as it was asked last.
        grader: Grades the answers now; without one the latest stored grades count.
        by: What makes a group of queries, for folds and intervals.
        n_folds: Number of folds from which the best single prompt is chosen.
        n_seeds: Number of seeds of the folds to average over, at least 1.
        level: Coverage of the intervals.
        seed: The first of the folds' seeds, and that of the bootstrap.

    Raises:
        DataError: There is no critique, no query has all of its answers judged, or the run has no grades.
        ParameterError: There are fewer groups of queries than folds.
    """
    critic = critic or Critic.noted(store)
    if critic is None:
        raise DataError("this run has no critiques; run prompt-oirl critique first")
    demonstrations = demonstrations_of(store, grader=grader)
    critiques = critiques_of(store, demonstrations, critic)
    kept = np.flatnonzero(critiques.is_complete)
    if critiques.n_missing == critiques.n_answers or not len(kept):
        raise DataError(
            f"{critiques.n_missing} of {critiques.n_answers} answers have not been asked about, so that no query can "
            "be judged; run prompt-oirl critique first"
        )
    of_kept, confidence = demonstrations.select_queries(kept), critiques.confidence[kept]
    runs = _runs(of_kept, confidence, by=by, n_folds=n_folds, seeds=range(seed, seed + n_seeds))
    groups = of_kept.groups(by)
    value, baseline_value = _values(of_kept, runs, groups, level)
    return CritiqueEvaluation(
        value=value,
        baseline_value=baseline_value,
        gain=average_gain(of_kept, runs, groups=groups, n_folds=n_folds, level=level),
        gain_by_bootstrap=average_gain(
            of_kept, runs, groups=groups, n_folds=n_folds, level=level, method="bootstrap", seed=seed
        ),
        by=by,
        n_incomplete=demonstrations.n_queries - len(kept),
        n_without_critique=int(np.isnan(confidence).all(axis=1).sum()),
        critiques=critiques,
        spending_on_answers=store.spending("answer"),
    )


def _runs(
    demonstrations: Demonstrations, confidence: FloatArray, *, by: Grouping, n_folds: int, seeds: Sequence[int]
) -> _Runs:
    """Return the choices and the baseline's for each seed."""
    policy = SelfCritique.from_array(demonstrations.queries, demonstrations.prompts, confidence)
    can_choose = ~np.isnan(confidence).all(axis=1)
    folded = [cross_validate(lambda _: policy, demonstrations, by=by, n_folds=n_folds, seed=seed) for seed in seeds]
    return [(np.where(can_choose, each.choices, each.baseline), each.baseline) for each in folded]


def _values(demonstrations: Demonstrations, runs: _Runs, groups: IntArray, level: float) -> list[Estimate]:
    """Return the value of the choices and that of the baseline, on the trials that the gain rests on."""
    rewards = np.array([[chosen_rewards(demonstrations, choices) for choices in pair] for pair in runs])
    is_paired = ~np.isnan(rewards).any(axis=1, keepdims=True)
    n_paired = is_paired.sum(axis=0)
    means: FloatArray = np.full(rewards.shape[1:], np.nan)
    np.divide(np.where(is_paired, rewards, 0.0).sum(axis=0), n_paired, out=means, where=n_paired > 0)
    used = np.zeros((2, *demonstrations.trials.shape), dtype=np.bool_)
    for pair in runs:
        for side, choices in enumerate(pair):
            used[side, np.arange(demonstrations.n_queries), choices] = n_paired[0] > 0
    return [
        estimate(
            Outcomes(
                values=means[side],
                weights=demonstrations.repeats.astype(np.float64),
                groups=groups,
                n_trials=int(demonstrations.trials[used[side]].sum()),
            ),
            bounds=(0.0, 1.0),
            level=level,
        )
        for side in (0, 1)
    ]
