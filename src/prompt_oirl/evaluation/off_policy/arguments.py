"""What `off_policy_values` is given, checked."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.evaluation.off_policy.estimators import ESTIMATORS, Estimator
from prompt_oirl.sources.logged_decisions import LoggedDecisions

__all__ = ["check_propensities", "check_scores", "check_settings", "group_numbers", "policy_probabilities", "wanted"]


_LOWEST = 1e-100
"""Of a propensity: the squares of the inverses of lower ones are no longer numbers."""


def wanted(estimators: Collection[Estimator], *, direct_method_only: bool) -> tuple[Estimator, ...]:
    """Return the estimators to ask, in their order.

    Raises:
        ParameterError: There is none, or one is not known.
    """
    if not estimators or not set(estimators) <= set(ESTIMATORS):
        raise ParameterError(f"estimators={list(estimators)}: one or more of {', '.join(ESTIMATORS)} are needed")
    return ("dm",) if direct_method_only else tuple(each for each in ESTIMATORS if each in estimators)


def check_propensities(decisions: LoggedDecisions, *, direct_method_only: bool, has_scores: bool) -> None:
    """Raise unless there is something to rest on.

    Raises:
        DataError: There are no propensities, or one that is too low to divide by, and the direct method alone was not
            asked for.
        ParameterError: It was, but there is no direct model.
    """
    if decisions.propensities is None and not direct_method_only:
        raise DataError(
            f"the {decisions.n_decisions} decisions have no propensities, the probabilities with which their prompts "
            "were chosen, so they cannot be weighted for what another policy would have chosen; log them, as serve "
            "--explore does, or have the estimate rest on a direct model of the rewards alone, whose error no interval "
            "covers (--direct-method-only; direct_method_only=True)"
        )
    if decisions.propensities is not None and not direct_method_only:
        lowest = float(decisions.propensities.min(initial=1.0))
        if lowest < _LOWEST:
            raise DataError(
                f"the propensity of decision {int(decisions.propensities.argmin())} is {lowest:g}, with which no "
                "prompt is ever chosen, and no estimate can hold its inverse; correct what was logged"
            )
    if direct_method_only and not has_scores:
        raise ParameterError("direct_method_only=True needs a direct model: give scores")


def check_settings(clip: float, switch_at: float | None, shrinkage: float | None) -> None:
    """Raise if one is out of its range.

    Raises:
        ParameterError: So it is.
    """
    if not 0 <= clip < 1:
        raise ParameterError(f"clip={clip}: a probability of at least 0 and less than 1 is needed, such as 0.01")
    for name, value in (("switch_at", switch_at), ("shrinkage", shrinkage)):
        if value is not None and not value >= 0:
            raise ParameterError(f"{name}={value}: a number of at least 0 is needed")


def policy_probabilities(name: str, given: FloatArray | IntArray, decisions: LoggedDecisions) -> FloatArray:
    """Return the (n_queries, n_prompts) probabilities of a policy that was given so or by its choices.

    Raises:
        ParameterError: It is neither.
    """
    policy: NDArray[Any] = np.asarray(given)
    shape = (decisions.n_queries, decisions.n_prompts)
    if policy.shape == shape[:1] and np.issubdtype(policy.dtype, np.integer):
        if policy.size and (policy.min() < 0 or policy.max() >= shape[1]):
            raise ParameterError(
                f"{name} runs from {policy.min()} to {policy.max()}, but there are prompts 0 to {shape[1] - 1}"
            )
        chosen: FloatArray = np.zeros(shape)
        chosen[np.arange(shape[0]), policy] = 1.0
        return chosen
    if policy.shape != shape:
        raise ParameterError(
            f"{name} is {policy.dtype} of shape {policy.shape}; one prompt index for each of {shape[0]} queries, or "
            f"{shape[0]} × {shape[1]} probabilities, are needed"
        )
    sums = policy.sum(axis=1)
    if not ((policy >= 0).all() and np.allclose(sums, 1, atol=1e-6)):
        raise ParameterError(
            f"{name}: the probabilities of a query are at least 0 and sum to 1; sums run from {sums.min():g} to "
            f"{sums.max():g}"
        )
    return policy.astype(np.float64)


def group_numbers(groups: IntArray, decisions: LoggedDecisions) -> IntArray:
    """Return the (n_queries,) group numbers without gaps.

    Raises:
        ParameterError: There is not one for each query.
    """
    groups = np.asarray(groups)
    if groups.shape != (decisions.n_queries,):
        raise ParameterError(f"groups have shape {groups.shape}, but there are {decisions.n_queries} queries")
    _, numbers = np.unique(groups, return_inverse=True)
    return numbers.astype(np.int64)


def check_scores(scores: FloatArray, decisions: LoggedDecisions) -> None:
    """Raise unless there is an expected reward for each query and prompt.

    Raises:
        ParameterError: The shape is another, or a number is outside 0 to 1.
    """
    shape = (decisions.n_queries, decisions.n_prompts)
    if np.shape(scores) != shape:
        raise ParameterError(f"scores have shape {np.shape(scores)}; {shape} is needed, a number a query and prompt")
    if not ((np.asarray(scores) >= 0) & (np.asarray(scores) <= 1)).all():
        raise ParameterError(
            f"scores run from {np.min(scores):g} to {np.max(scores):g}; expected rewards from 0 to 1 are needed, such "
            "as a model gives whose scores are probabilities (LogisticModel)"
        )
