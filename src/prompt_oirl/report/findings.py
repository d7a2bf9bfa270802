"""All that a report rests on, gathered: what was found, and why something could not be."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from prompt_oirl.evaluation import CostCurve, DataSizeCurve, Estimate, Portfolio, PromptWins, RiskCoverage
from prompt_oirl.evaluation.headroom import Headroom
from prompt_oirl.inspection import Inspection
from prompt_oirl.selection import Selection
from prompt_oirl.splits import Grouping

if TYPE_CHECKING:
    from prompt_oirl.report.calibration import AdvantageCalibration
    from prompt_oirl.report.evidence import Evidence
    from prompt_oirl.report.label_audit import LabelAudit
    from prompt_oirl.report.leakage import LeakageAudit

__all__ = ["Findings", "GainFindings", "LeftOut", "Missing", "as_json"]


@dataclass(frozen=True, slots=True)
class Missing:
    """A part that cannot be said of these logs."""

    reason: str
    """Why, and the way out, in one sentence."""


@dataclass(frozen=True)
class GainFindings:
    """What the choice per query is worth on queries that it was not learnt from."""

    value: Estimate
    """Success rate of the choices where they were tried, the mean over the draws of the folds as the gain is."""

    baseline_value: Estimate
    """Success rate of the best single prompt where it was tried."""

    gain: Estimate
    """Of the choices over the best single prompt, with the no-harm rule applied as it would be in use. Where trials are
    missing it is only about the difference of these rates, which rest on different queries."""

    gain_by_bootstrap: Estimate
    """The same gain with the cluster bootstrap's interval."""

    gain_without_rule: Estimate | None
    """Of choosing per query although the no-harm rule might say otherwise; None where there is nothing to choose by."""

    random_prompt: Estimate
    """Success rate of a prompt drawn at random for each query."""

    share_of_best_single: float
    """Share of the queries that are compared with the best single prompt of all of these logs; the others' folds had
    another one for the best. 1 where a recommender is judged."""

    share_switched: float
    """Share of the queries that get another prompt than the best single one that they are compared with."""

    win_map: tuple[PromptWins, ...]
    """For each prompt, how often it is chosen and what it is worth there, in the first draw of the folds."""

    n_runs: int
    """Draws of the folds that the gain is the mean of."""

    reward_model: str | None
    """What chooses; None where one prompt serves all queries."""

    @property
    def has_one_baseline(self) -> bool:
        """Whether all queries are compared with the same single prompt, and not with that of their fold."""
        return self.share_of_best_single == 1


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What was logged, or should have been, and is in none of the figures."""

    n_unscored: int
    """Trials without a reward."""

    n_untried_cells: int
    """Query × prompt cells without any trial."""

    n_queries_without_reward: int
    """Queries of which no trial has a reward."""

    n_queries_without_both: int
    """Queries that the gain does not rest on: another prompt than the best single one was chosen, in every draw of the
    folds, and one of the two was not tried."""

    n_dropped_as_seen: int
    """Queries that the recommender was trained on."""

    prompts_without_trials: tuple[str, ...]
    """Ids of prompts without a scored trial."""


@dataclass(frozen=True)
class Findings:
    """What a report says, before it is put into words and pictures."""

    source: str
    """What the logs were read from, as the user named it."""

    recommender: str | None
    """Which recommender was judged; None where the logs were judged by cross-fitted selection."""

    made_on: str | None
    """The date, if the report is to bear one."""

    by: Grouping
    """What makes a group of queries."""

    level: float
    """Coverage of the intervals."""

    seed: int

    best_single: str
    """Id of the prompt that is best on all of these logs, or that the recommender holds for the best."""

    best_here: str
    """Id of the prompt that is best on all of these logs."""

    warnings: tuple[str, ...]
    """What is wrong with the logs themselves, such as rates that are biased because nothing weighs them."""

    inspection: Inspection

    evidence: Evidence

    left_out: LeftOut

    leakage: LeakageAudit

    gain: GainFindings | Missing

    selection: Selection | Missing

    headroom: Headroom | Missing

    calibration: AdvantageCalibration | Missing

    risk_coverage: RiskCoverage | Missing

    data_size: DataSizeCurve | Missing

    label_audit: LabelAudit | Missing

    cost: CostCurve | Missing

    portfolio: Portfolio | Missing

    def to_dict(self) -> dict[str, Any]:
        """Return what `report.json` holds of the findings; what is missing is `{"missing": reason}`."""
        return {field.name: as_json(getattr(self, field.name)) for field in fields(self)}


def as_json(value: Any) -> Any:
    """Return a value as JSON can hold it: arrays as lists, what is not a number as None."""
    if isinstance(value, Missing):
        return {"missing": value.reason}
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if hasattr(value, "to_dict"):
        return as_json(value.to_dict())
    if is_dataclass(value):
        return {field.name: as_json(getattr(value, field.name)) for field in fields(value)}
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return as_json(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
