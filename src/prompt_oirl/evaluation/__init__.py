"""What policies are worth on held-out demonstrations, and how sure that is."""

from __future__ import annotations

from prompt_oirl.evaluation.agreement import OutcomeCorrelation, outcome_correlation
from prompt_oirl.evaluation.classification import Classification, classify
from prompt_oirl.evaluation.cross_validation import CrossValidation, cross_validate
from prompt_oirl.evaluation.estimate import Estimate, IntervalMethod
from prompt_oirl.evaluation.evaluation import Evaluation, evaluate
from prompt_oirl.evaluation.values import (
    average_gain,
    chosen_rewards,
    gain,
    oracle_choices,
    policy_value,
    random_prompt_value,
    regret,
    share_of_inflated_headroom,
)
from prompt_oirl.evaluation.wins import PromptWins, win_map

__all__ = [
    "Classification",
    "CrossValidation",
    "Estimate",
    "Evaluation",
    "IntervalMethod",
    "OutcomeCorrelation",
    "PromptWins",
    "average_gain",
    "chosen_rewards",
    "classify",
    "cross_validate",
    "evaluate",
    "gain",
    "oracle_choices",
    "outcome_correlation",
    "policy_value",
    "random_prompt_value",
    "regret",
    "share_of_inflated_headroom",
    "win_map",
]
