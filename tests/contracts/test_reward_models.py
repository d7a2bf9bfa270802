from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from prompt_oirl.features.lexical import LexicalFeatures
from prompt_oirl.reward.advantage import AdvantageModel
from prompt_oirl.reward.baselines import AdditiveModel, Lookup, PromptMeans
from prompt_oirl.reward.calibration import CalibratedModel
from prompt_oirl.reward.joint import JointModel
from prompt_oirl.reward.logistic import LogisticModel
from prompt_oirl.reward.neighbours import NearestNeighbours
from prompt_oirl.reward.protocol import RewardModel
from prompt_oirl.testing import check_reward_model

FEATURES = LexicalFeatures(10, 5)

MODELS: dict[str, Callable[[], RewardModel]] = {
    "additive": partial(AdditiveModel, FEATURES),
    "advantage": partial(AdvantageModel, FEATURES, n_rounds=20, min_leaf=5, n_seeds=2),
    "calibrated": lambda: CalibratedModel(NearestNeighbours(FEATURES, n_neighbours=10), n_folds=3),
    "joint": partial(JointModel, FEATURES, n_rounds=20, min_leaf=5),
    "joint, prompts by their text": partial(
        JointModel, FEATURES, LexicalFeatures(3, 0, min_df=1), prompt_as_category=False, n_rounds=20, min_leaf=5
    ),
    "logistic": partial(LogisticModel, LexicalFeatures(3, 0)),
    "look-up": Lookup,
    "nearest neighbours": partial(NearestNeighbours, FEATURES, n_neighbours=10),
    "prompt means": PromptMeans,
}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())
def test_reward_models_keep_the_contract(make: Callable[[], RewardModel]) -> None:
    check_reward_model(make)
