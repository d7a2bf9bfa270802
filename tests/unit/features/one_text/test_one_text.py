"""One text at a time gives what the general path gives, for any text."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_oirl.features.lexical import LexicalFeatures
from prompt_oirl.features.ngrams import NGramWeights, WordCounts
from prompt_oirl.features.one_text.lexical import OneTextLexical
from prompt_oirl.features.one_text.memo import Memo
from prompt_oirl.features.one_text.similarity import SimilarityToTexts
from prompt_oirl.features.one_text.surface import surface_of_one
from prompt_oirl.features.one_text.terms import CountLookup, TermLookup
from prompt_oirl.features.one_text.text import OneText
from prompt_oirl.features.similarity import TextSimilarity
from prompt_oirl.features.surface import SURFACE_NAMES, surface_statistics
from prompt_oirl.features.tokens import tokenize
from prompt_oirl.testing import SyntheticWorld

TRAINING = [query.text for query in SyntheticWorld(n_queries=300, seed=5).queries]
PIECES = (
    *("how", "How", "many", "much", "more", "fewer", "what", "who", "Mr", "Dr.", "total", "left", "each", "if", "than"),
    *("12", "1,000", "8.0", ".5", "1.2.3", "0", "3", "6", "٣", "½", "²", "9" * 30, "apples", "Tom's", "n't", "don’t"),
    *(".", "?", "!", "?!", "...", ",", " .", " ?", "$", " $", "%", "/", '"', "“", "_", "(", "Ⓐ", "é", "苹果", "a" * 50),
    *(" ", " ", " ", " ", "  ", "\n", "\t", "\u00a0"),
)
SPECIAL = (
    *("", " ", "\n", "_", "?", ". . .", "Mr.", "Mr. Smith", "No.", "1", "0 0", "12 4", "4 12", "1,2,3.4.5", "how"),
    *("How?", "How many", "how many more", "How much less?", "How many. How much", "?How", "Stop.Go", "苹果 多少？"),
    *("a" * 10_000, "9" * 400, "1." * 500, ". " * 3000, "e\u0301 \u0661\u0662 \u2460 \u00b2", "\x00\x01"),
    *("IJ \u0132 \u01c5", "İ ß ŉ"),
)

anything = st.text(st.characters(exclude_categories=("Cs",)), max_size=80)
pieces = st.sampled_from(PIECES)
texts = st.one_of(
    anything,
    st.lists(pieces, max_size=60).map("".join),
    st.lists(pieces, max_size=60).map(" ".join),
    st.sampled_from(TRAINING),
    st.sampled_from(SPECIAL),
)


def check_surface(text: str) -> None:
    general = surface_statistics([text])[0]
    one = np.array(surface_of_one(OneText.of(text)))
    different = np.flatnonzero(~np.isclose(one, general, rtol=1e-12, atol=1e-12))
    assert not len(different), {SURFACE_NAMES[i]: (one[i], general[i]) for i in different}


@given(texts)
def test_surface(text: str) -> None:
    check_surface(text)


@pytest.mark.parametrize("text", SPECIAL)
def test_surface_of_special_texts(text: str) -> None:
    check_surface(text)


@given(texts)
def test_the_last_sentence(text: str) -> None:
    tokens = tokenize([text])
    assert len(tokens.form) - OneText.of(text).last_sentence == tokens.last_sentence().sum()


WEIGHTS = {
    "words": NGramWeights(2),
    "without marks": NGramWeights(2, sublinear=False, marks=""),
    "skeleton": NGramWeights(3, n_frequent=20),
    "single words": NGramWeights(1),
    "every run of four": NGramWeights(4, n_frequent=5, min_df=1),
}
for weights in WEIGHTS.values():
    weights.fit(tokenize(TRAINING))
LOOKUPS = {name: TermLookup(weights) for name, weights in WEIGHTS.items()}


@pytest.mark.parametrize("name", WEIGHTS)
@given(text=texts)
def test_terms(name: str, text: str) -> None:
    general = WEIGHTS[name].transform(tokenize([text])).toarray()[0]
    found = LOOKUPS[name].weigh(OneText.of(text).written)
    one = np.zeros_like(general)
    one[found.columns] = found.weights
    assert len(set(found.columns.tolist())) == len(found.columns)
    assert one.dtype == np.float32
    np.testing.assert_allclose(one, general, rtol=1e-5)


def test_terms_where_there_are_none() -> None:
    lookup = TermLookup(NGramWeights(2).fit(tokenize(["_"])))
    assert len(lookup.weigh(["How", " many"]).columns) == 0


COUNTS = WordCounts(40).fit(tokenize(TRAINING))
COUNT_LOOKUP = CountLookup(COUNTS)


@given(texts)
def test_counts(text: str) -> None:
    np.testing.assert_array_equal(COUNT_LOOKUP.count(OneText.of(text)), COUNTS.transform(tokenize([text]))[0])


LEXICAL = LexicalFeatures(20, 8).fit(TRAINING)
ONE_LEXICAL = OneTextLexical(LEXICAL)


@given(texts)
def test_lexical_features(text: str) -> None:
    np.testing.assert_allclose(ONE_LEXICAL.transform(text), LEXICAL.transform([text])[0], rtol=1e-5, atol=1e-6)


def test_lexical_features_without_projections() -> None:
    features = LexicalFeatures(0, 0).fit(TRAINING)
    one = OneTextLexical(features).transform(TRAINING[3])
    np.testing.assert_allclose(one, features.transform(TRAINING[3:4])[0], rtol=1e-12)


SIMILARITY = TextSimilarity().fit(TRAINING)
KNOWN = SIMILARITY.points(TRAINING)
TO_KNOWN = SimilarityToTexts(SIMILARITY, [KNOWN.take(np.arange(100)), KNOWN.take(np.arange(100, 300))])


@given(texts)
def test_similarities(text: str) -> None:
    general = TextSimilarity.between(SIMILARITY.points([text]), KNOWN)[0]
    one = TO_KNOWN.of_one(text)
    assert one.dtype == np.float32
    np.testing.assert_allclose(one, general, atol=5e-6)


@given(st.lists(texts, max_size=7), st.integers(1, 4))
def test_similarities_of_many(some: list[str], step: int) -> None:
    parts = list(TO_KNOWN.of_many(some, step=step))
    assert all(len(part) <= step for part in parts)
    general = TextSimilarity.between(SIMILARITY.points(some), KNOWN)
    np.testing.assert_allclose(np.vstack([np.zeros((0, 300)), *parts]), general, atol=5e-6)


@pytest.mark.parametrize("known", [["_", "?"], ["how many"], TRAINING[:2]])
def test_similarities_to_few_texts(known: list[str]) -> None:
    similarity = TextSimilarity().fit(known)
    points = similarity.points(known)
    to_known = SimilarityToTexts(similarity, [points])
    for text in ("how many", "_", "", TRAINING[0]):
        general = TextSimilarity.between(similarity.points([text]), points)
        np.testing.assert_allclose(to_known.of_one(text), general[0], atol=5e-6)
        np.testing.assert_allclose(next(to_known.of_many([text], step=9)), general, atol=5e-6)


def test_asking_changes_nothing() -> None:
    first = TO_KNOWN.of_one(TRAINING[0])
    TO_KNOWN.of_one(TRAINING[1])
    next(TO_KNOWN.of_many(TRAINING[:5], step=5))
    np.testing.assert_array_equal(TO_KNOWN.of_one(TRAINING[0]), first)


def test_what_is_ready_can_be_pickled() -> None:
    again = pickle.loads(pickle.dumps(TO_KNOWN))
    np.testing.assert_array_equal(again.of_one("How many apples?"), TO_KNOWN.of_one("How many apples?"))


def test_a_memo_keeps_what_may_come_again_and_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    memo = Memo(lambda token: made.append(token) or token.upper())
    assert [memo["a"], memo["a"], memo["b" * 41], memo["b" * 41]] == ["A", "A", "B" * 41, "B" * 41]
    assert made == ["a", "b" * 41, "b" * 41]
    monkeypatch.setattr("prompt_oirl.features.one_text.memo._MOST_TOKENS", 3)
    for token in ("c", "d", "e", "a"):
        assert memo[token] == token.upper()
    assert len(memo) <= 3
