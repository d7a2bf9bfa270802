"""How well probabilities tell successes from failures: a reward model, or an LLM's verdict on its own answers.

A model that only knows which queries are hard does well here and moves no choice. Choose models by gain, not by this.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    brier_score_loss,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
    roc_auc_score,
)

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, ParameterError

__all__ = ["Classification", "classify"]


@dataclass(frozen=True, slots=True)
class Classification:
    """Metrics of a classifier of trials into successes (positive) and failures."""

    accuracy: float

    majority_accuracy: float
    """Accuracy of always answering the more frequent class: what accuracy must beat to mean anything."""

    precision: float
    """Successes among the trials called so; 0 where none was, and then named in `undefined`."""

    recall: float
    """Of the successes, those called so; 0 where there is none, and then named in `undefined`."""

    f1: float
    """Harmonic mean of precision and recall; 0 where there is neither success nor call, then named in `undefined`."""

    auc: float | None
    """Area under the ROC curve; None where all trials are of one class, and then named in `undefined`."""

    brier: float
    """Mean squared difference of probability and outcome."""

    log_loss: float
    """Mean negative log-likelihood in nats; probabilities are kept off 0 and 1 by the precision of a float."""

    n_trials: int
    """Trials with a reward."""

    n_successes: int

    n_called_successes: int
    """Trials whose probability is at least the threshold."""

    n_cells: int
    """Query × prompt cells that have such trials."""

    n_missing_cells: int
    """Cells without, left out."""

    threshold: float

    undefined: tuple[str, ...]
    """Names of the metrics that divide zero by zero here."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self)


def classify(demonstrations: Demonstrations, probabilities: FloatArray, *, threshold: float = 0.5) -> Classification:
    """Judge probabilities of success as a classifier, each trial counted once.

    Args:
        demonstrations: Held-out demonstrations.
        probabilities: (n_queries, n_prompts) probabilities of success, or verdicts 0 and 1; any value in cells
            without a trial.
        threshold: A trial is called a success where its probability is at least this.

    Raises:
        ParameterError: Shapes differ, or a probability is NaN or outside 0 to 1.
        DataError: No trial has a reward.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    tried = demonstrations.trials > 0
    _check(demonstrations, probabilities)
    successes, failures = demonstrations.successes[tried], (demonstrations.trials - demonstrations.successes)[tried]
    truth = np.repeat([1, 0], len(successes))
    scores, weights = np.tile(probabilities[tried], 2), np.concatenate([successes, failures])
    truth, scores, weights = truth[weights > 0], scores[weights > 0], weights[weights > 0]
    called = (scores >= threshold).astype(int)
    rate = float(np.average(truth, weights=weights))
    counts = {"n_successes": int(successes.sum()), "n_called_successes": int(weights @ called)}
    options = {"sample_weight": weights, "zero_division": 0.0}
    return Classification(
        accuracy=float(accuracy_score(truth, called, sample_weight=weights)),
        majority_accuracy=max(rate, 1 - rate),
        precision=float(precision_score(truth, called, **options)),
        recall=float(recall_score(truth, called, **options)),
        f1=float(f1_score(truth, called, **options)),
        auc=float(roc_auc_score(truth, scores, sample_weight=weights)) if 0 < rate < 1 else None,
        brier=float(brier_score_loss(truth, scores, sample_weight=weights, pos_label=1)),
        log_loss=float(log_loss(truth, scores, sample_weight=weights, labels=[0, 1])),
        n_trials=int(weights.sum()),
        n_cells=int(tried.sum()),
        n_missing_cells=int((~tried).sum()),
        threshold=threshold,
        undefined=_undefined(weights, **counts),
        **counts,
    )


def _check(demonstrations: Demonstrations, probabilities: FloatArray) -> None:
    if probabilities.shape != demonstrations.trials.shape:
        raise ParameterError(
            f"probabilities have shape {probabilities.shape}, but there are {demonstrations.n_queries} queries × "
            f"{demonstrations.n_prompts} prompts"
        )
    known = probabilities[demonstrations.trials > 0]
    if not known.size:
        raise DataError("no trial has a reward, so there is nothing to classify; check how the answers were graded")
    outside = known[~((known >= 0) & (known <= 1))]
    if outside.size:
        raise ParameterError(
            f"{outside.size} of {known.size} probabilities are outside 0 to 1 or NaN, for example {outside[0]}; only a "
            "model that gives probabilities can be judged as a classifier"
        )


def _undefined(weights: IntArray, *, n_successes: int, n_called_successes: int) -> tuple[str, ...]:
    divisors = {
        "precision": n_called_successes,
        "recall": n_successes,
        "f1": n_successes + n_called_successes,
        "auc": n_successes * (int(weights.sum()) - n_successes),
    }
    return tuple(name for name, divisor in divisors.items() if divisor == 0)
