"""What policies are worth on held-out demonstrations, and how sure that is."""

from __future__ import annotations

from prompt_oirl.evaluation.agreement import OutcomeCorrelation, outcome_correlation
from prompt_oirl.evaluation.chosen import chosen_rewards
from prompt_oirl.evaluation.classification import Classification, classify
from prompt_oirl.evaluation.cost import CostCurve, CostPoint, SelfCritiqueCost, cost_curve, prompt_tokens
from prompt_oirl.evaluation.cross_validation import CrossValidation, cross_validate, cross_validated_gain
from prompt_oirl.evaluation.data_size import DataSizeCurve, DataSizePoint, Extrapolation, data_size_curve
from prompt_oirl.evaluation.estimate import Estimate, IntervalMethod
from prompt_oirl.evaluation.evaluation import Evaluation, evaluate
from prompt_oirl.evaluation.gains import average_gain, fold_widening, gain, gain_influences
from prompt_oirl.evaluation.headroom import (
    Headroom,
    PowerStatement,
    TrialsChoice,
    VarianceComponents,
    detectable_gain,
    detectable_headroom,
    headroom,
    queries_needed,
    repeats_needed,
)
from prompt_oirl.evaluation.left_out_prompts import LeftOutPrompt, LeftOutPrompts, OverQueriesAndPrompts
from prompt_oirl.evaluation.off_policy import OffPolicyEstimate, OffPolicyEvaluation, off_policy_values
from prompt_oirl.evaluation.portfolio import (
    Contribution,
    OneMorePrompt,
    Portfolio,
    PortfolioSize,
    portfolio,
    portfolio_by_trials,
)
from prompt_oirl.evaluation.risk_coverage import RiskCoverage, RiskCoveragePoint, risk_coverage
from prompt_oirl.evaluation.simultaneous import (
    SimultaneousBounds,
    one_sided_level,
    simultaneous_bounds,
    simultaneous_quantile,
)
from prompt_oirl.evaluation.unseen_prompts import (
    AdmittedBestOfN,
    UnseenPromptKnowledge,
    UnseenPrompts,
    can_score_unseen,
    unseen_prompts,
    validate_unseen,
)
from prompt_oirl.evaluation.values import (
    average_value,
    oracle_choices,
    policy_value,
    random_prompt_value,
    regret,
    share_of_inflated_headroom,
)
from prompt_oirl.evaluation.wins import PromptWins, win_map

__all__ = [
    "AdmittedBestOfN",
    "Classification",
    "Contribution",
    "CostCurve",
    "CostPoint",
    "CrossValidation",
    "DataSizeCurve",
    "DataSizePoint",
    "Estimate",
    "Evaluation",
    "Extrapolation",
    "Headroom",
    "IntervalMethod",
    "LeftOutPrompt",
    "LeftOutPrompts",
    "OffPolicyEstimate",
    "OffPolicyEvaluation",
    "OneMorePrompt",
    "OutcomeCorrelation",
    "OverQueriesAndPrompts",
    "Portfolio",
    "PortfolioSize",
    "PowerStatement",
    "PromptWins",
    "RiskCoverage",
    "RiskCoveragePoint",
    "SelfCritiqueCost",
    "SimultaneousBounds",
    "TrialsChoice",
    "UnseenPromptKnowledge",
    "UnseenPrompts",
    "VarianceComponents",
    "average_gain",
    "average_value",
    "can_score_unseen",
    "chosen_rewards",
    "classify",
    "cost_curve",
    "cross_validate",
    "cross_validated_gain",
    "data_size_curve",
    "detectable_gain",
    "detectable_headroom",
    "evaluate",
    "fold_widening",
    "gain",
    "gain_influences",
    "headroom",
    "off_policy_values",
    "one_sided_level",
    "oracle_choices",
    "outcome_correlation",
    "policy_value",
    "portfolio",
    "portfolio_by_trials",
    "prompt_tokens",
    "queries_needed",
    "random_prompt_value",
    "regret",
    "repeats_needed",
    "risk_coverage",
    "share_of_inflated_headroom",
    "simultaneous_bounds",
    "simultaneous_quantile",
    "unseen_prompts",
    "validate_unseen",
    "win_map",
]
