"""The methods of the leak-free table, each a way to make a policy of training demonstrations."""

from __future__ import annotations

from collections.abc import Callable

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.features.lexical import LexicalFeatures
from prompt_oirl.policies import BestOfN, BestSinglePrompt, Policy
from prompt_oirl.reward.baselines import AdditiveModel, Lookup, PromptMeans
from prompt_oirl.reward.joint import JointModel, PublishedRecipe
from prompt_oirl.reward.neighbours import NearestNeighbours
from prompt_oirl.reward.protocol import RewardModel

__all__ = ["METHODS", "SLOW_METHODS", "published_recipe", "transferable_joint"]

MakePolicy = Callable[[Demonstrations], Policy]


def _best_of(make: Callable[[], RewardModel]) -> MakePolicy:
    return lambda training: BestOfN(make().fit(training))


def published_recipe() -> RewardModel:
    """Return the release's reward model at a hundred rounds of rate .02 instead of 2000 of .001: the same shrinkage."""
    return PublishedRecipe(LexicalFeatures(), LexicalFeatures(8, 0, min_df=1), n_rounds=100, learning_rate=0.02)


def transferable_joint() -> RewardModel:
    """Return a joint model that knows prompts by their wording only, and so scores held-out ones too."""
    return JointModel(prompt_features=LexicalFeatures(8, 0, min_df=1), prompt_as_category=False)


METHODS: dict[str, MakePolicy] = {
    "best_single": BestSinglePrompt.chosen_on,
    "prompt_means": _best_of(PromptMeans),
    "knn": _best_of(NearestNeighbours),
    "lookup": _best_of(Lookup),
    "additive": _best_of(AdditiveModel),
    "joint": _best_of(JointModel),
}
"""Methods that are fitted fold by fold. `advantage`, `logistic` and `recommender` share their fits; see `shared`."""

SLOW_METHODS: dict[str, MakePolicy] = {"published_recipe": _best_of(published_recipe)}
