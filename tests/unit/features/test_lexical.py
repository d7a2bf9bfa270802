from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

from prompt_oirl.errors import DataError, NotFittedError, ParameterError
from prompt_oirl.features.lexical import LexicalFeatures
from prompt_oirl.features.protocol import TextFeatures
from prompt_oirl.features.surface import SURFACE_NAMES

TEXTS = [
    "Tom has 3 apples. He buys 4 more. How many apples does he have in total?",
    "A train runs 60 miles per hour for 2 hours. How far does it go?",
    "Ann shares 12 plums equally among 4 friends. How many plums does each get?",
    "There are 9 birds and 5 fly away. How many birds are left?",
]


def test_is_text_features() -> None:
    assert isinstance(LexicalFeatures(), TextFeatures)


def test_columns_are_named() -> None:
    features = LexicalFeatures(3, 2, min_df=1).fit(TEXTS)
    assert features.feature_names == ("text_0", "text_1", "text_2", "question_0", "question_1", *SURFACE_NAMES)
    assert features.transform(TEXTS).shape == (4, len(features.feature_names))


def test_one_text_gets_what_it_gets_among_many() -> None:
    features = LexicalFeatures(min_df=1).fit(TEXTS)
    together = features.transform(TEXTS)
    alone = np.vstack([features.transform([text]) for text in TEXTS])
    np.testing.assert_allclose(alone, together, rtol=1e-12, atol=1e-14)


def test_question_features_see_the_last_sentence_only() -> None:
    features = LexicalFeatures(0, 4, min_df=1).fit(TEXTS)
    n_terms = 4
    same_question = features.transform(["A b. How far does it go?", "Quite another text. How far does it go?"])
    np.testing.assert_array_equal(same_question[0, :n_terms], same_question[1, :n_terms])
    assert same_question[0, :n_terms].any()


def test_same_seed_same_features_and_clone_keeps_parameters() -> None:
    features = LexicalFeatures(3, 2, min_df=1, seed=5)
    assert clone(features).get_params() == {"n_components": 3, "n_question_components": 2, "min_df": 1, "seed": 5}
    np.testing.assert_array_equal(features.fit(TEXTS).transform(TEXTS), clone(features).fit(TEXTS).transform(TEXTS))


@pytest.mark.parametrize("texts", [["one"], ["same", "same"], ["", " "], ["?", "!"]])
def test_tiny_and_constant_corpora(texts: list[str]) -> None:
    found = LexicalFeatures().fit(texts).transform([*texts, "something new, 3 times?"])
    assert np.isfinite(found).all()


def test_errors() -> None:
    with pytest.raises(NotFittedError, match="call fit"):
        LexicalFeatures().transform(["a"])
    with pytest.raises(NotFittedError, match="call fit"):
        _ = LexicalFeatures().feature_names
    with pytest.raises(DataError, match="at least one text"):
        LexicalFeatures().fit([])
    with pytest.raises(ParameterError, match="n_components=-1"):
        LexicalFeatures(-1).fit(["a"])
