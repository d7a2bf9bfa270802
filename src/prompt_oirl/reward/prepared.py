"""Reward models made ready to score the same prompts again and again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prompt_oirl.arrays import FloatArray
from prompt_oirl.records import Prompt, Query
from prompt_oirl.reward.protocol import CanPrepare, PreparedScorer, RewardModel

__all__ = ["GeneralScorer", "prepare"]


def prepare(model: RewardModel, prompts: Sequence[Prompt]) -> PreparedScorer:
    """Return what scores these prompts: the model's own prepared scorer, or its `score` where it has none.

    Args:
        model: Fitted.
        prompts: The prompts to score.

    Raises:
        NotFittedError: `fit` was not called.
        UnseenPromptError: A prompt was not in training and the model cannot score unseen prompts.
    """
    return model.prepare(prompts) if isinstance(model, CanPrepare) else GeneralScorer(model, prompts)


@dataclass(frozen=True, eq=False)
class GeneralScorer:
    """Asks any reward model. How long that takes is not known, so it is not said to be quick."""

    model: RewardModel
    prompts: Sequence[Prompt]
    is_quick: bool = False

    def score_one(self, query: Query) -> FloatArray:
        """Return (n_prompts,) scores."""
        scores: FloatArray = self.model.score([query], self.prompts)[0]
        return scores

    def score_many(self, queries: Sequence[Query]) -> FloatArray:
        """Return (n_queries, n_prompts) scores."""
        return self.model.score(queries, self.prompts)
