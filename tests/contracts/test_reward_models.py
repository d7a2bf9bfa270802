from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from prompt_oirl.features.lexical import LexicalFeatures
from prompt_oirl.reward.advantage import AdvantageModel
from prompt_oirl.reward.baselines import AdditiveModel, Lookup, PromptMeans
from prompt_oirl.reward.calibration import CalibratedModel
from prompt_oirl.reward.joint import JointModel
from prompt_oirl.reward.kernel_advantage import KernelAdvantage
from prompt_oirl.reward.logistic import LogisticModel
from prompt_oirl.reward.neighbours import NearestNeighbours
from prompt_oirl.reward.protocol import RewardModel
from prompt_oirl.testing import check_reward_model
from prompt_oirl.testing.type_means import TypeMeans

FEATURES = LexicalFeatures(10, 5)

MODELS: dict[str, Callable[[], RewardModel]] = {
    "additive": partial(AdditiveModel, FEATURES),
    "advantage": partial(AdvantageModel, FEATURES, n_rounds=20, min_leaf=5, n_seeds=2),
    "calibrated": lambda: CalibratedModel(NearestNeighbours(FEATURES, n_neighbours=10), n_folds=3),
    "joint": partial(JointModel, FEATURES, n_rounds=20, min_leaf=5),
    "joint, prompts by their text": partial(
        JointModel, FEATURES, LexicalFeatures(3, 0, min_df=1), prompt_as_category=False, n_rounds=20, min_leaf=5
    ),
    "kernel advantage": KernelAdvantage,
    "kernel advantage, in blocks": partial(KernelAdvantage, block_size=30),
    "logistic": partial(LogisticModel, LexicalFeatures(3, 0)),
    "look-up": Lookup,
    "nearest neighbours": partial(NearestNeighbours, FEATURES, n_neighbours=10),
    "prompt means": PromptMeans,
    "type means": partial(TypeMeans, "each"),
}

SINGLE_PRECISION = 1e-5


@pytest.mark.parametrize("name", MODELS)
def test_reward_models_keep_the_contract(name: str) -> None:
    check_reward_model(MODELS[name], tolerance=SINGLE_PRECISION if name.startswith("kernel") else 1e-9)
