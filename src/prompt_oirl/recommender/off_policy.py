"""What a recommender is worth by decisions that another policy logged."""

from __future__ import annotations

import numpy as np

from prompt_oirl.errors import DataError
from prompt_oirl.evaluation.off_policy import LoggedDecisions, OffPolicyEvaluation, off_policy_values, scores_by
from prompt_oirl.recommender.recommender import Recommender
from prompt_oirl.reward.logistic import LogisticModel
from prompt_oirl.reward.protocol import RewardModel
from prompt_oirl.splits import check_unseen, is_seen

__all__ = ["evaluate_off_policy", "unseen_decisions"]


def evaluate_off_policy(
    recommender: Recommender,
    decisions: LoggedDecisions,
    *,
    direct_model: RewardModel | None = None,
    direct_method_only: bool = False,
    clip: float = 0.0,
    level: float = 0.95,
    seed: int = 0,
) -> OffPolicyEvaluation:
    """Estimate a recommender's value and its gain over the best single prompt from logged decisions.

    Args:
        recommender: A fitted one. Its best single prompt is that of its training demonstrations.
        decisions: Those that it has not learnt from; which policy made them does not matter if propensities are right.
        direct_model: A reward model that gives probabilities, fitted on folds of query groups of the decisions;
            `LogisticModel()` if None.
        direct_method_only: Rely on the direct model alone, as decisions without propensities need.
        clip: Lower probabilities count as this.
        level: Coverage of the intervals.
        seed: Of the folds.

    Raises:
        LeakageError: Queries of the decisions, or near-duplicates of them, were in training.
        DataError: An id stands for another wording here than in training, there are no propensities, or too few
            queries.
    """
    by = recommender.by
    complete = decisions.with_prompts(recommender.prompts_)
    check_unseen(complete.queries, recommender.seen_groups_[by], by=by)
    position = {prompt.id: index for index, prompt in enumerate(complete.prompts)}
    own = np.array([position[prompt.id] for prompt in recommender.prompts_])
    choices = own[recommender.choose(complete.queries, recommender.prompts_)]
    return off_policy_values(
        complete,
        choices,
        baseline=np.full(len(choices), position[recommender.best_single_.prompt_id]),
        scores=scores_by(LogisticModel() if direct_model is None else direct_model, seed=seed),
        by=by,
        clip=clip,
        level=level,
        direct_method_only=direct_method_only,
        seed=seed,
    )


def unseen_decisions(recommender: Recommender, decisions: LoggedDecisions) -> LoggedDecisions:
    """Return the decisions on queries that were not in training, near-duplicates left out too.

    Raises:
        DataError: There are none.
    """
    seen = is_seen(decisions.queries, recommender.seen_groups_[recommender.by], by=recommender.by)
    if seen.all():
        raise DataError(f"all {decisions.n_queries} queries were in training; name decisions on other queries")
    return decisions.select_queries(np.flatnonzero(~seen))
