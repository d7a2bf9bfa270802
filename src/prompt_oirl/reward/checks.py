"""What every reward model checks: that there is something to learn, that it was fitted, which prompts it knows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.base import clone

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, NotFittedError, UnseenPromptError
from prompt_oirl.features.checks import finite_features
from prompt_oirl.features.lexical import LexicalFeatures
from prompt_oirl.features.protocol import TextFeatures
from prompt_oirl.records import Prompt, Query

__all__ = ["check_fitted", "check_learnable", "fit_features", "prompt_columns", "query_features"]


def check_learnable(demonstrations: Demonstrations) -> Demonstrations:
    """Return the demonstrations without the queries that have no scored trial.

    Raises:
        DataError: A prompt has no scored trial, or fewer than two queries have one.
    """
    untried = np.flatnonzero(demonstrations.trials.sum(axis=0) == 0)
    if len(untried):
        raise DataError(
            f"prompt {demonstrations.prompt_ids[untried[0]]!r} has no scored trial in training "
            f"({len(untried)} of {demonstrations.n_prompts} prompts have none); "
            "log some, or leave it out with Demonstrations.select_prompts"
        )
    tried_queries = np.flatnonzero(demonstrations.trials.any(axis=1))
    if len(tried_queries) < 2:
        raise DataError(
            f"{len(tried_queries)} of {demonstrations.n_queries} training queries have a scored trial; "
            "at least 2 are needed to learn how queries differ: log more"
        )
    return demonstrations.select_queries(tried_queries)


def check_fitted(model: object) -> None:
    """Raise unless the model was fitted.

    Raises:
        NotFittedError: It has no fitted attribute `prompts_`.
    """
    if not hasattr(model, "prompts_"):
        raise NotFittedError(f"{type(model).__name__} was not fitted; call fit with demonstrations first")


def prompt_columns(model: object, known: Sequence[Prompt], asked: Sequence[Prompt]) -> IntArray:
    """Return (n_asked,) the index of each prompt asked among those known; id and template must agree.

    Raises:
        UnseenPromptError: A prompt was not in training.
    """
    column = {prompt: i for i, prompt in enumerate(known)}
    for prompt in asked:
        if prompt not in column:
            same_id = prompt.id in {other.id for other in known}
            what = "was in training with another template" if same_id else "was not in training"
            raise UnseenPromptError(
                f"prompt {prompt.id!r} {what}, and {type(model).__name__} scores only the {len(known)} prompts it was "
                f"fitted on ({', '.join(repr(other.id) for other in known[:6])}{', …' if len(known) > 6 else ''}); fit "
                "again with its demonstrations, or use a JointModel with prompt_features and prompt_as_category=False"
            )
    return np.array([column[prompt] for prompt in asked], dtype=np.int64)


def fit_features(features: TextFeatures | None, queries: Sequence[Query]) -> TextFeatures:
    """Return a copy of the features, `LexicalFeatures()` if None, fitted on the queries' texts."""
    fresh: TextFeatures = LexicalFeatures() if features is None else clone(features)
    return fresh.fit([query.text for query in queries])


def query_features(features: TextFeatures, queries: Sequence[Query]) -> FloatArray:
    """Return (n_queries, n_features) the features of the queries' texts.

    Raises:
        DataError: A feature is not finite.
    """
    return finite_features(features, [query.text for query in queries])
