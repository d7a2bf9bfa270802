from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

from prompt_oirl.errors import DataError, NotFittedError, ParameterError, UnseenPromptError
from prompt_oirl.features.embedders import EmbedderFeatures, PrecomputedEmbedder
from prompt_oirl.features.query_prompt import QueryPromptFeatures, pair
from prompt_oirl.records import Prompt, Query

QUERIES = [Query("q1"), Query("q2")]
PROMPTS = [Prompt.from_text("p1"), Prompt.from_text("p2")]


def embedding(**vectors: list[float]) -> EmbedderFeatures:
    return EmbedderFeatures(PrecomputedEmbedder(list(vectors), np.array(list(vectors.values()))))


def test_pairs_are_query_then_prompt_then_number() -> None:
    features = QueryPromptFeatures(embedding(q1=[1, 2], q2=[3, 4]), embedding(p1=[5], p2=[6])).fit(QUERIES, PROMPTS)
    rows = pair(*features.transform(QUERIES, PROMPTS), np.array([0, 1]), np.array([1, 0]))
    assert rows.tolist() == [[1, 2, 6, 1], [3, 4, 5, 0]]
    assert rows.dtype == np.float32


def test_numbers_are_those_of_training() -> None:
    features = QueryPromptFeatures(embedding(q1=[1], q2=[3])).fit(QUERIES, PROMPTS)
    _, of_prompts = features.transform(QUERIES, PROMPTS[::-1])
    assert of_prompts.tolist() == [[1], [0]]


def test_unseen_prompts_need_prompt_features_and_no_number() -> None:
    new = Prompt.from_text("p3")
    wording = embedding(p1=[5], p2=[6], p3=[7])
    with_number = QueryPromptFeatures(embedding(q1=[1], q2=[3]), wording).fit(QUERIES, PROMPTS)
    assert not with_number.can_score_unseen
    with pytest.raises(UnseenPromptError, match="prompt_as_category=False"):
        with_number.transform(QUERIES, [new])
    without = clone(with_number).set_params(prompt_as_category=False).fit(QUERIES, PROMPTS)
    assert without.can_score_unseen
    assert without.transform(QUERIES, [new])[1].tolist() == [[7]]


def test_errors() -> None:
    with pytest.raises(ParameterError, match="nothing tells the prompts apart"):
        QueryPromptFeatures(prompt_as_category=False).fit(QUERIES, PROMPTS)
    with pytest.raises(NotFittedError):
        QueryPromptFeatures().transform(QUERIES, PROMPTS)

    class Broken:
        def fit(self, texts):
            return self

        def transform(self, texts):
            return np.array([[0.0, 1.0], [0.0, np.nan]])

        def __sklearn_clone__(self):
            return self

    with pytest.raises(DataError, match="feature 1 of Broken is nan for the text 'q2'"):
        QueryPromptFeatures(Broken()).fit(QUERIES, PROMPTS).transform(QUERIES, PROMPTS)
