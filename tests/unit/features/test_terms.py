from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from prompt_oirl.features.terms import TermProjection
from prompt_oirl.features.tokens import tokenize

WORDS = ["red", "green", "blue", "apple", "pear", "plum", "runs", "eats", "sees", "big", "small", "old"]


@pytest.fixture
def texts() -> list[str]:
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(WORDS, 12)) + " 7 " + str(rng.choice(WORDS)) + "." for _ in range(80)]


def test_distances_equal_those_of_scikit_learn(texts: list[str]) -> None:
    ours = TermProjection(20).fit(tokenize(texts)).transform(tokenize(texts))
    weights = TfidfVectorizer(ngram_range=(1, 2), min_df=2, token_pattern=r"\w+").fit_transform(texts)
    theirs = TruncatedSVD(20, n_iter=12, random_state=0).fit_transform(weights)
    np.testing.assert_allclose(np.linalg.norm(ours), np.linalg.norm(theirs), rtol=0.01)
    everything = TermProjection(10_000).fit(tokenize(texts)).transform(tokenize(texts))
    np.testing.assert_allclose(everything @ everything.T, (weights @ weights.T).toarray(), atol=1e-4)


def test_numbers_are_one_word(texts: list[str]) -> None:
    terms = TermProjection(5).fit(tokenize(texts))
    np.testing.assert_array_equal(terms.transform(tokenize(["red 7"])), terms.transform(tokenize(["Red 1,234.5"])))


def test_rare_terms_are_left_out_unless_all_are_rare() -> None:
    common = TermProjection(5).fit(tokenize(["red apple", "red pear", "red plum"]))
    assert common.weights_.terms_.tolist() == [common.weights_.vocabulary_["red"] + 1]
    rare = TermProjection(5).fit(tokenize(["red apple", "blue pear"]))
    assert len(rare.weights_.terms_) == 6


@pytest.mark.parametrize("texts", [[""], ["?!", "..."], ["word"], ["same text", "same text"]])
def test_tiny_corpora(texts: list[str]) -> None:
    terms = TermProjection(100).fit(tokenize(texts))
    found = terms.transform(tokenize([*texts, "unknown words"]))
    assert found.shape == (len(texts) + 1, terms.components_.shape[1])
    assert np.isfinite(found).all()
    assert not found[-1].any()
