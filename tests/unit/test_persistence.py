from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator

from prompt_oirl.errors import ArtifactError
from prompt_oirl.features.lexical import LexicalFeatures
from prompt_oirl.persistence import Arrays, pack, unpack
from prompt_oirl.records import Prompt
from prompt_oirl.reward import saved_types
from prompt_oirl.reward.advantage import AdvantageModel
from prompt_oirl.reward.baselines import AdditiveModel, Lookup, PromptMeans
from prompt_oirl.reward.calibration import CalibratedModel
from prompt_oirl.reward.joint import JointModel
from prompt_oirl.reward.kernel_advantage import KernelAdvantage
from prompt_oirl.reward.logistic import LogisticModel
from prompt_oirl.reward.neighbours import NearestNeighbours
from prompt_oirl.reward.protocol import RewardModel
from prompt_oirl.testing import SyntheticWorld


@dataclass(frozen=True)
class Point:
    x: float
    label: Any = None


class Thing(BaseEstimator):
    def __init__(self, size: int = 1, part: Any = None) -> None:
        self.size = size
        self.part = part


class Other(BaseEstimator):
    pass


TYPES = {"Point": Point, "Thing": Thing}


def as_files(tree: Any, arrays: Arrays) -> tuple[Any, Arrays]:
    """What reading gives of what was written: JSON, and arrays without pickle."""
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    file.seek(0)
    with np.load(file, allow_pickle=False) as read:
        return json.loads(json.dumps(tree)), dict(read)


def round_trip(value: Any, types: dict[str, type] = TYPES) -> Any:
    return unpack(*as_files(*pack(value, types)), types)


def are_same(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, csr_matrix):
        return a.shape == b.shape and all(are_same(getattr(a, n), getattr(b, n)) for n in ("data", "indices", "indptr"))
    if isinstance(a, dict):
        return list(a) == list(b) and all(are_same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(are_same, a, b))
    if isinstance(a, Point | Thing):
        return are_same(vars(a), vars(b))
    return a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b))


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
ARRAYS = st.sampled_from(["float32", "float64", "int64", "bool", "<U5", "uint8"]).flatmap(
    lambda kind: arrays(np.dtype(kind), array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)
VALUES = st.recursive(
    PLAIN | ARRAYS,
    lambda parts: (
        st.lists(parts, max_size=3)
        | st.lists(parts, max_size=3).map(tuple)
        | st.dictionaries(st.text() | st.integers(), parts, max_size=3)
        | st.builds(Point, x=st.floats(), label=parts)
        | st.builds(Thing, size=st.integers(), part=parts)
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(VALUES)
def test_nested_values_come_back_as_they_were(value: Any) -> None:
    assert are_same(round_trip(value), value)


@given(st.dictionaries(st.sampled_from(["$type", "$array", "$tuple", "$map", "$sparse", "fields"]), PLAIN | ARRAYS))
def test_what_looks_like_a_mark_of_the_format_is_not_taken_for_one(value: dict[str, Any]) -> None:
    assert are_same(round_trip(value), value)


def test_sparse_matrices_come_back_as_they_were() -> None:
    dense = np.array([[0, 1.5, 0], [0, 0, 0], [2, 0, 3]], dtype=np.float32)
    assert are_same(round_trip({"matrix": csr_matrix(dense)})["matrix"], csr_matrix(dense))
    assert round_trip(csr_matrix((0, 4))).shape == (0, 4)


def test_numbers_of_numpy_become_plain() -> None:
    found = round_trip([np.float32(0.5), np.int64(3), np.bool_(True), np.float64("nan")])
    assert [type(each) for each in found] == [float, int, bool, float]
    assert found[:3] == [0.5, 3, True]


def test_an_estimator_is_its_parameters_and_what_it_learnt() -> None:
    thing = Thing(3, part=Thing(4))
    thing.learnt_ = {"a": np.arange(3)}
    thing.cache = "not kept"
    thing._hidden_ = "not kept"
    found = round_trip(thing)
    assert found.get_params(deep=False)["size"] == 3
    assert found.part.size == 4
    assert found.learnt_["a"].tolist() == [0, 1, 2]
    assert not hasattr(found, "cache")
    assert not hasattr(found, "_hidden_")


def test_sets_come_back_as_sets() -> None:
    assert round_trip(frozenset({"b", "a"})) == frozenset({"a", "b"})


def test_sets_are_written_in_one_order() -> None:
    assert pack(frozenset("cab"), {})[0] == pack(frozenset("bca"), {})[0]


@pytest.mark.parametrize(
    "value", [Other(), object(), b"bytes", 1j, range(3), lambda: 0], ids=lambda value: type(value).__name__
)
def test_an_unknown_type_is_not_packed(value: object) -> None:
    with pytest.raises(ArtifactError, match=r"cannot be saved: known are Point, Thing") as caught:
        pack({"deep": [(value,)]}, TYPES)
    assert type(value).__name__ in str(caught.value)


def test_another_type_of_a_known_name_is_not_packed() -> None:
    impostor = type("Point", (), {})()
    with pytest.raises(ArtifactError, match="Point cannot be saved"):
        pack(impostor, TYPES)


def test_a_listed_type_must_be_an_estimator_or_a_dataclass() -> None:
    with pytest.raises(ArtifactError, match="neither an estimator nor a dataclass"):
        pack(1j, {"complex": complex})


def test_an_array_of_objects_is_not_packed() -> None:
    with pytest.raises(ArtifactError):
        pack(np.array([{"a": 1}, None], dtype=object), TYPES)


@pytest.mark.parametrize("key", [(1, 2), np.int64(3)], ids=repr)
def test_a_key_that_json_cannot_hold_is_not_packed(key: Any) -> None:
    try:
        assert round_trip({key: 1}) == {key: 1}
    except TypeError as error:
        raise AssertionError from error


@pytest.mark.parametrize(
    "tree",
    [
        {"$type": "Other", "parameters": {}, "fitted": {}},
        {"$type": "os.system", "fields": {"command": "true"}},
        {"$type": "Point", "fields": {"y": 1}},
        {"$type": "Point"},
        {"$type": "Thing", "parameters": {"colour": 1}, "fitted": {}},
        {"$type": "Thing", "parameters": {}},
        {"$type": ["Thing"], "parameters": {}, "fitted": {}},
        {"no mark": 1},
        {"$array": "nowhere"},
        {"$sparse": {"data": 1}},
        {"$tuple": 3},
        {"$map": [[1, 2, 3]]},
        {"$map": [[[], 1]]},
    ],
    ids=str,
)
def test_a_tree_that_does_not_fit_is_refused(tree: Any) -> None:
    with pytest.raises(ArtifactError, match="train and save again"):
        unpack([{"$map": [["deep", tree]]}], {}, TYPES)


@pytest.mark.parametrize(
    "tree", [{"$sparse": []}, {"$type": "Point", "fields": []}, {"$type": "Thing", "parameters": [], "fitted": []}]
)
def test_a_tree_of_another_shape_is_refused(tree: Any) -> None:
    with pytest.raises(ArtifactError):
        unpack(tree, {}, TYPES)


@pytest.mark.parametrize("name", ["fit", "size"])
def test_only_fitted_attributes_are_set(name: str) -> None:
    tree = {"$type": "Thing", "parameters": {"size": 1}, "fitted": {name: 5}}
    with pytest.raises(ArtifactError):
        unpack(tree, {}, TYPES)


FEATURES = LexicalFeatures(10, 5)
MODELS: dict[str, Callable[[], RewardModel]] = {
    "additive": partial(AdditiveModel, FEATURES),
    "advantage": partial(AdvantageModel, FEATURES, n_rounds=10, min_leaf=5, n_seeds=2),
    "calibrated": lambda: CalibratedModel(NearestNeighbours(FEATURES, n_neighbours=10), n_folds=3),
    "joint": partial(JointModel, FEATURES, n_rounds=10, min_leaf=5),
    "kernel advantage": partial(KernelAdvantage, block_size=40),
    "logistic": partial(LogisticModel, FEATURES),
    "look-up": Lookup,
    "nearest neighbours": partial(NearestNeighbours, FEATURES, n_neighbours=10),
    "prompt means": PromptMeans,
}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())
def test_every_reward_model_comes_back_with_the_same_scores_to_the_bit(make: Callable[[], RewardModel]) -> None:
    train, test = SyntheticWorld(n_queries=120, seed=7).demonstrations.split(test_size=0.3, seed=0)
    model = make().fit(train)
    found = round_trip(model, saved_types() | {"Prompt": Prompt})
    queries = (*test.queries, *train.queries)
    scores = model.score(queries, test.prompts)
    np.testing.assert_array_equal(found.score(queries, test.prompts), scores)
    assert found.gives_probabilities == model.gives_probabilities
    assert found.score(queries, test.prompts).dtype == scores.dtype
    assert found.fit(train).score([], test.prompts).shape == (0, 6)
