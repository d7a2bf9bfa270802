"""What a policy would be worth, by decisions that another one logged with their propensities."""

from __future__ import annotations

from prompt_oirl.evaluation.off_policy.direct_model import ScoreFunction, cross_fitted_scores, scores_by
from prompt_oirl.evaluation.off_policy.estimators import ESTIMATORS, Estimator
from prompt_oirl.evaluation.off_policy.result import OffPolicyEstimate, OffPolicyEvaluation
from prompt_oirl.evaluation.off_policy.support import Support
from prompt_oirl.evaluation.off_policy.values import off_policy_values
from prompt_oirl.sources.logged_decisions import LoggedDecisions, PropensityOf

__all__ = [
    "ESTIMATORS",
    "Estimator",
    "LoggedDecisions",
    "OffPolicyEstimate",
    "OffPolicyEvaluation",
    "PropensityOf",
    "ScoreFunction",
    "Support",
    "cross_fitted_scores",
    "off_policy_values",
    "scores_by",
]
