"""Scores turned into probabilities on held-out queries, without changing a choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, clone
from sklearn.isotonic import IsotonicRegression

from prompt_oirl.arrays import FloatArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ParameterError
from prompt_oirl.records import Prompt, Query
from prompt_oirl.reward.checks import check_fitted, check_learnable
from prompt_oirl.reward.protocol import RewardModel, ScoresUnseenPrompts
from prompt_oirl.splits import Grouping, grouped_folds

__all__ = ["CalibratedModel", "Calibration"]

Method = Literal["isotonic", "platt"]

_TILT = 1e-6
"""Share of a strictly rising curve in every map, so that a flat stretch ties no prompts."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """A strictly increasing map from scores to probabilities."""

    knots: FloatArray
    """(n_knots,) scores, ascending; empty for Platt's sigmoid."""

    values: FloatArray
    """(n_knots,) probability at each knot, linear in between and constant outside; empty for Platt's sigmoid."""

    slope: float
    """Of Platt's sigmoid on the standardised score, not negative."""

    intercept: float
    """Of Platt's sigmoid."""

    centre: float
    """Mean of the scores that the map was fitted on."""

    spread: float
    """Their standard deviation, 1 if that is 0."""

    @classmethod
    def isotonic(cls, scores: FloatArray, trials: FloatArray, successes: FloatArray) -> Self:
        """Fit the increasing map of least squared error, weighted by trials; all arrays (n_cells,)."""
        fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
        fitted.fit(scores, successes / trials, sample_weight=trials)
        centre, spread = _moments(scores, trials)
        return cls(fitted.X_thresholds_, fitted.y_thresholds_, 0.0, 0.0, centre, spread)

    @classmethod
    def platt(cls, scores: FloatArray, trials: FloatArray, successes: FloatArray) -> Self:
        """Fit a sigmoid of the score with a slope that is not negative; all arrays (n_cells,)."""
        centre, spread = _moments(scores, trials)
        z = (scores - centre) / spread

        def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
            logits = parameters[0] * z + parameters[1]
            error = trials * expit(logits) - successes
            value = (trials * np.logaddexp(0, logits) - successes * logits).sum()
            return value / trials.sum(), np.array([error @ z, error.sum()]) / trials.sum()

        # One success and one failure more keep the start finite where all rewards are equal; the bounds, the end.
        start = np.array([0.0, logit((successes.sum() + 1) / (trials.sum() + 2))])
        slope, intercept = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, 50), (-50, 50)]).x
        return cls(np.zeros(0), np.zeros(0), float(slope), float(intercept), centre, spread)

    def apply(self, scores: FloatArray) -> FloatArray:
        """Return the probabilities of scores of any shape."""
        z = (scores - self.centre) / self.spread
        if len(self.knots):
            mapped = np.interp(scores, self.knots, self.values)
        else:
            mapped = expit(self.slope * z + self.intercept)
        probabilities: FloatArray = (1 - _TILT) * mapped + _TILT * (0.5 + np.arctan(z) / np.pi)
        return probabilities


def _moments(scores: FloatArray, trials: FloatArray) -> tuple[float, float]:
    centre = float(np.average(scores, weights=trials))
    spread = float(np.sqrt(np.average((scores - centre) ** 2, weights=trials)))
    return centre, spread if spread > 0 else 1.0


class CalibratedModel(BaseEstimator):  # type: ignore[misc]
    """Fit a model, and one strictly increasing map from its scores to probabilities, shared by all prompts.

    The map is fitted on scores of queries that the model was not fitted on: folds of query groups, a cell counting by
    its trials. Because it is shared and increasing, best-of-N chooses as with the model itself, only a threshold on
    the score (such as the paper's 0.5) comes to mean something. A map for each prompt could be better calibrated, and
    would change choices.

    Args:
        model: The reward model; fitted copies are made of it.
        n_folds: Folds of query groups.
        method: "isotonic" (any increasing shape) or "platt" (a sigmoid: for few cells).
        by: What makes a group.
        seed: Of the random deal of groups to folds.
    """

    prompts_: tuple[Prompt, ...]
    model_: RewardModel
    """The model fitted on all demonstrations."""

    calibration_: Calibration

    def __init__(
        self,
        model: RewardModel,
        n_folds: int = 5,
        *,
        method: Method = "isotonic",
        by: Grouping = "template",
        seed: int = 0,
    ) -> None:
        self.model = model
        self.n_folds = n_folds
        self.method = method
        self.by = by
        self.seed = seed

    @property
    def gives_probabilities(self) -> bool:
        """True."""
        return True

    @property
    def can_score_unseen(self) -> bool:
        """Whether the model does."""
        return isinstance(self.model, ScoresUnseenPrompts) and self.model.can_score_unseen

    def fit(self, demonstrations: Demonstrations) -> Self:
        """Learn from demonstrations and return self.

        Raises:
            DataError: The demonstrations cannot be learnt from.
            ParameterError: The method is unknown, or there are fewer groups of queries than folds.
        """
        fits = {"isotonic": Calibration.isotonic, "platt": Calibration.platt}
        if self.method not in fits:
            raise ParameterError(f"method={self.method!r}: use 'isotonic' or 'platt'")
        learnable = check_learnable(demonstrations)
        self.calibration_ = fits[self.method](*self._held_out_cells(learnable))
        self.model_ = clone(self.model).fit(learnable)
        self.prompts_ = learnable.prompts
        return self

    def score(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> FloatArray:
        """Return (n_queries, n_prompts) success probabilities.

        Raises:
            NotFittedError: `fit` was not called.
            UnseenPromptError: A prompt was not in training and the model cannot score unseen prompts.
        """
        check_fitted(self)
        return self.calibration_.apply(self.model_.score(queries, prompts))

    def _held_out_cells(self, demonstrations: Demonstrations) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return (n_cells,) held-out score, trials and successes of the tried cells.

        A prompt that a fold's training side has no trial of is left out of that fold.
        """
        weights = demonstrations.trials.sum(axis=1).astype(np.float64)
        parts = []
        for train, test in grouped_folds(demonstrations.groups(self.by), self.n_folds, seed=self.seed, weights=weights):
            tried = np.flatnonzero(demonstrations.trials[train].any(axis=0))
            kept = demonstrations.select_prompts(tried)
            held_out = kept.select_queries(test)
            model = clone(self.model).fit(kept.select_queries(train))
            cells = held_out.trials > 0
            scores = model.score(held_out.queries, held_out.prompts)
            parts.append((scores[cells], held_out.trials[cells], held_out.successes[cells]))
        scores, trials, successes = (np.concatenate(part).astype(np.float64) for part in zip(*parts, strict=True))
        return scores, trials, successes
