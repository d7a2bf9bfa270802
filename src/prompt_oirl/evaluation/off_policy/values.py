"""Value and gain of a policy by decisions that were logged under another one."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.evaluation.off_policy.advice import Basis, advice, doubts
from prompt_oirl.evaluation.off_policy.arguments import (
    check_propensities,
    check_scores,
    check_settings,
    group_numbers,
    policy_probabilities,
    wanted,
)
from prompt_oirl.evaluation.off_policy.direct_model import ScoreFunction, cross_fitted_scores
from prompt_oirl.evaluation.off_policy.estimators import ESTIMATORS, Estimator, Tuning
from prompt_oirl.evaluation.off_policy.evidence import Evidence
from prompt_oirl.evaluation.off_policy.result import OffPolicyEvaluation
from prompt_oirl.evaluation.off_policy.support import support_of
from prompt_oirl.evaluation.off_policy.valued_policy import ValuedPolicy, ask
from prompt_oirl.sources.logged_decisions import LoggedDecisions
from prompt_oirl.splits import Grouping

__all__ = ["off_policy_values"]


def off_policy_values(
    decisions: LoggedDecisions,
    target: FloatArray | IntArray,
    *,
    baseline: FloatArray | IntArray | None = None,
    scores: FloatArray | ScoreFunction | None = None,
    groups: IntArray | None = None,
    by: Grouping = "template",
    clip: float = 0.0,
    level: float = 0.95,
    estimators: Collection[Estimator] = ESTIMATORS,
    direct_method_only: bool = False,
    switch_at: float | None = None,
    shrinkage: float | None = None,
    n_folds: int = 5,
    seed: int = 0,
) -> OffPolicyEvaluation:
    """Estimate what a policy would be worth, and its gain over a baseline, from what another policy chose.

    Definitions and sources are in docs/off_policy.md. Where each query saw every prompt equally often, all but the
    direct method give the values of `policy_value` and `gain` exactly.

    Args:
        decisions: Held-out decisions: neither policy may have been learnt from them.
        target: The policy: (n_queries,) the index of the prompt chosen for each query, or (n_queries, n_prompts)
            probabilities.
        baseline: What it must beat, such as the best single prompt; in the same form. None for no gain.
        scores: The direct model: (n_queries, n_prompts) expected rewards from 0 to 1, each query's by a model that has
            not seen its group; or a function that learns and scores, such as `scores_by` gives, which is cross-fitted
            here. None for estimators without one.
        groups: (n_queries,) group numbers, where they are at hand.
        by: What makes a group of queries, where no group numbers are given.
        clip: Probabilities below it count as it: less noise, some bias, and the number of them is in the result. 0 for
            none.
        level: Coverage aimed at.
        estimators: Those wanted.
        direct_method_only: Use the direct method alone, and say so: the only way for decisions without propensities.
        switch_at: τ of `switch_dr`; chosen by estimated squared error if None.
        shrinkage: λ of `dr_os`; chosen likewise if None.
        n_folds: Folds of query groups, where `scores` is a function.
        seed: Of these folds.

    Raises:
        ParameterError: A policy or the scores have another shape or are no probabilities, or an argument is out of its
            range.
        DataError: There are no propensities, or one under 1e-100, and `direct_method_only` was not asked for;
            no decision has a reward; or fewer than two groups of queries have one.
    """
    asked = wanted(estimators, direct_method_only=direct_method_only)
    check_settings(clip, switch_at, shrinkage)
    check_propensities(decisions, direct_method_only=direct_method_only, has_scores=scores is not None)
    numbers = decisions.groups(by) if groups is None else group_numbers(groups, decisions)
    evidence = Evidence.of(decisions, groups=numbers, clip=clip)
    if callable(scores):
        scores = cross_fitted_scores(scores, decisions, groups=numbers, n_folds=n_folds, seed=seed)
    if scores is not None:
        check_scores(scores, decisions)

    def valued(name: str, given: FloatArray | IntArray) -> ValuedPolicy:
        probabilities = policy_probabilities(name, given, decisions)
        support = None if direct_method_only else support_of(evidence, probabilities, level=level)
        called = "policy" if name == "target" else name
        return ValuedPolicy(called, probabilities, evidence, scores, Tuning(switch_at, shrinkage), support, level)

    policy = valued("target", target)
    against = None if baseline is None else valued("baseline", baseline)
    estimates = tuple(ask(each, policy, against) for each in asked)
    baseline_support = None if against is None else against.support
    n_groups = len(np.unique(numbers[evidence.asked > 0]))
    basis = Basis(evidence, policy.support, baseline_support, n_groups, decisions.propensity_of)
    read, why = advice(estimates, basis)
    return OffPolicyEvaluation(
        estimates=estimates,
        read=read,
        why=why,
        support=policy.support,
        baseline_support=baseline_support,
        propensity_of=decisions.propensity_of,
        clip=clip,
        by=by if groups is None else None,
        n_decisions=decisions.n_decisions,
        n_without_reward=int(np.isnan(decisions.rewards).sum()),
        n_queries=int((evidence.asked > 0).sum()),
        n_groups=n_groups,
        warnings=doubts(estimates, basis),
    )
